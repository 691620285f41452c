"""N-CREATE and N-SET from bytes to values, and what is demanded of them (E.1, E.2). Pure.

Hard rules are few, since a refusal stops an exam: UID, status, Study Instance UID, start date and time. Whatever else
the standard wants of a modality is noted where it is missing.
"""

from collections.abc import Callable, Iterable
from datetime import date

from broker.identifiers import is_uid_like
from broker.orders.model import Code
from broker.procedures import attributes, state
from broker.procedures.attributes import Attributes
from broker.procedures.model import (
    Operation,
    PerformedInstance,
    PerformedPatient,
    PerformedSeries,
    PerformedStatus,
    PerformedStep,
    Received,
    ScheduledItem,
    StepRefused,
    Update,
)
from broker.worklist import elements
from broker.worklist.elements import Malformed, tag_of
from broker.worklist.ranges import day, time_of_day

INVALID_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
INVALID_INSTANCE = 0x0117
MISSING_ATTRIBUTE = 0x0120
MISSING_VALUE = 0x0121
MISTYPED = 0x0212

_AFFECTED_SOP_INSTANCE_UID = 0x00001000
_ITEMS = "ScheduledStepAttributesSequence"
_MOST_ITEMS = 256
_STATUS = "PerformedProcedureStepStatus"
_START = ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime")
_REQUIRED = (_ITEMS, _STATUS, *_START)
_WITH_VALUE = ("PerformedProcedureStepID", "PerformedStationAETitle", "Modality")  # type 1, and often left out
_PRESENT = (  # type 2
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)
_PRESENT_IN_ITEM = (
    "ReferencedStudySequence",
    "AccessionNumber",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
)
_OF_INSTANCES = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")


def create(sop_instance_uid: str, data: bytes | None, transfer_syntax: str) -> Received:
    """Return what an N-CREATE says. Raises StepRefused."""
    _check_uid(sop_instance_uid)
    found = _read(data or b"", transfer_syntax)
    _check_create(found, transfer_syntax)
    step = PerformedStep(
        sop_instance_uid=sop_instance_uid,
        status=PerformedStatus.IN_PROGRESS,
        items=tuple(_item(item) for item in found.items(_ITEMS)),
        start_date=found.text(_START[0]),
        start_time=found.text(_START[1]),
        patient=_patient(found),
        performed_procedure_step_id=found.text("PerformedProcedureStepID"),
        performed_station_ae_title=found.text("PerformedStationAETitle"),
        performed_station_name=found.text("PerformedStationName"),
        performed_location=found.text("PerformedLocation"),
        modality=found.text("Modality"),
        study_id=found.text("StudyID"),
        description=found.text("PerformedProcedureStepDescription"),
        end_date=found.text("PerformedProcedureStepEndDate"),
        end_time=found.text("PerformedProcedureStepEndTime"),
        series=_series(found) or (),
        notes=tuple(_notes(found)),
    )
    return Received(Operation.CREATE, sop_instance_uid, transfer_syntax, data or b"", created=step)


def set_(sop_instance_uid: str, data: bytes | None, transfer_syntax: str) -> Received:
    """Return what an N-SET says. Raises StepRefused."""
    _check_uid(sop_instance_uid)
    if data is None:
        raise StepRefused(MISTYPED, "an N-SET needs a Modification List")
    found = _read(data, transfer_syntax)
    update = Update(
        status=_new_status(found, transfer_syntax),
        end_date=_stated(found, "PerformedProcedureStepEndDate"),
        end_time=_stated(found, "PerformedProcedureStepEndTime"),
        description=_stated(found, "PerformedProcedureStepDescription"),
        discontinuation_reason=_reason(found),
        series=_series(found),
        fixed=tuple((keyword, found.text(keyword)) for keyword in state.FIXED if found.has(keyword)),
        items=tuple(_item(item) for item in found.items(_ITEMS)) if found.has(_ITEMS) else None,
    )
    return Received(Operation.SET, sop_instance_uid, transfer_syntax, data, update=update)


# --- what is demanded --------------------------------------------------------------------------------------------


def _check_uid(sop_instance_uid: str) -> None:
    if not sop_instance_uid:
        text = "the modality chooses the SOP Instance UID, and it is missing"
        raise StepRefused(MISSING_ATTRIBUTE, text, missing=(_AFFECTED_SOP_INSTANCE_UID,))
    if not is_uid_like(sop_instance_uid):
        raise StepRefused(INVALID_INSTANCE, "SOP Instance UID is not a UID")


def _read(data: bytes, transfer_syntax: str) -> Attributes:
    try:
        return attributes.read(data, transfer_syntax)
    except Malformed as malformed:
        raise StepRefused(PROCESSING_FAILURE, f"data set cannot be read: {malformed}") from malformed


