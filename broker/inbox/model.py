"""The values of the inbox."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EntryState(StrEnum):
    """How a raw message stands; who acts next."""

    KEPT = "kept"  # a person: processing failed unexpectedly, nothing was answered; replay it
    APPLIED = "applied"  # nobody
    LATE = "late"  # nobody: acknowledged, but older than what is known, so that it changed nothing
    REFUSED = "refused"  # the RIS: answered AE or AR
    PERSON = "person"  # a person: answered AE, and sending it again does not help; replay or dismiss it
    DISMISSED = "dismissed"  # nobody: a person has decided to do nothing
    UNREADABLE = "unreadable"  # a person: no usable MSH, nothing could be answered
    IGNORED = "ignored"  # nobody: an acknowledgement


FOR_PEOPLE = frozenset({EntryState.KEPT, EntryState.PERSON, EntryState.UNREADABLE})
"""The inbox for people: somebody has to look."""


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
    source: str = ""  # the profile's name of the sender
    acknowledgement: bytes = b""  # as it was sent
    repeats: int = 0  # how often the same message came again and got the same answer
    note: str = ""  # what a person did with it: who, and why


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What MSH says, read without decoding the rest; every field is empty where there is no usable MSH."""

    readable: bool  # an MSH with its separators was found
    acknowledgement: bool  # MSH-9.1 is ACK, or MSA is the second segment: never answered
    sending_application: str = ""  # MSH-3
    sending_facility: str = ""  # MSH-4
    message_type: str = ""  # MSH-9
    control_id: str = ""  # MSH-10
    processing_id: str = ""  # MSH-11.1
    receiving_application: str = ""  # MSH-5
    receiving_facility: str = ""  # MSH-6
    payload_sha256: str = ""  # of the message without MSH-7, which a sender renews when it sends again


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a message is answered: `code` AA, AE or AR; empty for no answer at all. The rest says why not.

    With AA, `text` is a warning: the message was taken, and there is something to say about it.
    """

    code: str
    location: str = ""  # e.g. "PID^1^3"
    error_code: str = ""  # table 0357
    text: str = ""


ACCEPTED = Outcome("AA")
NO_ANSWER = Outcome("")
