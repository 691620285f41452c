"""The `[mpps]` of a profile: who is passed performed procedure steps, and for how long they count. Opens no file."""

import re
from pathlib import Path

from broker.environments.dicom import read_call_tls
from broker.environments.model import Destination, MppsSettings, Protocol, World
from broker.environments.reading import TomlTable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HIGHEST_PORT = 65535
_LONGEST_HOURS = 24 * 31
_DEFAULT = MppsSettings()


def read_mpps(root: TomlTable, kind: World | None, file: Path) -> MppsSettings:
    """Return `[mpps]` with its `[[mpps.destinations]]`; note each mistake. `kind` is absent where it is wrong."""
    table = root.table("mpps", required=False)
    destinations: list[Destination] = []
    for each in table.tables("destinations"):
        destination = _destination(each, kind, file)
        if destination.name and any(other.name == destination.name for other in destinations):
            each.wrong("name", f"there are two destinations {destination.name!r}")
        destinations.append(destination)
    settings = MppsSettings(
        destinations=tuple(destinations),
        stale_hours=table.integer("stale_hours", 1, _LONGEST_HOURS, _DEFAULT.stale_hours),
        started_visible_hours=table.integer("started_visible_hours", 0, _LONGEST_HOURS, _DEFAULT.started_visible_hours),
    )
    table.finish()
    return settings


def _destination(table: TomlTable, kind: World | None, file: Path) -> Destination:
    name = table.text("name")
    if name and not _NAME.fullmatch(name):
        table.wrong("name", f"{name!r} must be 1 to 64 letters, digits, '.', '_' or '-' and begin with no sign")
    own = kind or World.PRODUCTION
    world = table.choice("world", World, own) or own
    if kind is not None and world is not kind:
        table.wrong("world", f"a destination of the {world} world in a {kind} profile")
    calling = table.text("calling", "broker")
    if calling not in ("broker", "device"):
        calling = table.as_title("calling", calling)
    destination = Destination(
        name,
        Protocol.DIMSE,
        world,
        host=table.text("host"),
        port=table.integer("port", 1, _HIGHEST_PORT),
        ae_title=table.title("ae_title"),
        calling=calling,
        tls=read_call_tls(table.table("tls"), file) if table.has("tls") else None,
    )
    table.finish()
    return destination
