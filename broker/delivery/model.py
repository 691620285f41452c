"""The values of a delivery, and its states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.environments.model import Priority


class DeliveryState(StrEnum):
    """How one instance owed to one destination stands; who acts next."""

    WAITING = "waiting"  # machine, when due and when the destination is well
    SENDING = "sending"  # machine, until the lease ends
    DELIVERED = "delivered"  # nobody
    PARKED = "parked"  # a person: the destination refused this instance, or no route took it
    HELD = "held"  # a person: held by hand, or by a rule of the profile


RANK = {Priority.STAT: 0, Priority.HIGH: 1, Priority.ROUTINE: 2, Priority.LOW: 3}
"""The lower, the sooner; so it is kept."""

NO_ROUTE = "no-route"
"""The destination's name of a delivery that stands for 'no route took this instance'; always PARKED."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One instance owed to one destination."""

    id: int
    instance_id: str
    destination: str
    state: DeliveryState
    tries: int
    due: datetime
    created: datetime
    reason: str  # in words: why parked, or the last failure
    status: int | None = None  # the peer's last C-STORE status
    lease: str = ""  # fencing token of who is sending
    lease_ends: datetime | None = None
    finished: datetime | None = None
    priority: Priority = Priority.ROUTINE
    since: datetime | None = None  # of the first failure in a row
    syntax: str = ""  # the transfer syntax in which it is sent instead of its own


@dataclass(frozen=True, slots=True)
class DestinationState:
    """How a destination stands, apart from any instance."""

    name: str
    failures: int  # in a row
    due: datetime | None  # not asked again before
    reason: str  # the likely cause in words
    since: datetime | None  # of the first failure in this row
    told: int = 0  # how far a person has been told of this row: see `escalation`
    held: str = ""  # by whom and why everything to it is held; empty: it is not
    held_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is owed to one destination and not sent."""

    count: int
    failing: int  # of these: tried, and failed in passing
    failing_since: datetime | None  # the first failure of those
