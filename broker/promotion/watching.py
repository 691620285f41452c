"""What a device has shown in Production since its cutover, and whether the watch over it may end. Reads; moves nothing.

What is expected first is `firsts`', what went wrong is `troubles`'.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.database import Transaction
from broker.environments import bound
from broker.environments.model import Profile
from broker.errors import Refused
from broker.promotion import facts as reading
from broker.promotion import firsts, gate, store, troubles
from broker.promotion.firsts import First
from broker.promotion.model import Life
from broker.promotion.recorded import traffic_store as traffic
from broker.promotion.recorded.model import Incident
from broker.promotion.troubles import Trouble
from broker.registry import store as registry
from broker.registry.model import Modality

_SERVED = (Life.WATCHED, Life.LIVE, Life.SUSPENDED)
_CUTOVERS = ("applied", "rolled back", "resumed")


@dataclass(frozen=True, slots=True)
class Watch:
    """A device since its cutover."""

    name: str
    environment: str
    life: Life
    since: datetime
    now: datetime
    revision: str
    is_served: bool = True  # a `broker serve` runs there
    place: str = ""  # where it calls from
    firsts: tuple[First, ...] = ()
    exams: int = 0  # complete, delivered, and proven where something proves
    exams_asked: int = 1
    troubles: tuple[Trouble, ...] = ()

    @property
    def awaited(self) -> tuple[First, ...]:
        """What has not been seen yet and must be."""
        return tuple(first for first in self.firsts if first.at is None and first.is_needed)

    @property
    def open_troubles(self) -> tuple[Trouble, ...]:
        """What went wrong and is not over."""
        return tuple(trouble for trouble in self.troubles if trouble.is_open)

    @property
    def has_shown_all(self) -> bool:
        """Whether everything was seen that the policy asks for, and nothing is wrong."""
        return not self.awaited and not self.open_troubles and self.exams >= self.exams_asked

    @property
    def is_good(self) -> bool:
        """Whether nothing more is awaited: it is live, or would be at the next beat."""
        return self.life is Life.LIVE or (self.life is Life.WATCHED and self.has_shown_all)


def read(tx: Transaction, profile: Profile, name: str, now: datetime, at_most: timedelta | None = None) -> Watch:
    """Return what a device has shown since its cutover, or in the time before now that is looked at `at_most`.

    Of one whose cutover is scheduled nothing is seen yet. Raises NotFound, and Refused where there was no cutover.
    """
    if store.life(tx, name) is Life.SCHEDULED:
        return Watch(name, profile.name, Life.SCHEDULED, now, now, "", exams_asked=profile.promotion.watch_exams)
    device = registry.modality(tx, name)
    life = gate.life(tx, name, device)
    cutover = next((line for line in store.history(tx, name) if line.what in _CUTOVERS), None)
    if life not in _SERVED or cutover is None:
        raise Refused(
            f"{name} is {life.value} in {profile.name}: there is no cutover to watch; see broker promote plan"
        )
    since = cutover.at if at_most is None else max(cutover.at, now - at_most)
    seen = reading.read(tx, profile, device, now, since=since)
    return Watch(
        name=name,
        environment=profile.name,
        life=life,
        since=cutover.at,
        now=now,
        revision=device.revision,
        is_served=bool(bound.ports(profile)),
        place=f"{', '.join(device.ae_titles)} at {device.binding.host or 'no place'}",
        firsts=firsts.of(seen, since),
        exams=firsts.whole_exams(seen, since),
        exams_asked=profile.promotion.watch_exams,
        troubles=troubles.of(seen, _refused(tx, device, since), traffic.alerts(tx, name, since), since),
    )


def _refused(tx: Transaction, device: Modality, since: datetime) -> list[Incident]:
    hosts = reading.addresses(device.binding.host) if device.binding.host else frozenset[str]()
    return traffic.rejections(tx, hosts, since, [str(title) for title in device.ae_titles])
