"""The HL7 table of a profile: listeners, and the habits of each sending system. Names files and opens none."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from broker.environments.dicom import read_listener_tls
from broker.environments.limits import read_silence
from broker.environments.model import (
    AcknowledgedBy,
    Appointments,
    Hl7Settings,
    LateStatements,
    Source,
    UnknownCallers,
    World,
)
from broker.environments.reading import TomlTable, did_you_mean, quoted

_HIGHEST_PORT = 65535
_PROCESSING_IDS = {World.PRODUCTION: ("P",), World.TEST: ("T", "D")}
# HL7 table 0103.
_KNOWN_PROCESSING_IDS = ("P", "T", "D")
_LONGEST_AUTHORITY = 64  # of IssuerOfPatientID, an LO


NOWHERE_ELSE: Mapping[Path, Path] = {}


@dataclass(frozen=True, slots=True)
class _Files:
    """The profile, to which paths are relative, and where a file that it names is instead."""

    profile: Path
    places: Mapping[Path, Path]


def read_hl7(
    table: TomlTable, kind: World | None, zone: ZoneInfo, file: Path, places: Mapping[Path, Path] = NOWHERE_ELSE
) -> Hl7Settings:
    """Return `[hl7]` with `[hl7.tls]` and `[[hl7.sources]]`; note each mistake."""
    files = _Files(file, places)
    ids = _processing_ids(table, _PROCESSING_IDS[kind or World.PRODUCTION], with_empty=False)
    default = _habits(table, Source("default", processing_ids=ids, timezone=zone), files)
    settings = Hl7Settings(
        host=table.text("host"),
        port=table.integer("port", 0, _HIGHEST_PORT),
        processing_ids=ids,
        plain=table.flag("plain", default=True),
        tls=read_listener_tls(table.table("tls"), file) if table.has("tls") else None,
        allow=_networks(table, "allow"),
        connections=table.integer("connections", 1, 10_000, 512),
        default=default,
        unknown_sources=table.choice("unknown_sources", UnknownCallers, UnknownCallers.ACCEPT) or UnknownCallers.ACCEPT,
        sources=tuple(_source(source, default, files) for source in table.tables("sources")),
        silence=read_silence(table),
    )
    _refuse_contradictions(table, settings)
    table.finish()
    return settings


def _source(table: TomlTable, default: Source, files: "_Files") -> Source:
    own = Source(
        name=table.text("name"),
        sending_application=table.text("sending_application", ""),
        sending_facility=table.text("sending_facility", ""),
        addresses=_networks(table, "addresses"),
        processing_ids=_processing_ids(table, default.processing_ids, with_empty=True),
        receiving_applications=default.receiving_applications,
        receiving_facilities=default.receiving_facilities,
        timezone=_zone(table, default.timezone),
        patient_authority=default.patient_authority,
        character_sets=default.character_sets,
        mapping=default.mapping,
        order_control=default.order_control,
        acknowledged_by=default.acknowledged_by,
        appointments=default.appointments,
        late=default.late,
        retries_on_reject=default.retries_on_reject,
    )
    source = _habits(table, own, files)
    if not (source.sending_application or source.sending_facility):
        table.wrong("sending_application", "is missing: by what is this sender known? Or give sending_facility")
    table.finish()
    return source


def _habits(table: TomlTable, default: Source, files: "_Files") -> Source:
    """Return what may be said of all senders, and of one."""
    authority = table.text("patient_authority", default.patient_authority)
    if len(authority) > _LONGEST_AUTHORITY:
        table.wrong("patient_authority", f"has more than {_LONGEST_AUTHORITY} characters")
    return Source(
        name=default.name,
        sending_application=default.sending_application,
        sending_facility=default.sending_facility,
        addresses=default.addresses,
        processing_ids=default.processing_ids,
        receiving_applications=table.texts("receiving_applications", default.receiving_applications),
        receiving_facilities=table.texts("receiving_facilities", default.receiving_facilities),
        timezone=default.timezone,
        patient_authority=authority,
        character_sets=table.texts("character_sets", default.character_sets),
        mapping=_file_or_name(table, "mapping", default.mapping, files),
        order_control=_file_or_name(table, "order_control", default.order_control, files),
        acknowledged_by=table.choice("acknowledged_by", AcknowledgedBy, default.acknowledged_by)
        or default.acknowledged_by,
        appointments=table.choice("appointments", Appointments, default.appointments) or default.appointments,
        late=table.choice("late", LateStatements, default.late) or default.late,
        retries_on_reject=table.flag("retries_on_reject", default.retries_on_reject),
    )


def _processing_ids(table: TomlTable, default: tuple[str, ...], *, with_empty: bool) -> tuple[str, ...]:
    known = (*_KNOWN_PROCESSING_IDS, "") if with_empty else _KNOWN_PROCESSING_IDS
    ids = table.texts("processing_ids", default)
    for unknown in (value for value in ids if value not in known):
        table.wrong("processing_ids", f"{unknown!r} is none of {quoted(known)}")
    if not ids:
        table.wrong("processing_ids", "no message would be taken")
    return ids


def _networks(table: TomlTable, key: str) -> tuple[str, ...]:
    networks = table.texts(key, ())
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            table.wrong(key, f"{network!r} is no address or network such as '10.1.0.0/16'")
    return networks


def _zone(table: TomlTable, default: ZoneInfo) -> ZoneInfo:
    name = table.text("timezone", default.key)
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        table.wrong("timezone", f"unknown time zone {name!r}{did_you_mean(name, available_timezones())}")
        return default


def _file_or_name(table: TomlTable, key: str, default: str, files: "_Files") -> str:
    """Return a file's absolute path, or a preset's name as it stands."""
    given = table.text(key, default)
    if not given.endswith(".toml"):
        return given
    path = (files.profile.parent / given).resolve()
    path = files.places.get(path, path)
    if not path.is_file():
        table.wrong(key, f"there is no file {path}")
    return str(path)


def _refuse_contradictions(table: TomlTable, settings: Hl7Settings) -> None:
    if not settings.plain and settings.tls is None:
        table.wrong("plain", "no listener would be left: add [hl7.tls]")
    if settings.unknown_sources is UnknownCallers.REJECT and not settings.sources:
        table.wrong("unknown_sources", "'reject' without any [[hl7.sources]]: no message would be taken")
    names = [source.name for source in settings.sources]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        table.wrong("sources", f"there are two sources {name!r}")
