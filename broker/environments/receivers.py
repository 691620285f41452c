"""The `[[receivers]]` of a profile: who is told how orders stand. Sends nothing, and opens no file."""

import re
from pathlib import Path

from broker.environments.dicom import read_call_tls
from broker.environments.model import USUAL_EVENTS, CallTls, OrderEvent, OrderMessage, Receiver, World
from broker.environments.reading import TomlTable, did_you_mean, quoted

CHARACTER_SETS = (
    "ASCII",
    *(f"8859/{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)),
    "ISO IR14",
    "~ISO IR87",
    "~ISO IR159",
    "GB 18030-2000",
    "KS X 1001",
    "BIG-5",
    "UNICODE UTF-8",
)
"""The names of HL7 table 0211 that can be written; the two that are reached by escape sequences stand second."""

VERSIONS: dict[OrderMessage, tuple[str, ...]] = {
    OrderMessage.ORM: ("2.3", "2.3.1", "2.4", "2.5", "2.5.1"),
    OrderMessage.OMG: ("2.4", "2.5", "2.5.1"),  # it came with 2.4
    OrderMessage.ORU: ("2.3", "2.3.1", "2.4", "2.5", "2.5.1"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HIGHEST_PORT = 65535
_LONGEST_APPLICATION = 180  # characters of MSH-3 to MSH-6 (2.3.1)
_DEFAULT = Receiver("", "", 0, World.TEST)


def read_receivers(root: TomlTable, kind: World | None, file: Path) -> tuple[Receiver, ...]:
    """Return the receivers of a profile; note each mistake. `kind` is absent where the profile's own is wrong."""
    receivers: list[Receiver] = []
    for table in root.tables("receivers"):
        receiver = _receiver(table, kind, file)
        if receiver.name and any(other.name == receiver.name for other in receivers):
            table.wrong("name", f"there are two receivers {receiver.name!r}")
        receivers.append(receiver)
    return tuple(receivers)


def _receiver(table: TomlTable, kind: World | None, file: Path) -> Receiver:
    message = table.choice("message", OrderMessage, _DEFAULT.message) or _DEFAULT.message
    receiver = Receiver(
        name=_name(table),
        host=table.text("host"),
        port=table.integer("port", 1, _HIGHEST_PORT),
        world=_world(table, kind),
        message=message,
        events=_events(table),
        receiving_application=_application(table, "receiving_application"),
        receiving_facility=_application(table, "receiving_facility"),
        sending_application=_application(table, "sending_application"),
        sending_facility=_application(table, "sending_facility"),
        version=_one_of(table, "version", VERSIONS[message]),
        character_set=_one_of(table, "character_set", CHARACTER_SETS),
        timeout_seconds=table.integer("timeout_seconds", 1, 600, _DEFAULT.timeout_seconds),
        quiet_seconds=table.integer("quiet_seconds", 0, 86_400, _DEFAULT.quiet_seconds),
        tls=_tls(table, file),
    )
    table.finish()
    return receiver


def _name(table: TomlTable) -> str:
    name = table.text("name")
    if name and not _NAME.fullmatch(name):
        table.wrong("name", f"{name!r} must be 1 to 64 letters, digits, '.', '_' or '-' and begin with no sign")
    return name


def _world(table: TomlTable, kind: World | None) -> World:
    own = kind or World.PRODUCTION
    world = table.choice("world", World, own) or own
    if kind is not None and world is not kind:
        table.wrong("world", f"a receiver of the {world} world in a {kind} profile")
    return world


def _events(table: TomlTable) -> tuple[OrderEvent, ...]:
    given = table.texts("events", [event.value for event in USUAL_EVENTS])
    known = [event.value for event in OrderEvent]
    for unknown in (word for word in given if word not in known):
        table.wrong("events", f"{unknown!r} is none of {quoted(known)}{did_you_mean(unknown, known)}")
    if table.has("events") and not given:
        table.wrong("events", "the receiver would be told nothing: leave it out of the profile")
    return tuple(OrderEvent(word) for word in given if word in known)


def _application(table: TomlTable, key: str) -> str:
    text = table.text(key, getattr(_DEFAULT, key))
    if len(text) > _LONGEST_APPLICATION:
        table.wrong(key, f"has more than {_LONGEST_APPLICATION} characters")
    return text


def _one_of(table: TomlTable, key: str, words: tuple[str, ...]) -> str:
    """Return one of `words`, or the default where the key is absent."""
    default: str = getattr(_DEFAULT, key)
    text = table.text(key, default)
    if table.has(key) and text not in words:
        table.wrong(key, f"{text!r} is none of {quoted(words)}{did_you_mean(text, words)}")
        return default
    return text


def _tls(table: TomlTable, file: Path) -> CallTls | None:
    if table.has("tls"):
        return read_call_tls(table.table("tls"), file)
    table.table("tls", required=False)  # asked for, so that a misspelt key is told of it
    return None
