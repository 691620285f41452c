"""The values of orders and patients, in the standard's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from broker.environments.model import LateStatements
from broker.errors import Rejected


class Refusal(Rejected):
    """A message that is answered AE (its content) or AR (its kind), with the place and table 0357's code.

    `text` goes to the sender and into logs: field names and rules, never a patient's data. An empty `location` is
    allowed where no field is at fault. `for_person` puts the message into the inbox for people: sending it again
    does not help, somebody has to decide.
    """

    def __init__(self, answer: str, location: str, code: str, text: str, *, for_person: bool = False) -> None:
        super().__init__(text)
        self.answer = answer
        self.location = location
        self.code = code
        self.text = text
        self.for_person = for_person


class Action(StrEnum):
    """What one ORC asks for: the vocabulary of the order control table."""

    NEW = "new"
    CHANGE = "change"
    CANCEL = "cancel"
    DISCONTINUE = "discontinue"  # what has begun ends by its performed procedure step, the rest is canceled
    REPLACE = "replace"  # the old order of a replacement: canceled; the new one follows as RO
    HOLD = "hold"
    RELEASE = "release"
    ARRIVE = "arrive"
    START = "start"
    COMPLETE = "complete"
    PARENT = "parent"  # kept; its children are scheduled, not itself
    CHILD = "child"
    NUMBER = "number"  # the placer's number of an order that the filler made
    UNABLE = "unable"  # the other side could not do what was asked
    NOTHING = "nothing"  # acknowledged, and nothing changes
    PERSON = "person"  # a person decides


class StepStatus(StrEnum):
    """How a Scheduled Procedure Step stands; HELD, CANCELED, COMPLETED and DISCONTINUED are not offered."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    HELD = "HELD"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"


PERFORMED = frozenset({StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.DISCONTINUED})
"""Set by what was performed: such a step keeps what the modality took."""


class Origin(NamedTuple):
    """Where a value comes from: a field of a message ("OBR-18"), or, where `source` is empty, *made here* by `rule`.

    A tuple, since every value of every message has one.
    """

    source: str = ""
    rule: str = ""
    entry_id: int = 0  # of the inbox; 0 until the message is kept

    @property
    def made_here(self) -> bool:
        """Tell whether no message said it: then it never overwrites a stored value."""
        return not self.source


Place = tuple[int, str]
"""A value of what one message states: 0 for patient, visit and order, else the number of the step, and the keyword."""

Origins = Mapping[tuple[str, str], Origin]
"""Of a stored order: by the step's ID (empty for patient, visit and order) and the keyword."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded entry (PS3.3 table 8.8-1)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as a message states it. Text is Unicode; PN is `family^given^middle^prefix^suffix`.

    `issuer_of_patient_id` is the assigning authority, or the source's default where the message names none: two
    identifiers are the same only where both agree.
    """

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""  # DA
    patient_sex: str = ""  # F, M, O or empty
    attributes: dict[str, str] = field(default_factory=dict)  # further attributes by DICOM keyword


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One Scheduled Procedure Step. Dates and times are civil, in the order's `timezone`. Empty is not stated."""

    scheduled_procedure_step_id: str = ""
    modality: str = ""
    scheduled_procedure_step_start_date: str = ""  # DA
    scheduled_procedure_step_start_time: str = ""  # TM, six digits
    scheduled_station_ae_titles: tuple[str, ...] = ()  # empty: resolved per query from the registry
    scheduled_procedure_step_description: str = ""
    scheduled_protocol_codes: tuple[Code, ...] = ()
    scheduled_performing_physician_name: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    status: StepStatus = StepStatus.SCHEDULED


@dataclass(frozen=True, slots=True)
class Order:
    """One requested procedure with its steps. An empty value is not stated."""

    patient: Patient
    placer_order_number: str = ""
    filler_order_number: str = ""
    accession_number: str = ""
    requested_procedure_id: str = ""
    study_instance_uid: str = ""
    requested_procedure_description: str = ""
    requested_procedure_code: Code | None = None
    steps: tuple[ScheduledStep, ...] = ()
    timezone: str = ""  # of the civil dates and times
    attributes: dict[str, str] = field(default_factory=dict)  # further attributes by DICOM keyword
    visit: dict[str, str] = field(default_factory=dict)  # AdmissionID, CurrentPatientLocation, … by DICOM keyword


KEYWORDS = {
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "placer_order_number": "PlacerOrderNumberImagingServiceRequest",
    "filler_order_number": "FillerOrderNumberImagingServiceRequest",
    "accession_number": "AccessionNumber",
    "requested_procedure_id": "RequestedProcedureID",
    "study_instance_uid": "StudyInstanceUID",
    "requested_procedure_description": "RequestedProcedureDescription",
    "requested_procedure_code": "RequestedProcedureCodeSequence",
    "scheduled_procedure_step_id": "ScheduledProcedureStepID",
    "modality": "Modality",
    "scheduled_procedure_step_start_date": "ScheduledProcedureStepStartDate",
    "scheduled_procedure_step_start_time": "ScheduledProcedureStepStartTime",
    "scheduled_station_ae_titles": "ScheduledStationAETitle",
    "scheduled_procedure_step_description": "ScheduledProcedureStepDescription",
    "scheduled_protocol_codes": "ScheduledProtocolCodeSequence",
    "scheduled_performing_physician_name": "ScheduledPerformingPhysicianName",
    "status": "ScheduledProcedureStepStatus",
}
"""The DICOM keyword of each field above, as places and origins name it."""


