"""`broker worklist`: what a device is answered, by the code of a real query, and why; that it was read is audited."""

from dataclasses import dataclass

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.cli.worklist_print import print_
from broker.cli.worklist_queries import queries_
from broker.cli.worklist_words import counted, fact, held_line, row
from broker.database import Transaction
from broker.environments.model import Profile, UnknownCallers
from broker.errors import NotFound, Refused
from broker.exams import silence
from broker.procedures import shown
from broker.registry import store as registry_store
from broker.registry.model import Registry
from broker.registry.nearest import advice
from broker.worklist import explain, find
from broker.worklist.hiding import Hides, nobody_hides
from broker.worklist.model import Viewer
from broker.worklist.query import EVERYTHING, BadQuery
from broker.worklist.spelled import query_of
from broker.worklist.stations import Stations
from broker.worklist.viewer import registry_stations, viewer_of

_COLUMNS = (
    ("date", "date"),
    ("time", "time"),
    ("station", "station"),
    ("modality", "modality"),
    ("accession", "accession"),
    ("requested_procedure_id", "RP ID"),
    ("description", "description"),
    ("patient_id", "patient id"),
    ("name", "name"),
)
_as_option = click.option("--as", "calling", metavar="AET", help="As the device with this calling AE title.")


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks, and what resolves stations."""

    viewer: Viewer
    stations: Stations


@click.group(name="worklist")
def group() -> None:
    """The worklist as a device sees it."""


group.add_command(print_)
group.add_command(queries_)


@group.command(name="list")
@env_option
@json_option
@_as_option
def list_(env: str, as_json: bool, calling: str | None) -> None:
    """List the steps that are offered, soonest first; as a device, exactly what it is answered without keys."""
    with opened(env) as environment, environment.database.write("audit") as tx:
        asking = _asking(tx, environment, calling)
        now = environment.clock.now()
        hides = _hides(environment, asking.viewer) if calling else nobody_hides
        found = find.shown(tx, EVERYTHING, asking.viewer, asking.stations, now, hides)
        silent = silence.silence(tx, environment.profile, now)
        _audit(tx, environment, "worklist.read", asking.viewer)
    title = f"worklist of {asking.viewer.device}" if asking.viewer.device else "worklist"
    listing([row(item) for item in found.items], _COLUMNS, as_json, titled(environment.profile, title))
    if silent:
        click.echo(silence.notice(silent), err=True)
    if found.truncated:
        limit = asking.viewer.habits.limit
        click.echo(f"cut: the document's limit of {limit} is reached, more steps are scheduled", err=True)


@group.command(name="explain")
@env_option
@json_option
@_as_option
@click.option("--key", "keys", metavar="KEYWORD=VALUE", multiple=True, help="A matching key of the query.")
def explain_(env: str, as_json: bool, calling: str | None, keys: tuple[str, ...]) -> None:
    """Say why a device is answered what it is: how many steps remain after each key, and what is held back."""
    with opened(env) as environment, environment.database.write("audit") as tx:
        asking = _asking(tx, environment, calling)
        now = environment.clock.now()
        hides = _hides(environment, asking.viewer) if calling else nobody_hides
        try:
            query = query_of(keys, asking.viewer.habits)
        except BadQuery as bad:
            raise Refused(f"a console gets status {bad.status:04X} for that: {bad.comment}") from bad
        explanation = explain.explained(tx, query, asking.viewer, asking.stations, now, hides)
        _audit(tx, environment, "worklist.explain", asking.viewer)
    if as_json:
        detail(fact(explanation, asking.viewer), as_json=True)
        return
    click.echo(counted(explanation, asking.viewer))
    for line in map(held_line, (*explanation.held, *explanation.lacking)):
        click.echo(f"  {line}")
    for habit in explanation.habits:
        click.echo(f"  habit {habit}")


def _asking(tx: Transaction, environment: Opened, calling: str | None) -> _Asking:
    registry = registry_store.load(tx)
    return _Asking(_viewer(registry, calling, environment.profile), registry_stations(registry))


def _viewer(registry: Registry, calling: str | None, profile: Profile) -> Viewer:
    title = calling.strip() if calling else ""
    modality = registry.by_calling(title) if title else None
    if title and modality is None and profile.unknown_callers is UnknownCallers.REJECT:
        raise NotFound(
            f'no modality of {profile.name} calls as "{title}", its associations are rejected: '
            f"{advice(title, '', registry).why}; `broker modality list` shows the titles"
        )
    return viewer_of(modality, profile.timezone, title)


def _hides(environment: Opened, viewer: Viewer) -> Hides:
    return shown.hides(viewer, environment.profile.mpps.started_visible_hours, environment.clock.now())


def _audit(tx: Transaction, environment: Opened, action: str, viewer: Viewer) -> None:
    subject = viewer.device or "everything"
    audit.record(tx, AuditEntry(environment.clock.now(), environment.actor, action, subject, {}))
