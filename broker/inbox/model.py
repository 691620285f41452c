"""The values of the inbox."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EntryState(StrEnum):
    """How a raw message stands; who acts next."""

    KEPT = "kept"  # machine: being processed, or left by a crash and to be sent again by the RIS
    APPLIED = "applied"  # nobody
    REFUSED = "refused"  # the RIS, or a person: answered AE or AR
    UNREADABLE = "unreadable"  # a person: no usable MSH, nothing could be answered
    IGNORED = "ignored"  # nobody: an acknowledgement


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where and when a message came from."""

    received: datetime
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A message as it arrived, and what became of it."""

    id: int
    arrival: Arrival
    raw: bytes
    sha256: str
    sending_application: str  # MSH-3
    sending_facility: str  # MSH-4
    message_type: str  # MSH-9
    control_id: str  # MSH-10
    state: EntryState
    acknowledgement_code: str = ""  # MSA-1
    error_location: str = ""  # e.g. "PID^1^3"
    error_code: str = ""  # table 0357
    error_text: str = ""


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What MSH says, read without decoding the rest; every field is empty where there is no usable MSH."""

    readable: bool  # an MSH with its separators was found
    acknowledgement: bool  # MSH-9.1 is ACK, or MSA is the second segment: never answered
    sending_application: str = ""  # MSH-3
    sending_facility: str = ""  # MSH-4
    message_type: str = ""  # MSH-9
    control_id: str = ""  # MSH-10


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a message is answered: `code` AA, AE or AR; empty for no answer at all. The rest says why not."""

    code: str
    location: str = ""  # e.g. "PID^1^3"
    error_code: str = ""  # table 0357
    text: str = ""


ACCEPTED = Outcome("AA")
NO_ANSWER = Outcome("")
