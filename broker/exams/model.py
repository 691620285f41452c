"""The values of an exam: what other stages recorded of one Requested Procedure, and the lines of its ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.commitment.proof.model import Proof
from broker.delivery.correction.model import Applied
from broker.delivery.model import DeliveryState
from broker.inbox.model import InboxEntry
from broker.orders.history import HistoryEntry
from broker.orders.model import StoredOrder
from broker.outbox.model import OutboxMessage
from broker.procedures.model import StoredStep, Unlinked
from broker.worklist.model import WorklistItem


class Stage(StrEnum):
    """The stages of an exam, in their order."""

    ORDERED = "ordered"
    OFFERED = "offered"
    STARTED = "started"
    COMPLETED = "completed"
    RECEIVED = "received"
    DELIVERED = "delivered"
    PROVEN = "proven"
    REPORTED = "reported"


class Mark(StrEnum):
    """How a stage stands; who acts next."""

    DONE = "done"  # nobody
    PARTLY = "partly"  # the machine, or the modality: it goes on
    NOT_YET = "not yet"  # it has not begun
    PERSON = "person"  # a person: it does not go on by itself
    NOT_ASKED = "not asked"  # nobody: nothing here asks for it


@dataclass(frozen=True, slots=True)
class Offered:
    """One item as it was answered to one device: the first and the last time, and how often."""

    item_id: int
    device: str  # the registered modality's name, else the calling AE title
    first: datetime
    last: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Image:
    """One received instance, as far as the ledger needs it."""

    id: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    accession_number: str
    device: str  # the registered modality's name, else the calling AE title
    received: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery of one of the exam's instances."""

    destination: str
    state: DeliveryState
    received: datetime
    finished: datetime | None
    reason: str
    instance_id: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Deliveries of which the rows were purged, counted: all of them had been delivered."""

    destination: str
    instances: int
    last: datetime
    longest_seconds: int  # from receipt to delivery


@dataclass(frozen=True, slots=True)
class Expected:
    """What the images of one order may carry: as it is now, as a modality took it, and the patient's former IDs.

    An empty set is no expectation.
    """

    order_id: int
    patient_ids: frozenset[str] = frozenset()
    accession_numbers: frozenset[str] = frozenset()
    study_instance_uids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that was recorded of one exam. Nothing of it is a copy: it is read when somebody asks."""

    stored: StoredOrder
    expected: Expected
    history: tuple[HistoryEntry, ...] = ()
    message: InboxEntry | None = None  # that ordered it
    items: tuple[WorklistItem, ...] = ()
    withdrawn: frozenset[int] = frozenset()  # ids of items that are offered no longer, whatever their status
    offered: tuple[Offered, ...] = ()
    steps: tuple[StoredStep, ...] = ()
    unlinked: tuple[Unlinked, ...] = ()  # performed steps that a person found to be another exam's
    images: tuple[Image, ...] = ()
    sent: tuple[Sent, ...] = ()
    kept: tuple[Kept, ...] = ()
    corrections: tuple[Applied, ...] = ()  # of its images, on their way to destinations with a rule
    proofs: tuple[Proof, ...] = ()
    provers: frozenset[str] = frozenset()  # the destinations that are asked to prove
    messages: tuple[OutboxMessage, ...] = ()
    has_receivers: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger: `about` is the device, destination or receiver."""

    stage: Stage
    mark: Mark
    text: str
    at: datetime | None = None
    about: str = ""
    count: int | None = None  # of things done
    of: int | None = None  # of so many, where that is known
    late: str = ""  # why it is late, in words
    last: datetime | None = None  # where it happened several times


@dataclass(frozen=True, slots=True)
class Standing:
    """One stage in one word, with its numbers."""

    mark: Mark
    at: datetime | None = None
    count: int | None = None
    of: int | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Exam:
    """One exam as it stands: whose and what, its lines, and each stage in a word."""

    stored: StoredOrder
    lines: tuple[Line, ...]
    stages: Mapping[Stage, Standing] = field(default_factory=dict)

    @property
    def is_late(self) -> bool:
        """Tell whether any step is late."""
        return any(line.late for line in self.lines)
