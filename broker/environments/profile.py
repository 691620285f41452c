"""Profile files: finds them, reads one into frozen values, and names every mistake at once. Opens nothing else."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from broker.environments.commitment import ProofBy, read_commitment, read_proof
from broker.environments.corrections import read_correction
from broker.environments.dicom import read_call_tls, read_dicom
from broker.environments.disk import read_disk
from broker.environments.hl7 import NOWHERE_ELSE, read_hl7
from broker.environments.limits import read_exams, read_expiry, read_retention
from broker.environments.model import (
    Destination,
    HttpSettings,
    Profile,
    Protocol,
    UnknownCallers,
    World,
)
from broker.environments.mpps import read_mpps
from broker.environments.promotion import read_promotion
from broker.environments.reading import Mistakes, TomlTable, did_you_mean, parse
from broker.environments.receivers import read_receivers
from broker.environments.routes import read_routes
from broker.environments.schedules import read_hours
from broker.environments.stow import read_base_url, read_stow
from broker.environments.worlds import read_worlds
from broker.errors import NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REFERENCE = re.compile(r"\$\{ENV:([^}]*)\}")
_RESERVED_DESTINATIONS = ("no-route", "other-world")
_POSTGRESQL = "postgresql+psycopg://"
_HIGHEST_PORT = 65535
_MOST_ASSOCIATIONS = 16
_LEAST_KBIT, _MOST_KBIT = 64, 10_000_000  # below, a peer's timer ends what we send
_DIMSE_PROOFS = tuple(ProofBy)
_KEYS = {
    "hl7": "hl7",
    "hl7_tls": "hl7.tls",
    "dicom": "dicom",
    "dicom_tls": "dicom.tls",
    "http": "http",
}  # of the listeners' tables


def folder() -> Path:
    """Return the folder of the profiles: `$BROKER_ENVIRONMENTS`, by default `environments/` here."""
    return Path(os.environ.get("BROKER_ENVIRONMENTS") or "environments")


def available() -> list[Path]:
    """Return every profile in `folder()`, by name."""
    return sorted(folder().glob("*.toml"))


def find(name_or_path: str) -> Path:
    """Return the file of a profile by its name in `folder()`, or by its path. Raises NotFound."""
    named = folder() / f"{name_or_path}.toml"
    if _NAME.fullmatch(name_or_path) and named.is_file():
        return named
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = [file.stem for file in available()]
    found = ", ".join(names) or "none"
    hint = did_you_mean(name_or_path, names) or "."
    raise NotFound(f"there is no environment {name_or_path!r}{hint} Found in {folder()}: {found}")


def read(file: Path) -> Profile:
    """Return the environment that `file` describes; relative paths in it are relative to the file.

    Raises Misconfigured whose text names every mistake, a line each: `file: key: reason`.
    """
    return read_content(_content(file), file)


def read_content(content: bytes, file: Path, places: Mapping[Path, Path] = NOWHERE_ELSE) -> Profile:
    """Return the environment that `content` describes as if it stood in `file`. Raises Misconfigured as `read` does.

    `places` says where a file that it names is instead.
    """
    root = parse(content, str(file))
    profile = _profile(root, file.absolute(), places)
    root.finish()
    root.mistakes.stop()
    return profile


def _content(file: Path) -> bytes:
    mistakes = Mistakes(str(file))
    content = b""
    try:
        content = file.read_bytes()
    except OSError as error:
        mistakes.add("file", f"cannot be read: {error.strerror}")
    mistakes.stop()
    return content


def _profile(root: TomlTable, file: Path, places: Mapping[Path, Path]) -> Profile:
    # Absent where it is wrong: then nothing is measured against it.
    kind = root.choice("kind", World)
    state = _path(root, "state", file)
    zone = _timezone(root)
    hl7 = read_hl7(root.table("hl7"), kind, zone, file, places)
    dicom, http = read_dicom(root.table("dicom"), file), _http(root.table("http"))
    destinations = _destinations(root, kind, file)
    retention_days, spool_hours = read_retention(root)
    profile = Profile(
        file=file,
        name=_name(root),
        kind=kind or World.PRODUCTION,
        site=root.text("site", ""),
        timezone=zone,
        state=state,
        database_url=_database_url(root.table("database", required=False), state, file),
        hl7=hl7,
        dicom=dicom,
        http=http,
        unknown_callers=_unknown_callers(root.table("policy", required=False), kind),
        destinations=destinations,
        routes=read_routes(root, [destination.name for destination in destinations]),
        receivers=read_receivers(root, kind, file),
        mpps=read_mpps(root, kind, file),
        exams=read_exams(root),
        expire_days=_worklist(root),
        retention_days=retention_days,
        commitment=read_commitment(root),
        disk=read_disk(root),
        spool_hours=spool_hours,
        promotion=read_promotion(root, file),
        worlds=read_worlds(root, file),
    )
    _refuse_shared_ports(root, profile.ports)
    return profile


def _name(table: TomlTable) -> str:
    name = table.text("name")
    if name and not _NAME.fullmatch(name):
        table.wrong("name", f"{name!r} must be 1 to 64 letters, digits, '.', '_' or '-' and begin with no sign")
    return name


def _path(table: TomlTable, key: str, file: Path) -> Path:
    return (file.parent / table.text(key)).resolve()


def _timezone(root: TomlTable) -> ZoneInfo:
    name = root.text("timezone")
    try:
        return ZoneInfo(name or "UTC")
    # Unknown, malformed ("../x"), or a folder of zones ("Europe").
    except (KeyError, ValueError, OSError):
        root.wrong("timezone", f"unknown time zone {name!r}{did_you_mean(name, available_timezones())}")
        return ZoneInfo("UTC")


def _database_url(table: TomlTable, state: Path, file: Path) -> str:
    url = table.text("url", f"sqlite:///{state / 'broker.db'}")
    table.finish()
    # A reference keeps a secret out of the file; the value is never part of a message.
    for variable in _REFERENCE.findall(url):
        if variable not in os.environ:
            table.wrong("url", f"the environment variable {variable!r} is not set")
    url = _REFERENCE.sub(lambda match: os.environ.get(match[1], ""), url)
    if url.startswith("sqlite:///"):
        return _sqlite_url(table, url.removeprefix("sqlite:///"), file)
    if url.startswith("postgresql://"):
        return _POSTGRESQL + url.removeprefix("postgresql://")
    if not url.startswith(_POSTGRESQL):
        table.wrong("url", f"must begin with 'sqlite:///' or {_POSTGRESQL!r}")
    return url


def _sqlite_url(table: TomlTable, path: str, file: Path) -> str:
    if path in ("", ":memory:"):
        table.wrong("url", "a database in memory would forget everything")
    return f"sqlite:///{(file.parent / path).resolve()}"


def _http(table: TomlTable) -> HttpSettings:
    settings = HttpSettings(_host(table), _listening_port(table))
    table.finish()
    return settings


def _host(table: TomlTable) -> str:
    return table.text("host")


def _listening_port(table: TomlTable) -> int:
    return table.integer("port", 0, _HIGHEST_PORT)


def _refuse_shared_ports(root: TomlTable, ports: dict[str, int]) -> None:
    first: dict[int, str] = {}
    for listener, port in ports.items():
        # 0 is any free port, -1 a mistake named already.
        if port > 0 and first.setdefault(port, listener) != listener:
            root.wrong(f"{_KEYS[listener]}.port", f"{port} is also the port of {_KEYS[first[port]]}")


def _unknown_callers(table: TomlTable, kind: World | None) -> UnknownCallers:
    policy = table.choice("unknown_callers", UnknownCallers, UnknownCallers.REJECT)
    if policy is UnknownCallers.ACCEPT and kind is World.PRODUCTION:
        table.wrong("unknown_callers", "'accept' is refused in production: register each device")
    table.finish()
    return policy or UnknownCallers.REJECT


def _worklist(root: TomlTable) -> int:
    table = root.table("worklist", required=False)
    expire_days = read_expiry(table)
    table.finish()
    return expire_days


def _destinations(root: TomlTable, kind: World | None, file: Path) -> tuple[Destination, ...]:
    destinations: list[Destination] = []
    for table in root.tables("destinations"):
        destination = _destination(table, kind, file)
        if destination.name and any(other.name == destination.name for other in destinations):
            table.wrong("name", f"there are two destinations {destination.name!r}")
        destinations.append(destination)
    return tuple(destinations)


def _destination(table: TomlTable, kind: World | None, file: Path) -> Destination:
    name = _name(table)
    if name in _RESERVED_DESTINATIONS:
        table.wrong("name", f"{name!r} has a meaning of its own; choose another")
    world = table.choice("world", World, kind or World.PRODUCTION) or kind or World.PRODUCTION
    if kind is not None and world is not kind:
        table.wrong("world", f"a destination of the {world} world in a {kind} profile")
    schedule, stat_any_time = read_hours(table, "schedule"), table.flag("stat_any_time", default=False)
    if stat_any_time and not schedule:
        table.wrong("stat_any_time", "says nothing without a schedule")
    correction = read_correction(table)
    destination = _reached(table, name, world, file)
    return replace(destination, schedule=schedule, stat_any_time=stat_any_time, correction=correction)


def _reached(table: TomlTable, name: str, world: World, file: Path) -> Destination:
    """Return a destination by its protocol, whose keys these are."""
    match table.choice("protocol", Protocol):
        case Protocol.DIMSE:
            return _dimse(table, name, world, file)
        case Protocol.FOLDER:
            return _folder(table, name, world, file)
        case Protocol.STOW:
            return _stow(table, name, world, file)
    # Which keys belong here is not known without a usable protocol.
    return Destination(name, Protocol.FOLDER, world)


def _dimse(table: TomlTable, name: str, world: World, file: Path) -> Destination:
    calling = table.text("calling", "broker")
    if calling not in ("broker", "device"):
        calling = table.as_title("calling", calling)
    host, port, title = _host(table), table.integer("port", 1, _HIGHEST_PORT), table.title("ae_title")
    tls = read_call_tls(table.table("tls"), file) if table.has("tls") else None
    bandwidth, associations = read_bandwidth(table), table.integer("associations", 1, _MOST_ASSOCIATIONS, 1)
    transcode = table.flag("transcode", default=False)
    proof = read_proof(table, _DIMSE_PROOFS, ProofBy.AUTO)
    table.finish()
    return Destination(
        name,
        Protocol.DIMSE,
        world,
        host=host,
        port=port,
        ae_title=title,
        calling=calling,
        tls=tls,
        bandwidth_kbit=bandwidth,
        associations=associations,
        transcode=transcode,
        proof=proof,
    )


def read_bandwidth(table: TomlTable) -> int:
    """Return the kbit/s that a destination may take at most; 0 is as fast as it takes them."""
    return table.integer("bandwidth_kbit", _LEAST_KBIT, _MOST_KBIT, 0) if table.has("bandwidth_kbit") else _any(table)


def _any(table: TomlTable) -> int:
    return table.integer("bandwidth_kbit", 0, 0, 0)  # asked for, so that a misspelt key is told of it


def _stow(table: TomlTable, name: str, world: World, file: Path) -> Destination:
    url = read_base_url(table)
    settings = read_stow(table, url, file)
    tls = read_call_tls(table.table("tls"), file) if table.has("tls") else None
    if tls is not None and url.startswith("http://"):
        table.wrong("tls", "is there, but url begins with http://")
    bandwidth, associations = read_bandwidth(table), table.integer("associations", 1, _MOST_ASSOCIATIONS, 1)
    transcode = table.flag("transcode", default=False)
    proof = read_proof(table, (ProofBy.QIDO, ProofBy.NONE), ProofBy.NONE)
    table.finish()
    return Destination(
        name,
        Protocol.STOW,
        world,
        url=url,
        tls=tls,
        stow=settings,
        bandwidth_kbit=bandwidth,
        associations=associations,
        transcode=transcode,
        proof=proof,
    )


def _folder(table: TomlTable, name: str, world: World, file: Path) -> Destination:
    path = _path(table, "path", file)
    table.finish()
    return Destination(name, Protocol.FOLDER, world, path=path)
