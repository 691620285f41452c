"""What a profile and the files it names say, as one thing that people approve. Decides nothing about who may.

Production serves the settings that were approved last, whatever its files say meanwhile: a file that differs is a
pending change.
"""

import base64
import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from zoneinfo import ZoneInfo

from broker import __version__, durable
from broker.environments import profile as profiles
from broker.environments.model import Profile, Source
from broker.errors import Misconfigured
from broker.promotion.model import Hashes

_MAPPING_KEYS = ("mapping", "order_control")


@dataclass(frozen=True, slots=True)
class Settings:
    """The bytes of a profile, and of the mapping and order control files that it names, by absolute path."""

    profile: bytes
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def sha256(self) -> str:
        """What names them."""
        digest = hashlib.sha256(self.profile)
        for path, content in self.files:
            digest.update(f"\0{Path(path).name}\0{hashlib.sha256(content).hexdigest()}".encode())
        return digest.hexdigest()

    def packed(self) -> bytes:
        """Return them as one text, which `unpacked` reads."""
        files = {path: base64.b64encode(content).decode() for path, content in self.files}
        return json.dumps({"profile": base64.b64encode(self.profile).decode(), "files": files}).encode()


def unpacked(content: bytes) -> Settings:
    """Return what `packed` wrote."""
    found = json.loads(content)
    files = tuple((path, base64.b64decode(text)) for path, text in found["files"].items())
    return Settings(base64.b64decode(found["profile"]), files)


def of(profile: Profile) -> Settings:
    """Return what the files of this profile say now. Raises Misconfigured for one that cannot be read."""
    named = sorted({path for source in _sources(profile) for path in _files(source)})
    try:
        return Settings(profile.file.read_bytes(), tuple((path, Path(path).read_bytes()) for path in named))
    except OSError as error:
        raise Misconfigured(f"{error.filename}: cannot be read: {error.strerror}") from error


def profile_of(settings: Settings, now: Profile) -> Profile:
    """Return the environment that these settings describe; `now` is what its file says, and says where the state is.

    The files they name are laid out under the state, since those of today may say something else or be gone. Raises
    Misconfigured where they do not hold any more: a certificate that is gone, a key that this version does not know.
    """
    places = {Path(path): _laid_out(now, path, content) for path, content in settings.files}
    return profiles.read_content(settings.profile, now.file, places)


def difference(approved: Settings, pending: Settings) -> list[str]:
    """Return the lines in which they differ, as `diff -u` shows them; secrets are only named in a profile."""
    before, after = _texts(approved), _texts(pending)
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, []), after.get(name, [])
        lines += difflib.unified_diff(old, new, f"{name} (approved)", f"{name} (pending)", lineterm="", n=1)
    return lines


def hashes(profile: Profile) -> Hashes:
    """Return the hashes of what surrounds a device: an evidence that was gathered under others is stale."""
    sources = [asdict(source) for source in _sources(profile)]
    habits = [{key: value for key, value in source.items() if key not in _MAPPING_KEYS} for source in sources]
    policy = {
        "unknown_callers": profile.unknown_callers,
        "exams": asdict(profile.exams),
        "mpps": asdict(profile.mpps),
        "expire_days": profile.expire_days,
        "sources": habits,
    }
    mapping = [[_content(str(source[key])) for key in _MAPPING_KEYS] for source in sources]
    return Hashes(
        destinations=_hash([asdict(destination) for destination in profile.destinations]),
        routes=_hash([asdict(route) for route in profile.routes]),
        policy=_hash(policy),
        mapping=_hash([mapping, __version__]),
    )


def _sources(profile: Profile) -> tuple[Source, ...]:
    return (profile.hl7.default, *profile.hl7.sources)


def _files(source: Source) -> list[str]:
    return [name for name in (source.mapping, source.order_control) if name.endswith(".toml")]


def _content(name: str) -> str:
    """Return a preset's name, or the hash of a file's content."""
    return hashlib.sha256(Path(name).read_bytes()).hexdigest() if name.endswith(".toml") else name


def _laid_out(profile: Profile, path: str, content: bytes) -> Path:
    place = profile.state / "approved" / f"{hashlib.sha256(path.encode() + content).hexdigest()[:16]}.toml"
    if not place.exists():
        durable.make_directory(place.parent)
        durable.discard_leftover(place)
        with durable.DurableFile(place, "settings") as file:
            file.write(content)
            file.commit()
    return place


def _texts(settings: Settings) -> Mapping[str, list[str]]:
    named = {Path(path).name: content for path, content in settings.files}
    contents = {"profile": settings.profile, **named}
    return {name: content.decode("utf-8", "replace").splitlines() for name, content in contents.items()}


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, ZoneInfo):
        return value.key
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)
