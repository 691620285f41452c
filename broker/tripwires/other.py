"""What is known of the other world: its file of identifiers, its listener, its destinations. Read once, at start."""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from broker.environments import profile as profiles
from broker.environments.model import Destination, Profile, Protocol, World
from broker.errors import Misconfigured
from broker.identifiers import AETitle
from broker.tripwires.file import written_by
from broker.tripwires.model import OTHER_WORLD
from broker.tripwires.table import TRIPWIRES

_LOOPBACK = "127.0.0.1"
_ANY = ("0.0.0.0", "::", "")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Other:
    """The other world. Without a profile of it, its destinations are not known; without address, nothing is sent."""

    file: Path | None = None
    destination: Destination | None = None  # the built-in `other-world`
    profile: Profile | None = None
    problem: str = ""  # why its profile cannot be read
    addresses: frozenset[str] = field(default_factory=frozenset)  # from which it may call


def other_of(profile: Profile) -> Other:
    """Return what a profile says of the other world, and what the other's own profile says. Raises nothing."""
    asked = profile.worlds
    theirs, problem = _read(asked.other)
    file = asked.other_file or (identifiers_of(theirs) if theirs else None)
    destination = _listener(profile, theirs)
    addresses = _addresses(destination.host) if destination else frozenset[str]()
    return Other(file, destination, theirs, problem, addresses)


def identifiers_of(profile: Profile) -> Path:
    """Return where a world writes its identifiers."""
    return profile.worlds.file or profile.state / "identifiers"


def refuse_crossing(profile: Profile, other: Other, off: frozenset[str] = frozenset()) -> None:
    """Raise Misconfigured, a line each, where the two worlds are not apart."""
    lines = [f"{profile.file}: {key}: {text}" for name, key, text in crossings(profile, other) if name not in off]
    if lines:
        raise Misconfigured("\n".join(lines))


def crossings(profile: Profile, other: Other) -> list[tuple[str, str, str]]:
    """Return where the two worlds are not apart: tripwire, key, reason."""
    found = list(_copies(profile, other))
    theirs = other.profile
    if theirs is None:
        return found
    if theirs.kind is profile.kind:
        found.append(("same-kind", "worlds.other", TRIPWIRES["same-kind"].text))
    if theirs.name == profile.name:
        found.append(("same-name", "name", TRIPWIRES["same-name"].text))
    own = [("destinations", each) for each in profile.destinations]
    own += [("mpps.destinations", each) for each in profile.mpps.destinations]
    taken = {place for each in (*theirs.destinations, *theirs.mpps.destinations) for place in _places(each)}
    # Its own listener too: what is to go there goes by the built-in destination, with a reason.
    taken |= {("title", title) for title in titles_of(theirs)} | _address(theirs.dicom.host, theirs.dicom.port)
    text = TRIPWIRES["destination-of-other"].text
    for key, each in own:
        shared = next((place for place in _places(each) if place in taken), None)
        if shared is not None:
            found.append(("destination-of-other", f"{key}.{each.name}", f"{text} ({shared[0]} is {theirs.name}'s too)"))
    tellers = _address(theirs.hl7.host, theirs.hl7.port).union(*(_address(e.host, e.port) for e in theirs.receivers))
    found += [
        ("destination-of-other", f"receivers.{each.name}", f"{text} (address is {theirs.name}'s too)")
        for each in profile.receivers
        if _address(each.host, each.port) & tellers
    ]
    return found


def titles_of(profile: Profile) -> frozenset[str]:
    """Return every title under which a world answers."""
    return frozenset(map(str, (profile.dicom.ae_title, *profile.dicom.aliases)))


def _copies(profile: Profile, other: Other) -> Iterator[tuple[str, str, str]]:
    """Yield where two worlds write in one place, or ours is a copy of another's."""
    own, theirs = identifiers_of(profile), other.profile
    shared = [("worlds.other_file", own == other.file)]
    if theirs is not None:
        shared.append(("state", profile.state.resolve() == theirs.state.resolve()))
        shared.append(("database.url", profile.database_url == theirs.database_url))
    for key, is_shared in shared:
        if is_shared:
            yield "same-state", key, TRIPWIRES["same-state"].text
    if written_by(own) not in ("", profile.name):
        yield "state-of-other", "state", f"{TRIPWIRES['state-of-other'].text} (by {written_by(own)})"


def _places(destination: Destination) -> list[tuple[str, str]]:
    """Return by what a receiver is known: two that share one of these may be one."""
    match destination.protocol:
        case Protocol.DIMSE:
            return [*_address(destination.host, destination.port), ("title", str(destination.ae_title))]
        case Protocol.STOW:
            url = urlsplit(destination.url.lower())
            port = url.port or _PORTS.get(url.scheme, 0)
            return [("url", f"{_host(url.hostname or '')}:{port}{url.path.rstrip('/')}")]
        case Protocol.FOLDER:
            return [("path", str(destination.path.resolve() if destination.path else ""))]


def _address(host: str, port: int) -> set[tuple[str, str]]:
    """Return an address as it is compared; none where the port is any free one."""
    return {("address", f"{_host(host)}:{port}")} if port else set()


def _host(host: str) -> str:
    """Return a host as it is compared: one machine's loopback has many names."""
    plain = host.strip().lower().rstrip(".")
    if plain in ("localhost", *_ANY):
        return _LOOPBACK
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return plain
    return _LOOPBACK if address.is_loopback else str(address)


def _read(file: Path | None) -> tuple[Profile | None, str]:
    if file is None:
        return None, ""
    try:
        return profiles.read(file), ""
    except Misconfigured:
        return None, f"{file.name} cannot be read"


def _listener(profile: Profile, theirs: Profile | None) -> Destination | None:
    asked = profile.worlds
    world = World.TEST if profile.kind is World.PRODUCTION else World.PRODUCTION
    if asked.host:
        return Destination(
            OTHER_WORLD, Protocol.DIMSE, world, host=asked.host, port=asked.port, ae_title=AETitle(asked.ae_title)
        )
    if theirs is None or not theirs.dicom.plain or not theirs.dicom.port:
        return None
    host = _LOOPBACK if theirs.dicom.host in _ANY else theirs.dicom.host
    return Destination(
        OTHER_WORLD, Protocol.DIMSE, world, host=host, port=theirs.dicom.port, ae_title=theirs.dicom.ae_title
    )


def _addresses(host: str) -> frozenset[str]:
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset()
