"""Whether a recorded fact speaks for a device as it is now: pure. What was recorded is `recorded`'s."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from broker.promotion.model import Fingerprint, Hashes
from broker.registry.model import Binding


class Change(StrEnum):
    """What is not any more as it was when a fact was recorded."""

    REVISION = "its document"
    BINDING = "its binding"
    MAPPING = "the mapping"
    POLICY = "the policy"
    DEVICE = "the device itself"
    VERSION = "our version"
    SETTINGS = "the settings"  # which were in force then is not recorded
    ROUTES = "the routes"
    DESTINATIONS = "the destinations"


Resolve = Callable[[str], frozenset[str]]
"""Returns the addresses of a host, as `plain` writes them; none where it has none."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Under which a fact was recorded. `hashes` are absent where the settings of that time are not known."""

    at: datetime
    revision: str
    binding: Binding
    software: str
    hashes: Hashes | None
    fingerprint: Fingerprint
    address: str | None = None  # None: nobody called, a person said or did it here


@dataclass(frozen=True, slots=True)
class Present:
    """A device as it is now. `since`: when it was seen first; what is older is of the one that it has replaced."""

    revision: str
    binding: Binding
    software: str
    hashes: Hashes
    fingerprint: Fingerprint
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bearing:
    """How a fact bears on the device as it is now: it counts where nothing changed and it is the device's own."""

    changed: tuple[Change, ...] = ()
    foreign: str = ""  # why it is not the device's own
    moved: tuple[Change, ...] = ()  # of what only deliveries depend on

    @property
    def counts(self) -> bool:
        """Whether it is evidence."""
        return not self.changed and not self.foreign


def bearing(of: Circumstances, now: Present, resolve: Resolve) -> Bearing:
    """Return how a fact bears on the device as it is now."""
    if foreign := _elsewhere(of, resolve):
        return Bearing(foreign=foreign)
    is_earlier = now.since is not None and of.at < now.since
    others = differing(of.fingerprint, now.fingerprint)
    if others and not is_earlier:
        return Bearing(foreign=f"of another device ({', '.join(others)})")
    changed = (*_changed(of, now), *((Change.DEVICE,) if is_earlier else ()))
    return Bearing(changed=changed, moved=_moved(of, now))


def differing(one: Fingerprint, other: Fingerprint) -> tuple[str, ...]:
    """Return in what two fingerprints contradict each other, in words; what one does not state contradicts nothing."""
    pairs = ((field.name, getattr(one, field.name), getattr(other, field.name)) for field in fields(Fingerprint))
    return tuple(name.replace("_", " ") for name, a, b in pairs if a and b and a != b)


def plain(address: str) -> str:
    """Return an address in its one spelling: an IPv4 address that came over IPv6 is itself; a name is lower case."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address.lower()
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def is_address(host: str) -> bool:
    """Tell whether a host is stated by its address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _elsewhere(of: Circumstances, resolve: Resolve) -> str:
    if of.address is None:
        return ""
    if not of.binding.host:
        return f"from {of.address}, while it was not bound"
    if plain(of.address) not in resolve(of.binding.host):
        return f"from {of.address}, while it was bound to {of.binding.host}"
    return ""


def _changed(of: Circumstances, now: Present) -> tuple[Change, ...]:
    is_new = of.software != now.software
    then = of.hashes
    # The hash of a mapping has our version in it, so that it says nothing of its own where that changed.
    candidates = {
        Change.REVISION: of.revision != now.revision,
        Change.BINDING: of.binding != now.binding,
        Change.MAPPING: then is not None and not is_new and then.mapping != now.hashes.mapping,
        Change.POLICY: then is not None and then.policy != now.hashes.policy,
        Change.VERSION: is_new,
        Change.SETTINGS: then is None,
    }
    return tuple(change for change, is_so in candidates.items() if is_so)


def _moved(of: Circumstances, now: Present) -> tuple[Change, ...]:
    if of.hashes is None:
        return ()
    candidates = {
        Change.ROUTES: of.hashes.routes != now.hashes.routes,
        Change.DESTINATIONS: of.hashes.destinations != now.hashes.destinations,
    }
    return tuple(change for change, is_so in candidates.items() if is_so)
