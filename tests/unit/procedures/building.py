"""N-CREATE and N-SET data sets, encoded by pydicom and not by ourselves."""

from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from broker.worklist.elements import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

UID = "1.2.826.0.1.3680043.9.1"
SYNTAXES = (IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN)
IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"


def dataset(**values: Any) -> Dataset:
    """Return a data set of these attributes."""
    made = Dataset()
    for keyword, value in values.items():
        is_sequence = isinstance(value, list) and not any(isinstance(each, str) for each in value)
        setattr(made, keyword, Sequence(value) if is_sequence else value)
    return made


def item(**changes: Any) -> Dataset:
    """Return an item of ScheduledStepAttributesSequence: the order of `orders.building.new`."""
    values = {
        "StudyInstanceUID": "1.2.3",
        "ReferencedStudySequence": [],
        "AccessionNumber": "A1",
        "RequestedProcedureID": "RP1",
        "RequestedProcedureDescription": "US Abdomen",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepDescription": "Abdomen",
        "ScheduledProtocolCodeSequence": [],
    }
    return dataset(**(values | changes))


UNSCHEDULED = {
    "StudyInstanceUID": "1.2.999",
    "AccessionNumber": "",
    "RequestedProcedureID": "",
    "ScheduledProcedureStepID": "",
}


def creation(*items: Dataset, **changes: Any) -> Dataset:
    """Return the data set of an N-CREATE with every attribute of type 1 and 2."""
    values = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ScheduledStepAttributesSequence": list(items) or [item()],
        "PatientName": "Müster^Eva",
        "PatientID": "4711",
        "PatientBirthDate": "19800229",
        "PatientSex": "F",
        "ReferencedPatientSequence": [],
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "US1",
        "PerformedStationName": "USROOM1",
        "PerformedLocation": "ROOM 1",
        "PerformedProcedureStepStartDate": "20260201",
        "PerformedProcedureStepStartTime": "093100",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "",
        "PerformedProcedureTypeDescription": "",
        "ProcedureCodeSequence": [],
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "PerformedProcedureStepDiscontinuationReasonCodeSequence": [],
        "Modality": "US",
        "StudyID": "",
        "PerformedProtocolCodeSequence": [],
        "PerformedSeriesSequence": [],
    }
    return dataset(**(values | changes))


def series(uid: str = "1.2.3.1", images: int = 1, reports: int = 0, **changes: Any) -> Dataset:
    """Return an item of PerformedSeriesSequence."""
    values = {
        "PerformingPhysicianName": "",
        "ProtocolName": "Abdomen",
        "OperatorsName": "Olm^Olga",
        "SeriesInstanceUID": uid,
        "SeriesDescription": "",
        "RetrieveAETitle": "",
        "ReferencedImageSequence": [reference(IMAGE, f"{uid}.{number}") for number in range(images)],
        "ReferencedNonImageCompositeSOPInstanceSequence": [
            reference(REPORT, f"{uid}.9.{number}") for number in range(reports)
        ],
    }
    return dataset(**(values | changes))


def reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    return dataset(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=sop_instance_uid)


def ending(status: str = "COMPLETED", *of: Dataset, **changes: Any) -> Dataset:
    """Return the data set of an N-SET that ends a step, by default with one series of one image."""
    values = {
        "PerformedProcedureStepStatus": status,
        "PerformedProcedureStepEndDate": "20260201",
        "PerformedProcedureStepEndTime": "094500",
        "PerformedSeriesSequence": list(of) or [series()],
    }
    return dataset(**(values | changes))


def discontinued(code: str = "", *, images: int = 0) -> Dataset:
    """Return the data set of an N-SET that discontinues a step for a reason of CID 9300."""
    made = ending("DISCONTINUED", series(images=images))
    if code:
        reason = dataset(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="a reason")
        made.PerformedProcedureStepDiscontinuationReasonCodeSequence = [reason]
    return made


def without(made: Dataset, *keywords: str) -> Dataset:
    """Return a data set that lacks these attributes."""
    left = deepcopy(made)
    for keyword in keywords:
        del left[keyword]
    return left


def encoded(made: Dataset, transfer_syntax: str = IMPLICIT_LITTLE_ENDIAN) -> bytes:
    """Return the bytes of a data set in a transfer syntax."""
    stream = DicomBytesIO()
    stream.is_implicit_VR = transfer_syntax == IMPLICIT_LITTLE_ENDIAN
    stream.is_little_endian = transfer_syntax != EXPLICIT_BIG_ENDIAN
    write_dataset(stream, made)
    return stream.getvalue()
