"""Items, viewers and identifiers to test with; identifiers are encoded by pydicom, not by ourselves."""

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from broker.orders.model import Code, Order, Patient, ScheduledStep, StepStatus
from broker.worklist.elements import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.stations import Stations

SYNTAXES = (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN)
STATIONS = Stations({"US": ("US1", "US2"), "CT": ("CT1",)})
US1 = Viewer("us-room-1", ("US1",), "US", "USROOM1", "ROOM 1")
ANYBODY = Viewer()

PATIENT = Patient(
    "4711", "HOSP", "Muster^Eva^M^Dr^Jr", "19800229", "F", {"AdmissionID": "V123", "PregnancyStatus": "3"}
)
STEP = ScheduledStep(
    scheduled_procedure_step_id="S1",
    modality="US",
    scheduled_procedure_step_start_date="20260201",
    scheduled_procedure_step_start_time="093000",
    scheduled_station_ae_titles=("US1",),
    scheduled_procedure_step_description="Liver",
    scheduled_protocol_codes=(Code("USLIV", "L", "Liver"),),
    scheduled_performing_physician_name="Schall^Sven",
)
ORDER = Order(
    patient=PATIENT,
    placer_order_number="P100",
    filler_order_number="F200",
    accession_number="A200",
    requested_procedure_id="RP200",
    study_instance_uid="1.2.3.4.200",
    requested_procedure_description="Abdomen US",
    requested_procedure_code=Code("USABD", "L", "Abdomen US"),
    steps=(STEP, replace(STEP, scheduled_procedure_step_id="S2", scheduled_procedure_step_start_time="094500")),
    timezone="Europe/Berlin",
    attributes={"ReferringPhysicianName": "Refer^Rita", "RequestedProcedurePriority": "STAT"},
)


def item(**changes: Any) -> WorklistItem:
    """The item of the standard's test vectors, with changes."""
    base = WorklistItem(
        id=1,
        order_id=1,
        status=StepStatus.SCHEDULED,
        patient_name="Muster^Eva^M^Dr^Jr",
        patient_id="4711",
        issuer_of_patient_id="HOSP",
        patient_birth_date="19800229",
        patient_sex="F",
        accession_number="A200",
        requested_procedure_id="RP200",
        requested_procedure_description="Abdomen US",
        requested_procedure_code=Code("USABD", "L", "Abdomen US"),
        study_instance_uid="1.2.3.4.200",
        scheduled_procedure_step_id="S1",
        scheduled_procedure_step_description="Liver",
        scheduled_protocol_codes=(Code("USLIV", "L", "Liver"), Code("USKID", "L", "Kidney")),
        scheduled_procedure_step_start_date="20260201",
        scheduled_procedure_step_start_time="093000",
        timezone="Europe/Berlin",
        modality="US",
        scheduled_station_ae_titles=("US1",),
        scheduled_performing_physician_name="Schall^Sven",
        attributes={"ReferringPhysicianName": "Refer^Rita", "AdmissionID": "V123", "PregnancyStatus": "3"},
    )
    return replace(base, **changes)


def identifier(step: dict[str, str] | None = None, syntax: str = IMPLICIT_LITTLE_ENDIAN, **keys: Any) -> bytes:
    """An encoded identifier: `step` are the keys in the step's sequence, absent when None."""
    dataset = Dataset()
    set_keys(dataset, keys)
    if step is not None:
        inner = Dataset()
        set_keys(inner, step)
        dataset.ScheduledProcedureStepSequence = Sequence([inner])
    return encoded(dataset, syntax)


def set_keys(dataset: Dataset, keys: Mapping[str, Any]) -> None:
    """Add elements by keyword, as consoles send them, right or wrong."""
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE))


def encoded(dataset: Dataset, syntax: str = IMPLICIT_LITTLE_ENDIAN) -> bytes:
    """The bytes of a data set as pydicom writes them."""
    stream = DicomBytesIO()
    stream.is_implicit_VR = syntax == IMPLICIT_LITTLE_ENDIAN
    stream.is_little_endian = syntax != EXPLICIT_BIG_ENDIAN
    write_dataset(stream, dataset)
    return stream.getvalue()


def decoded(data: bytes, syntax: str = IMPLICIT_LITTLE_ENDIAN) -> Dataset:
    """The data set of an answer as pydicom reads it."""
    return read_dataset(BytesIO(data), syntax == IMPLICIT_LITTLE_ENDIAN, syntax != EXPLICIT_BIG_ENDIAN)
