"""`broker env diff A B`: in what two environments differ, settings and devices. Changes nothing."""

from dataclasses import replace

import click
from click.exceptions import Exit
from sqlalchemy import make_url

from broker.cli.context import Opened, Title, detail, json_option, listing, opened
from broker.environments.model import Profile
from broker.promotion import difference
from broker.registry import store
from broker.registry.model import Modality

NOT_EQUAL = 3


@click.command(name="diff")
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@json_option
def command(one: str, other: str, as_json: bool) -> None:
    """Show in what the environments A and B differ: settings, and which devices each serves. Exit 3 where they do."""
    with opened(one, by_token=False) as here, opened(other, by_token=False) as there:
        names = here.profile.name, there.profile.name
        rows = [*_settings(here, there), *_devices(here, there)]
    if as_json:
        detail({"environments": names, "differences": rows}, as_json=True)
    else:
        columns = [("what", "what"), ("field", "field"), ("one", names[0]), ("other", names[1])]
        listing(rows, columns, False, Title(f"{names[0]} and {names[1]}"))
    if rows:
        raise Exit(NOT_EQUAL)


def _settings(here: Opened, there: Opened) -> list[dict[str, object]]:
    found = difference.of_values(_shown(here.profile), _shown(there.profile))
    return [
        {"what": "settings", "field": each.field, "one": each.before or "-", "other": each.after or "-"}
        for each in found
        if each.field != "file"
    ]


def _shown(profile: Profile) -> Profile:
    """Return a profile without the password that its database's URL may hold."""
    return replace(profile, database_url=make_url(profile.database_url).render_as_string(hide_password=True))


def _devices(here: Opened, there: Opened) -> list[dict[str, object]]:
    ours, theirs = _served(here), _served(there)
    rows: list[dict[str, object]] = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            rows.append({"what": name, "field": "", "one": _there(one), "other": _there(other)})
            continue
        changes = (
            *difference.of_documents(one.document, other.document),
            *difference.of_bindings(one.binding, other.binding),
        )
        rows += [
            {"what": name, "field": each.field, "one": each.before or "-", "other": each.after or "-"}
            for each in changes
        ]
    return rows


def _served(here: Opened) -> dict[str, Modality]:
    with here.database.read() as tx:
        return {device.name: device for device in store.modalities(tx) if not device.retired}


def _there(device: Modality | None) -> str:
    return "not there" if device is None else f"revision {device.revision[:12]}"
