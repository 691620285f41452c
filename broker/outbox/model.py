"""The values of an outgoing message."""

from dataclasses import dataclass
from datetime import datetime

from broker.environments.model import OrderEvent
from broker.orders.model import StepStatus
from broker.owed import OwedState


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message owed to one receiver. The body says what was true when it was owed and is never built anew."""

    id: int
    receiver: str
    event: OrderEvent
    order_id: int
    step_ids: tuple[str, ...]  # the steps it tells of; empty means all of the order
    generation: int  # the order's, raised by each cancel
    turn: int  # how often this event was told of these steps before, with another one in between
    control_id: str  # MSH-10, the same at every try
    body: bytes
    state: OwedState
    tries: int
    due: datetime
    created: datetime
    code: str  # MSA-1 of the last answer
    reason: str  # in words: why parked, or the last failure
    lease: str = ""  # fencing token of who is sending
    lease_ends: datetime | None = None
    finished: datetime | None = None


EVENT_OF_STATUS: dict[StepStatus, OrderEvent] = {
    StepStatus.STARTED: OrderEvent.STARTED,
    StepStatus.COMPLETED: OrderEvent.COMPLETED,
    StepStatus.DISCONTINUED: OrderEvent.DISCONTINUED,
    StepStatus.SCHEDULED: OrderEvent.SCHEDULED_AGAIN,
}
"""What receivers are told once a step stands so by what was performed."""
