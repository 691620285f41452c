"""The values of a performed procedure step, in the words of PS3.4 annex F. Text is Unicode; empty is not stated."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.errors import Rejected
from broker.orders.model import Code, StepStatus

SOP_CLASS = "1.2.840.10008.3.1.2.3.3"
RETRIEVE_SOP_CLASS = "1.2.840.10008.3.1.2.3.4"


class PerformedStatus(StrEnum):
    """Performed Procedure Step Status (0040,0252); who acts next."""

    IN_PROGRESS = "IN PROGRESS"  # the modality
    COMPLETED = "COMPLETED"  # nobody
    DISCONTINUED = "DISCONTINUED"  # nobody


FINAL = frozenset({PerformedStatus.COMPLETED, PerformedStatus.DISCONTINUED})


class StepRefused(Rejected):
    """An N-CREATE, N-SET or N-GET that is answered with a failure (PS3.7 annex C).

    `text` is the Error Comment: keywords and rules, never a value. `missing` are the tags that are absent (0120);
    `data_set` holds the offending attributes as they came, in the transfer syntax of the request (0106, 0121).
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        error_id: int | None = None,
        missing: tuple[int, ...] = (),
        data_set: bytes | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.error_id = error_id
        self.missing = missing
        self.data_set = data_set


@dataclass(frozen=True, slots=True)
class ScheduledItem:
    """One item of ScheduledStepAttributesSequence: what the modality believes it performs."""

    study_instance_uid: str
    accession_number: str = ""
    requested_procedure_id: str = ""
    scheduled_procedure_step_id: str = ""

    @property
    def names_something(self) -> bool:
        """Tell whether it states any number that an order could have given it (E.5: else it is unscheduled)."""
        return bool(self.accession_number or self.requested_procedure_id or self.scheduled_procedure_step_id)


@dataclass(frozen=True, slots=True)
class PerformedPatient:
    """The patient as the modality had it."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""


@dataclass(frozen=True, slots=True)
class PerformedInstance:
    """One object that was made."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class PerformedSeries:
    """One item of PerformedSeriesSequence; it may hold no instance."""

    series_instance_uid: str
    protocol_name: str = ""
    series_description: str = ""
    performing_physician_name: str = ""
    operators_name: str = ""
    retrieve_ae_title: str = ""
    instances: tuple[PerformedInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """One performed procedure step as it stands. Dates and times are civil, as the modality wrote them (DA, TM)."""

    sop_instance_uid: str
    status: PerformedStatus
    items: tuple[ScheduledItem, ...]
    start_date: str
    start_time: str
    patient: PerformedPatient = PerformedPatient()
    performed_procedure_step_id: str = ""
    performed_station_ae_title: str = ""
    performed_station_name: str = ""
    performed_location: str = ""
    modality: str = ""
    study_id: str = ""
    description: str = ""
    end_date: str = ""
    end_time: str = ""
    discontinuation_reason: Code | None = None
    series: tuple[PerformedSeries, ...] = ()
    notes: tuple[str, ...] = ()  # what should have been stated and was not, in words without values

    @property
    def images(self) -> int:
        """How many instances it lists."""
        return sum(len(series.instances) for series in self.series)


@dataclass(frozen=True, slots=True)
class Update:
    """What one N-SET says. None is not stated; an empty value is a statement. A stated sequence replaces all items."""

    status: PerformedStatus | None = None
    end_date: str | None = None
    end_time: str | None = None
    description: str | None = None
    discontinuation_reason: Code | None = None
    series: tuple[PerformedSeries, ...] | None = None
    fixed: tuple[tuple[str, str], ...] = ()  # (keyword, value) of attributes that only N-CREATE may state
    items: tuple[ScheduledItem, ...] | None = None  # likewise
    notes: tuple[str, ...] = ()


class Operation(StrEnum):
    """Which request it was."""

    CREATE = "create"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Received:
    """One N-CREATE or N-SET, whole: `data` is the data set as it came, in `transfer_syntax`."""

    operation: Operation
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes
    created: PerformedStep | None = None  # of N-CREATE
    update: Update | None = None  # of N-SET


class Rule(StrEnum):
    """By which of E.5's rules an item was linked to a scheduled step."""

    STUDY_AND_STEP = "study and step"
    ACCESSION_AND_STEP = "accession and step"
    ACCESSION_AND_PROCEDURE = "accession and procedure"
    STUDY_AND_STEP_ONLY = "study and step, another accession"
    STUDY = "study"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Link:
    """A scheduled step that a performed step belongs to.

    `item` is the number of the ScheduledItem it comes from, whose Study Instance UID stored objects have; `before` is
    how the scheduled step stood before anything was performed of it by this performed step.
    """

    order_id: int
    step_id: str
    rule: Rule
    item: int
    before: StepStatus
    by: str = ""  # the person, for Rule.PERSON


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A link that a person took back, and why."""

    sop_instance_uid: str  # of the performed step
    order_id: int
    step_id: str
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A performed step with what we know of it. `calling_ae_title` is who said so."""

    id: int
    step: PerformedStep
    links: tuple[Link, ...]
    association_id: str
    calling_ae_title: str
    created: datetime
    updated: datetime
    dismissed: str = ""  # who decided that nobody is to look at it any more, and why; empty: nobody did

    @property
    def unlinked(self) -> tuple[int, ...]:
        """The numbers of the items that belong to no scheduled step we know."""
        linked = {link.item for link in self.links}
        return tuple(number for number in range(len(self.step.items)) if number not in linked)


@dataclass(frozen=True, slots=True)
class Event:
    """What a person must see: the alert's event, whom it is about, and what to do, without patient data."""

    name: str
    subject: str
    text: str
