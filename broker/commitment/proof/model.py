"""The values of a proof, and its states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.commitment.model import Reference


class ProofState(StrEnum):
    """How the proof of one delivered instance stands; who acts next."""

    WAITING = "waiting"  # machine, when due: to be asked for
    ASKED = "asked"  # the destination: its report is awaited; machine when that is overdue
    LACKING = "lacking"  # machine: the destination does not have it, so that it is sent once more
    PROVEN = "proven"  # nobody
    FAILED = "failed"  # a person: the destination does not keep it; its delivery is parked
    NOT_ASKED = "not asked"  # nobody: the destination cannot prove, or a person wants no proof


OPEN = (ProofState.WAITING, ProofState.ASKED, ProofState.LACKING, ProofState.FAILED)
"""While a proof stands so, the spool keeps its instance."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one delivery."""

    id: int
    delivery_id: int
    instance_id: str
    destination: str
    reference: Reference
    state: ProofState
    tries: int  # askings since it was delivered last
    sent_again: bool  # once more, since the destination did not have it
    due: datetime
    delivered: datetime  # the last time
    transaction_uid: str  # of the asking last sent
    reason: str  # in words: why it lacks or failed, or the last trouble
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """One N-ACTION of ours. Its report counts whenever it comes."""

    transaction_uid: str
    destination: str
    created: datetime
    instances: int
    status: int | None = None  # of the answer
    reported: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProverState:
    """How a destination stands as one that proves."""

    name: str
    failures: int = 0  # in a row
    due: datetime | None = None  # not asked again before
    reason: str = ""
    unable: bool = False  # it takes no such requests: until `due` nothing is asked