def _check_create(found: Attributes, transfer_syntax: str) -> None:
    """Refuse what is absent (0120), then what is empty (0121), then what is wrong (0106), each with all its tags."""
    items = found.items(_ITEMS)
    absent = [keyword for keyword in _REQUIRED if not found.has(keyword)]
    if any(not item.has("StudyInstanceUID") for item in items):
        absent.append("StudyInstanceUID")
    if absent:
        text = f"missing: {', '.join(absent)}"
        raise StepRefused(MISSING_ATTRIBUTE, text, missing=tuple(sorted(map(tag_of, absent))))
    empty = [keyword for keyword in _REQUIRED if keyword != _ITEMS and not found.text(keyword)]
    if not items or any(not item.text("StudyInstanceUID") for item in items):
        empty.append(_ITEMS)
    if empty:
        text = f"without value: {', '.join(empty)}"
        raise StepRefused(MISSING_VALUE, text, data_set=_only(found, empty, transfer_syntax))
    wrong = [keyword for keyword, is_right in _RIGHT.items() if not is_right(found)]
    if len(items) > _MOST_ITEMS:
        wrong.append(_ITEMS)
    if wrong:
        text = f"invalid: {', '.join(wrong)}"
        raise StepRefused(INVALID_VALUE, text, data_set=_only(found, wrong, transfer_syntax))


def _is_in_progress(found: Attributes) -> bool:
    return _status(found) is PerformedStatus.IN_PROGRESS


def _has_study_uids(found: Attributes) -> bool:
    return all(is_uid_like(item.text("StudyInstanceUID")) for item in found.items(_ITEMS))


def _reads_as(keyword: str, read: Callable[[str], object]) -> Callable[[Attributes], bool]:
    def is_right(found: Attributes) -> bool:
        try:
            read(found.text(keyword))
        except ValueError:
            return False
        return True

    return is_right


_RIGHT: dict[str, Callable[[Attributes], bool]] = {
    _STATUS: _is_in_progress,
    _ITEMS: _has_study_uids,
    _START[0]: _reads_as(_START[0], lambda text: date.fromisoformat(day(text))),
    _START[1]: _reads_as(_START[1], time_of_day),
}


def _only(found: Attributes, keywords: Iterable[str], transfer_syntax: str) -> bytes:
    """Return the offending attributes as they came (PS3.7 C.4.2: the attribute list of 0106 and 0121)."""
    elements_ = [element for keyword in keywords if (element := found.element(keyword))]
    return elements.write(elements_, transfer_syntax)


def _notes(found: Attributes) -> Iterable[str]:
    yield from (f"{keyword} has no value" for keyword in _WITH_VALUE if not found.text(keyword))
    yield from (f"{keyword} is absent" for keyword in _PRESENT if not found.has(keyword))
    items = found.items(_ITEMS)
    for keyword in _PRESENT_IN_ITEM:
        if any(not item.has(keyword) for item in items):
            yield f"{keyword} of a scheduled step is absent"


# --- what is said ------------------------------------------------------------------------------------------------


def _new_status(found: Attributes, transfer_syntax: str) -> PerformedStatus | None:
    if not found.text(_STATUS):
        return None
    status = _status(found)
    if status is None:
        raise StepRefused(INVALID_VALUE, f"invalid: {_STATUS}", data_set=_only(found, [_STATUS], transfer_syntax))
    return status


def _status(found: Attributes) -> PerformedStatus | None:
    text = found.text(_STATUS).upper()
    return PerformedStatus(text) if text in set(PerformedStatus) else None


def _stated(found: Attributes, keyword: str) -> str | None:
    return found.text(keyword) if found.has(keyword) else None


def _item(item: Attributes) -> ScheduledItem:
    return ScheduledItem(
        study_instance_uid=item.text("StudyInstanceUID"),
        accession_number=item.text("AccessionNumber"),
        requested_procedure_id=item.text("RequestedProcedureID"),
        scheduled_procedure_step_id=item.text("ScheduledProcedureStepID"),
    )


def _patient(found: Attributes) -> PerformedPatient:
    return PerformedPatient(
        patient_id=found.text("PatientID"),
        issuer_of_patient_id=found.text("IssuerOfPatientID"),
        patient_name=found.text("PatientName"),
        patient_birth_date=found.text("PatientBirthDate"),
        patient_sex=found.text("PatientSex"),
    )


def _reason(found: Attributes) -> Code | None:
    items = found.items("PerformedProcedureStepDiscontinuationReasonCodeSequence")
    if not items:
        return None
    first = items[0]
    return Code(first.text("CodeValue"), first.text("CodingSchemeDesignator"), first.text("CodeMeaning"))


def _series(found: Attributes) -> tuple[PerformedSeries, ...] | None:
    if not found.has("PerformedSeriesSequence"):
        return None
    return tuple(
        PerformedSeries(
            series_instance_uid=item.text("SeriesInstanceUID"),
            protocol_name=item.text("ProtocolName"),
            series_description=item.text("SeriesDescription"),
            performing_physician_name=item.text("PerformingPhysicianName"),
            operators_name=item.text("OperatorsName"),
            retrieve_ae_title=item.text("RetrieveAETitle"),
            instances=tuple(_instances(item)),
        )
        for item in found.items("PerformedSeriesSequence")
    )


def _instances(series: Attributes) -> Iterable[PerformedInstance]:
    for sequence in _OF_INSTANCES:
        for item in series.items(sequence):
            yield PerformedInstance(item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID"))