@dataclass(frozen=True, slots=True)
class OrderKeys:
    """What names an order in a later message, as stated there; at least one is set.

    A number of two systems is the same only where their issuers (EI.2, else EI.3) do not differ.
    """

    study_instance_uid: str = ""
    filler_order_number: str = ""
    placer_order_number: str = ""
    accession_number: str = ""
    requested_procedure_id: str = ""  # tells the procedures of one order apart; names none by itself
    filler_issuer: str = ""
    placer_issuer: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a message lacks to create an order; it may still change one."""

    location: str
    text: str


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What the ORC/OBR groups of one order say.

    An empty value is no statement. Values whose origin is *made here* fill a new order and never overwrite a stored
    one. `cleared` values were sent as explicit null (`""`). Identifiers that are not stated are empty: `names.py`
    completes them where an order is created.
    """

    action: Action
    keys: OrderKeys
    order: Order  # with the patient as stated; no steps where nothing of them is stated
    location: str  # of the ORC in the message, e.g. "ORC^2", for errors
    step_ids: tuple[str, ...] = ()  # the steps that the action is about, where stated; empty means all
    origins: Mapping[Place, Origin] = field(default_factory=dict)
    cleared: frozenset[Place] = frozenset()
    missing: Missing | None = None
    effective: datetime | None = None  # ORC-9, else `sent`
    sent: datetime | None = None  # MSH-7
    parent: OrderKeys | None = None  # of a child (ORC-8, OBR-29)
    creates: bool = True  # whether it may create an order that is not known (an appointment may not by itself)


class PatientAction(StrEnum):
    """What an ADT event does to the patient."""

    UPSERT = "upsert"
    UPDATE = "update"  # of a known one; an unknown one is added too
    DELETE = "delete"
    NOTHING = "nothing"


class VisitAction(StrEnum):
    """What an ADT event does to the visit."""

    UPDATE = "update"
    ARRIVE = "arrive"  # and the patient's steps of today become ARRIVED
    DISCHARGE = "discharge"
    REOPEN = "reopen"
    DROP = "drop"  # the visit's data go; no order is canceled (B.4)
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PatientChange:
    """What one ADT message says about a patient and the visit. An empty value is no statement."""

    patient_action: PatientAction
    visit_action: VisitAction
    patient: Patient
    visit: dict[str, str]  # by DICOM keyword
    location: str  # of the PID, e.g. "PID^1", for errors
    origins: Mapping[Place, Origin] = field(default_factory=dict)
    cleared: frozenset[Place] = frozenset()
    effective: datetime | None = None  # EVN-2, else `sent`
    sent: datetime | None = None  # MSH-7
    today: str = ""  # DA at the site, for ARRIVE


class MergeKind(StrEnum):
    """What becomes of the old identifier."""

    MERGE = "merge"  # two records of one person: the old one becomes an alias of the surviving one
    IDENTIFIER = "identifier"  # the identifier of one record is replaced (A46, A47)
    VISIT = "visit"  # the old visit's orders get the surviving visit's AdmissionID (A42, A44, A45, A50)


@dataclass(frozen=True, slots=True)
class MergeChange:
    """One PID/MRG pair: everything of `old_*` now belongs to `surviving`."""

    kind: MergeKind
    surviving: Patient
    old_patient_id: str
    old_issuer: str
    location: str  # of the MRG, for errors
    origins: Mapping[Place, Origin] = field(default_factory=dict)
    cleared: frozenset[Place] = frozenset()
    effective: datetime | None = None
    sent: datetime | None = None
    visit: dict[str, str] = field(default_factory=dict)  # of the surviving visit
    old_admission_id: str = ""


Change = OrderChange | PatientChange | MergeChange
"""What one message may ask for; a message gives a tuple of them, applied all or none."""


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as it stands, whole: the patient's and the visit's values are those that are known now."""

    id: int
    order: Order
    patient_row: int
    canceled: bool
    generation: int  # raised by each cancel, so that a canceled study's UID is never used again
    created: datetime
    updated: datetime
    entry_id: int  # of the inbox: the message that changed it last
    origins: Origins = field(default_factory=dict)
    placer_issuer: str = ""  # of the placer's number (EI.2, else EI.3), so that we can name it as its maker does
    filler_issuer: str = ""


@dataclass(frozen=True, slots=True)
class Applying:
    """Under which circumstances a change is applied."""

    environment: str  # part of every UID that is derived
    entry_id: int  # the message
    now: datetime
    late: LateStatements = LateStatements.DEMOGRAPHICS
    decided: bool = False  # a person has looked at conflicting demographics and wants it applied


class Did(StrEnum):
    """What a change has done, as an order's history tells it."""

    CREATED = "created"
    CHANGED = "changed"
    CANCELED = "canceled"
    HELD = "held"
    RELEASED = "released"
    STATUS = "status"
    LINKED = "linked"
    MOVED = "moved"  # to another patient, by a merge
    NOTED = "noted"  # UA, DE: the other side could not; nothing was changed
    TOMBSTONE = "canceled before its order"
    LATE = "late"  # older than what is known: nothing was changed
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change did. `orders` are those whose worklist items are to be planned anew."""

    did: Did
    orders: tuple[StoredOrder, ...] = ()
    warning: str = ""  # for the sender, beside AA
