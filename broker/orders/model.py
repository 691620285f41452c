"""The values of an order, in the standard's words."""

from dataclasses import dataclass, field
from enum import StrEnum

from broker.errors import Rejected


class Refusal(Rejected):
    """A message that is answered AE (its content) or AR (its kind), with the place and table 0357's code.

    `text` goes to the sender and into logs: field names and rules, never a patient's data. An empty `location` is
    allowed where no field is at fault.
    """

    def __init__(self, answer: str, location: str, code: str, text: str) -> None:
        super().__init__(text)
        self.answer = answer
        self.location = location
        self.code = code
        self.text = text


class OrderControl(StrEnum):
    """What one ORC-1 asks for (HL7 table 0119), as far as it is understood."""

    NEW = "NW"
    CHANGE = "XO"
    CANCEL = "CA"


class StepStatus(StrEnum):
    """How a Scheduled Procedure Step stands here; what is CANCELED, COMPLETED or DISCONTINUED is not offered."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded entry (PS3.3 table 8.8-1)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as a message states it. Text is Unicode; PN is `family^given^middle^prefix^suffix`."""

    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str = ""  # DA
    patient_sex: str = ""  # F, M, O or empty
    attributes: dict[str, str] = field(default_factory=dict)  # further attributes by DICOM keyword


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One Scheduled Procedure Step as a message states it. Dates and times are civil, in `timezone`."""

    scheduled_procedure_step_id: str
    modality: str
    scheduled_procedure_step_start_date: str  # DA
    scheduled_procedure_step_start_time: str  # TM, six digits
    scheduled_station_ae_titles: tuple[str, ...] = ()  # empty: resolved per query from the registry
    scheduled_procedure_step_description: str = ""
    scheduled_protocol_codes: tuple[Code, ...] = ()
    scheduled_performing_physician_name: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """One requested procedure with its steps, as a message states it."""

    patient: Patient
    placer_order_number: str
    filler_order_number: str
    accession_number: str
    requested_procedure_id: str
    study_instance_uid: str
    requested_procedure_description: str
    requested_procedure_code: Code | None
    steps: tuple[ScheduledStep, ...]
    timezone: str  # of the civil dates and times
    attributes: dict[str, str] = field(default_factory=dict)  # further attributes by DICOM keyword


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


Place = tuple[str, str]
"""A value of an order: the step's ID (empty for patient and order) and the field's or attribute's name."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a message lacks to create an order; it may still change one."""

    location: str
    text: str


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What one order's ORC/OBR groups say. `order` is absent for a cancel.

    An empty value is no statement. `derived` values are ours, not the message's: they fill a new order and never
    overwrite a stored one. `cleared` values were sent as explicit null (`""`).
    """

    control: OrderControl
    keys: OrderKeys
    order: Order | None
    location: str  # of the ORC in the message, e.g. "ORC^2", for errors
    derived: frozenset[Place] = frozenset()
    cleared: frozenset[Place] = frozenset()
    missing: Missing | None = None
