"""The values of a forwarded N-CREATE or N-SET, and its states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.procedures.model import Operation


class ForwardState(StrEnum):
    """How one request owed to one destination stands; who acts next."""

    WAITING = "waiting"  # machine, when due and when nothing before it waits
    SENDING = "sending"  # machine, until the lease ends
    DELIVERED = "delivered"  # nobody
    PARKED = "parked"  # a person: the destination refuses it; later requests of the same step wait for it
    DISCARDED = "discarded"  # nobody: a person decided that it is not to be sent


OPEN = (ForwardState.WAITING, ForwardState.SENDING)
"""What the machine still has to send."""


@dataclass(frozen=True, slots=True)
class Forward:
    """One request owed to one destination, with what is sent: the data set as it came."""

    id: int
    destination: str
    performed_step: int
    sop_instance_uid: str
    operation: Operation
    transfer_syntax: str
    data: bytes
    calling_ae_title: str
    state: ForwardState
    tries: int
    due: datetime
    created: datetime
    reason: str  # in words: why parked, or the last failure
    status: int | None = None  # of the last answer
    unanswered: bool = False  # whether it may have been sent and the answer was lost
    lease: str = ""
    lease_ends: datetime | None = None
    finished: datetime | None = None
