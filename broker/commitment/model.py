"""The words of storage commitment, for both directions (PS3.4 annex J)."""

from dataclasses import dataclass
from enum import IntEnum

from broker.dimse.contexts import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH,
)
from broker.errors import Rejected

SOP_CLASS = STORAGE_COMMITMENT_PUSH
SOP_INSTANCE = "1.2.840.10008.1.20.1.1"  # well-known, of both messages (PS3.4 J.3.5)
SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)

REQUEST = 1  # Action Type ID: Request Storage Commitment
ALL_COMMITTED = 1  # Event Type ID: Storage Commitment Request Successful
FAILURES_EXIST = 2  # Event Type ID: Storage Commitment Request Complete - Failures Exist

NOT_AUTHORISED = 0x0124  # PS3.7 annex C

MOST_REFERENCES = 500
"""In one request of ours: receivers keep requests in memory, some for days."""


class Failure(IntEnum):
    """Why an instance is not committed: FailureReason (0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


_TEXTS = {
    Failure.PROCESSING_FAILURE: "a failure in processing",
    Failure.NO_SUCH_INSTANCE: "it does not have the instance",
    Failure.CLASS_INSTANCE_CONFLICT: "it has it under another SOP class",
    Failure.CLASS_NOT_SUPPORTED: "it does not support the SOP class",
    Failure.DUPLICATE_TRANSACTION: "the transaction UID was in use",
    Failure.RESOURCE_LIMITATION: "it is out of resources",
}


def failure_text(reason: int) -> str:
    """Return a FailureReason in words, with its number."""
    text = _TEXTS[Failure(reason)] if reason in set(Failure) else "a reason that the standard does not have"
    return f"{text} ({reason:04X})"


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance, as requests and reports name it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance: committed, or the FailureReason why not."""

    reference: Reference
    failure: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An N-ACTION as its data set says."""

    transaction_uid: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """An N-EVENT-REPORT as its data set says."""

    transaction_uid: str
    outcomes: tuple[Outcome, ...]

    @property
    def event_type(self) -> int:
        """Whether all were committed."""
        return FAILURES_EXIST if any(one.failure is not None for one in self.outcomes) else ALL_COMMITTED


class CommitmentRefused(Rejected):
    """A request or report at fault; `status` is what is answered (PS3.7 10.1.4, 10.1.1)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
