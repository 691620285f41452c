"""`broker modality`: documents in, revisions and bindings out. The registry itself is the store's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.cli import modality_clone, persons
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.cli.modality_beside import beside
from broker.cli.modality_changing import changing
from broker.cli.modality_echo import echo
from broker.environments import profile as profiles
from broker.environments.model import Profile, World
from broker.errors import Refused
from broker.identifiers import AETitle
from broker.people.model import Right
from broker.registry import document as documents
from broker.registry import store
from broker.registry.model import Binding, Document, Modality

_F = TypeVar("_F", bound=Callable[..., Any])

SHORT = 12
"""Characters of a revision's hash that a person is shown."""


@click.group(name="modality")
def group() -> None:
    """Modalities: their documents, revisions and bindings."""


for _command in (echo, modality_clone.clone, modality_clone.import_):
    group.add_command(_command)


def break_glass_options(function: _F) -> _F:
    """Add `--break-glass` and `--why TEXT`, without which production's registry is not changed by hand."""
    why = click.option("--why", default="", metavar="TEXT", help="The reason; it is kept in the audit.")
    glass = click.option("--break-glass", is_flag=True, help="Change production without a promotion; needs --why.")
    return glass(why(function))


@group.command(name="apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@env_option
@json_option
@break_glass_options
def apply(file: Path, env: str, as_json: bool, break_glass: bool, why: str) -> None:
    """Record the document FILE as a revision and make it the active one."""
    content = file.read_bytes()
    document = documents.read(content, str(file))
    with opened(env, Right.CONFIGURE) as environment:
        _allow(environment, break_glass, why)
        _refuse_unknown_destinations(document, environment.profile)
        with changing(environment, document.name, "applied") as tx:
            store.apply(
                tx,
                document,
                content,
                environment.actor,
                environment.clock.now(),
                own_titles=_own_titles(environment.profile),
                why=why,
            )
            device = store.modality(tx, document.name)
    _say(device, environment, as_json)


@group.command(name="bind")
@click.argument("name")
@click.option("--host", required=True, help="Where the device is in this environment.")
@click.option("--port", required=True, type=click.IntRange(1, 65535), help="Where it listens.")
@click.option("--ae-title", metavar="T", help="The calling title it uses here instead; '' for the document's.")
@click.option("--station", metavar="S", help="The station it is shown here instead; '' for the document's.")
@env_option
@json_option
@break_glass_options
def bind(
    *,
    name: str,
    host: str,
    port: int,
    ae_title: str | None,
    station: str | None,
    env: str,
    as_json: bool,
    break_glass: bool,
    why: str,
) -> None:
    """Say where the device NAME is in this environment; a title or station left out stays as it is bound."""
    with opened(env, Right.CONFIGURE) as environment:
        _allow(environment, break_glass, why)
        with changing(environment, name, "bound") as tx:
            before = store.modality(tx, name).binding
            binding = Binding(host, port, _title(ae_title, before.ae_title), _title(station, before.station))
            actor, now = environment.actor, environment.clock.now()
            own_titles = _own_titles(environment.profile)
            device = store.bind(tx, name, binding, actor, now, own_titles=own_titles, why=why)
    _say(device, environment, as_json)


@group.command(name="retire")
@click.argument("name")
@env_option
@json_option
@break_glass_options
def retire(name: str, env: str, as_json: bool, break_glass: bool, why: str) -> None:
    """Take the device NAME out of service; its revisions stay."""
    with opened(env, Right.CONFIGURE) as environment:
        _allow(environment, break_glass, why)
        with changing(environment, name, "retired") as tx:
            store.retire(tx, name, environment.actor, environment.clock.now(), why=why)
            device = store.modality(tx, name)
    _say(device, environment, as_json)


@group.command(name="list")
@click.option("--env", metavar="E", envvar="BROKER_ENV", help="One environment.  [default: all, side by side]")
@json_option
def list_(env: str | None, as_json: bool) -> None:
    """List every modality, retired ones too; without --env, how each stands in Test and in Production."""
    if env is None:
        beside(profiles.available(), as_json)
        return
    with opened(env) as environment, environment.database.read() as tx:
        rows = [_row(device) for device in store.modalities(tx)]
    if not as_json:
        rows = [{**row, "revision": str(row["revision"])[:SHORT]} for row in rows]
    keys = ("name", "modality", "ae_titles", "stations", "host", "port", "revision", "state")
    listing(rows, [(key, key.replace("_", " ")) for key in keys], as_json, titled(environment.profile, "modalities"))


@group.command(name="show")
@click.argument("name")
@env_option
@json_option
def show(name: str, env: str, as_json: bool) -> None:
    """Show one modality: its active document, its binding, its revisions."""
    with opened(env) as environment, environment.database.read() as tx:
        device = store.modality(tx, name)
        revisions = store.revisions(tx, name)
    shown = _shown(device)
    shown["revisions"] = [
        {"revision": r.sha256, "recorded": r.recorded, "active": r.sha256 == device.revision} for r in revisions
    ]
    detail(shown, as_json, titled(environment.profile, name))


@group.command(name="export")
@click.argument("name")
@click.option("--revision", metavar="SHA256", help="Another revision than the active one, by how its hash begins.")
@click.option("--whole", is_flag=True, help="With its binding and what people said of it: modality import takes it.")
@env_option
def export(name: str, revision: str | None, whole: bool, env: str) -> None:
    """Write the document of NAME on stdout, byte for byte as it was applied; or with --whole all that is said of it."""
    if whole and revision:
        raise click.UsageError("--whole is of what is served now, not of an earlier revision")
    with opened(env) as environment, environment.database.read() as tx:
        if whole:
            from broker.cli import exporting  # noqa: PLC0415 - as `modality import`

            content = exporting.written(environment, exporting.whole_of(environment, tx, [name], None))
        else:
            content = store.content(tx, name, revision)
    click.echo(content, nl=False)


def _allow(environment: Opened, break_glass: bool, why: str) -> None:
    profile = environment.profile
    if profile.kind is not World.PRODUCTION:
        return
    if break_glass and why.strip():
        persons.person(environment, Right.CONFIGURE)
        return
    if break_glass:
        raise Refused("--break-glass needs --why TEXT: the reason is kept in the audit")
    raise Refused(
        f"{profile.name} is a production environment: its modalities change by promotion; "
        "in an emergency add --break-glass --why TEXT"
    )


def _refuse_unknown_destinations(document: Document, profile: Profile) -> None:
    for name in (name for route in document.routes for name in route.to):
        if profile.destination(name) is None:
            raise Refused(f"{document.name}: a route names {name!r}, which is no destination of {profile.name}")


def _own_titles(profile: Profile) -> tuple[AETitle, ...]:
    return (profile.dicom.ae_title, *profile.dicom.aliases)


def _title(given: str | None, bound: AETitle | None) -> AETitle | None:
    if given is None:
        return bound
    try:
        return AETitle(given) if given else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _row(device: Modality) -> dict[str, object]:
    return {
        "name": device.name,
        "modality": device.document.modality,
        "ae_titles": device.ae_titles,
        "stations": device.stations,
        "host": device.binding.host,
        "port": device.binding.port or None,
        "revision": device.revision,
        "state": "retired" if device.retired else "active",
    }


def _shown(device: Modality) -> dict[str, object]:
    document = device.document
    return {
        **_row(device),
        "description": document.description,
        "station_name": document.station_name,
        "location": document.location,
        "character_sets": document.character_sets,
        "routes": [{"to": route.to, "when": dict(route.when)} for route in document.routes],
        "bound_ae_title": device.binding.ae_title,
        "bound_station": device.binding.station,
    }


def _say(device: Modality, environment: Opened, as_json: bool) -> None:
    if as_json:
        detail(_row(device), as_json)
        return
    where = f" at {device.binding.host}:{device.binding.port}" if device.binding.host else ""
    state = "retired" if device.retired else "active"
    click.echo(
        f"{device.name} revision {device.revision[:SHORT]} is {state} in {environment.profile.name}{where}: "
        f"AE titles {', '.join(device.ae_titles)}; stations {', '.join(device.stations) or 'none'}"
    )
