"""One batch on its way to one destination, and what is known of it so far. Records nothing and sends nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.delivery.desk import Desk
from broker.delivery.model import DestinationState
from broker.environments import schedules
from broker.environments.model import Destination, Priority
from broker.errors import BrokerError
from broker.spool.model import SpooledInstance


def is_open(desk: Desk, destination: Destination, priority: Priority) -> bool:
    """Tell whether the hour is one in which the destination is sent what has this priority."""
    if not destination.schedule or (priority is Priority.STAT and destination.stat_any_time):
        return True
    return schedules.is_within(destination.schedule, desk.clock.now().astimezone(desk.zone))


@dataclass(slots=True)
class Turn:
    """A batch that is leased. Who sends it and who records its outcomes are two threads: each field has one writer."""

    desk: Desk
    destination: Destination
    stopping: Callable[[], bool]
    token: str  # the lease
    lease_seconds: float
    before: DestinationState
    left: dict[int, SpooledInstance]  # leased and not spoken of yet
    until: datetime  # what is left is ours: afterwards it may be another's
    is_held: bool = False  # by a person; known since the last record
    is_over: bool = False  # its hours
    is_told: bool = False  # the sender, that it is enough
    answered: bool = False  # about an instance, so that the destination is well
    pause: str = ""  # why the destination needs time
    failure: BrokerError | None = None  # of the destination

    def is_enough(self) -> bool:
        """Tell whether nothing further is to be begun."""
        is_ended = self.is_held or self.is_over or self.desk.clock.now() >= self.until
        return bool(self.pause) or is_ended or self.stopping()
