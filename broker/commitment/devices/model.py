"""The values of a device's request for storage commitment, and its states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.commitment.model import Outcome, Reference
from broker.registry.model import CommitmentMode, ReportWay


class RequestState(StrEnum):
    """How a device's request stands; who acts next."""

    GATHERING = "gathering"  # machine, when due: not every instance is decided
    READY = "ready"  # machine, when due: its report is to be sent
    REPORTING = "reporting"  # machine, until the lease ends
    REPORTED = "reported"  # nobody
    PARKED = "parked"  # a person: the device did not take its report for days


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, how he is called back, and how he wants to be answered."""

    association_id: str
    calling_ae_title: str
    called_ae_title: str  # the title of ours that he called: the report goes out under it
    device: str  # the registered modality's name, or empty
    mode: CommitmentMode
    way: ReportWay


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """One N-ACTION of a device."""

    id: int
    transaction_uid: str
    asker: Asker
    state: RequestState
    received: datetime
    due: datetime
    tries: int  # of its report
    reason: str  # in words: why its report was not taken the last time
    decided: datetime | None = None
    finished: datetime | None = None
    lease: str = ""
    lease_ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One instance of a request; `outcome` is absent while it is undecided."""

    number: int
    reference: Reference
    outcome: Outcome | None = None
