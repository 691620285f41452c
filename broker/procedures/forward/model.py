"""The values of a forwarded N-CREATE or N-SET."""

from dataclasses import dataclass
from datetime import datetime

from broker.owed import OwedState
from broker.procedures.model import Operation


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
    state: OwedState
    tries: int
    due: datetime
    created: datetime
    reason: str  # in words: why parked, or the last failure
    status: int | None = None  # of the last answer
    unanswered: bool = False  # whether it may have been sent and the answer was lost
    lease: str = ""
    lease_ends: datetime | None = None
    finished: datetime | None = None
