"""What people have told an environment, as one readable file: settings, devices, bindings, statements. Pure.

Each part's hash stands in a list, the list's hash names the whole, and where a key is at hand it is signed: the hashes
tell damage, the signature an alteration. What was received is a backup's, not this file's.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from broker.environments.model import World
from broker.errors import BrokerError, Refused
from broker.identifiers import AETitle
from broker.promotion.model import Fingerprint
from broker.promotion.settings import Settings
from broker.promotion.statements.model import Kind, Statement
from broker.registry.model import Binding

FORMAT = "broker export 1"


@dataclass(frozen=True, slots=True)
class Exported:
    """One device: its document, where it is, and what people said of it."""

    name: str
    content: bytes
    binding: Binding
    is_retired: bool = False
    statements: tuple[Statement, ...] = ()

    @property
    def revision(self) -> str:
        """What names its document."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Whole:
    """An environment, or one device of it: then without settings. Paths of files are relative to the profile."""

    environment: str
    world: World
    site: str
    software: str
    made: datetime
    devices: tuple[Exported, ...]
    settings: Settings | None = None
    is_signed: bool = False  # with our key, found good
    sha256: str = ""

    def device(self, name: str) -> Exported:
        """Return one device. Raises Refused."""
        found = next((each for each in self.devices if each.name == name), None)
        if found is None:
            raise Refused(f"the export has no device {name!r}")
        return found


def written(whole: Whole, key: bytes | None) -> bytes:
    """Return the file."""
    parts = _parts(whole)
    hashes = {name: _hash(part) for name, part in parts.items()}
    total = _hash(hashes)
    signed = {"sha256": total, "signature": _signature(key, total) if key else ""}
    return (
        json.dumps({"format": FORMAT, **parts, "hashes": hashes, **signed}, indent=1, ensure_ascii=False) + "\n"
    ).encode()


def read(content: bytes, key: bytes | None) -> Whole:
    """Return what an export says, found whole. Raises Refused, and names what is damaged or was altered."""
    try:
        said = json.loads(content)
        if said["format"] != FORMAT:
            raise Refused(f"this is {said['format']!r}, not {FORMAT!r}")
        _refuse_damaged(said)
        is_signed = bool(key) and hmac.compare_digest(str(said["signature"]), _signature(key or b"", said["sha256"]))
        return replace(_value(said), is_signed=is_signed, sha256=said["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BrokerError):
            raise
        raise Refused("this file is no export, or it was cut: broker env export writes one") from error


def _refuse_damaged(said: Mapping[str, Any]) -> None:
    parts = {name: part for name, part in said.items() if name not in ("format", "hashes", "sha256", "signature")}
    hashes = said["hashes"]
    differing = [name for name in {**parts, **hashes} if name not in parts or _hash(parts[name]) != hashes.get(name)]
    if differing:
        raise Refused(f"the export is damaged or was altered: {', '.join(differing)} is not as its hash says")
    if _hash(hashes) != said["sha256"]:
        raise Refused("the export is damaged or was altered: its list of hashes is not what it was")


# --- the parts -----------------------------------------------------------------------------------------------------


def _parts(whole: Whole) -> dict[str, Any]:
    origin = {
        "environment": whole.environment,
        "world": whole.world.value,
        "site": whole.site,
        "software": whole.software,
        "made": whole.made.isoformat(),
    }
    parts: dict[str, Any] = {"origin": origin}
    if whole.settings is not None:
        parts["profile"] = _lines(whole.settings.profile)
        parts |= {f"file {path}": _lines(content) for path, content in whole.settings.files}
    return parts | {f"modality {device.name}": _device(device) for device in whole.devices}


def _device(device: Exported) -> dict[str, Any]:
    return {
        "revision": device.revision,
        "retired": device.is_retired,
        "binding": {key: value or "" for key, value in asdict(device.binding).items()},
        "statements": [_statement(each) for each in device.statements],
        "document": _lines(device.content),
    }


def _statement(said: Statement) -> dict[str, Any]:
    values = asdict(said) | {"kind": said.kind.value, "at": said.at.isoformat()}
    return {key: value for key, value in values.items() if key not in ("id", "device")}


def _value(said: Mapping[str, Any]) -> Whole:
    origin = said["origin"]
    files = [(name.removeprefix("file "), _joined(part)) for name, part in said.items() if name.startswith("file ")]
    return Whole(
        environment=origin["environment"],
        world=World(origin["world"]),
        site=origin["site"],
        software=origin["software"],
        made=datetime.fromisoformat(origin["made"]),
        devices=tuple(
            _read_device(name.removeprefix("modality "), part)
            for name, part in said.items()
            if name.startswith("modality ")
        ),
        settings=Settings(_joined(said["profile"]), tuple(files)) if "profile" in said else None,
    )


def _read_device(name: str, part: Mapping[str, Any]) -> Exported:
    statements = tuple(_read_statement(name, each) for each in part["statements"])
    device = Exported(name, _joined(part["document"]), _binding(part["binding"]), part["retired"], statements)
    if device.revision != part["revision"]:
        raise Refused(f"the export contradicts itself: the document of {name} is not the revision that it names")
    return device


def _read_statement(device: str, part: Mapping[str, Any]) -> Statement:
    return Statement(
        device=device,
        check=part["check"],
        kind=Kind(part["kind"]),
        text=part["text"],
        by=part["by"],
        at=datetime.fromisoformat(part["at"]),
        revision=part["revision"],
        binding=_binding(part["binding"]),
        software=part["software"],
        fingerprint=Fingerprint(**part["fingerprint"]),
    )


def _binding(part: Mapping[str, Any]) -> Binding:
    titles = {key: AETitle(part[key]) if part[key] else None for key in ("ae_title", "station")}
    return Binding(part["host"], int(part["port"] or 0), **titles)


def _lines(content: bytes) -> list[str]:
    """Return a file as its lines, with what ends each: joined again it is the same octets."""
    text = content.decode("utf-8")
    return [line for line in text.splitlines(keepends=True) if line]


def _joined(lines: list[str]) -> bytes:
    return "".join(lines).encode("utf-8")


def _hash(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def _signature(key: bytes, total: str) -> str:
    return hmac.new(key, FORMAT.encode() + b"\0" + total.encode(), "sha256").hexdigest()
