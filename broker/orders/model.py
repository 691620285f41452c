"""The values of an order, in the standard's words."""

from dataclasses import dataclass, field
from enum import StrEnum


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
    """What names an order in a later message; at least one is set."""

    study_instance_uid: str = ""
    filler_order_number: str = ""
    placer_order_number: str = ""
    accession_number: str = ""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What one ORC/OBR group says about one order. `order` is absent for a cancel."""

    control: OrderControl
    keys: OrderKeys
    order: Order | None
    location: str  # of the ORC in the message, e.g. "ORC^2", for errors
