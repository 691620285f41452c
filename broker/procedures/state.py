"""What an N-SET does to a performed step (E.2, E.3): the states as a table, and what may still be set. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from broker.procedures.model import FINAL, PerformedStatus, PerformedStep, StepRefused, Update

PROCESSING_FAILURE = 0x0110
MAY_NO_LONGER_BE_UPDATED = 0xA710
_FINAL_TEXT = "Performed Procedure Step Object may no longer be updated"

_IN_PROGRESS, _COMPLETED, _DISCONTINUED = PerformedStatus

NEXT: dict[tuple[PerformedStatus, PerformedStatus | None], PerformedStatus] = {
    (_IN_PROGRESS, None): _IN_PROGRESS,  # series as they are made
    (_IN_PROGRESS, _IN_PROGRESS): _IN_PROGRESS,
    (_IN_PROGRESS, _COMPLETED): _COMPLETED,
    (_IN_PROGRESS, _DISCONTINUED): _DISCONTINUED,
}
"""The state after an N-SET that states this status, or none; a pair that is not here is refused."""

FIXED: dict[str, Callable[[PerformedStep], str]] = {
    "PatientID": lambda step: step.patient.patient_id,
    "PatientName": lambda step: step.patient.patient_name,
    "PatientBirthDate": lambda step: step.patient.patient_birth_date,
    "PatientSex": lambda step: step.patient.patient_sex,
    "PerformedProcedureStepID": lambda step: step.performed_procedure_step_id,
    "PerformedStationAETitle": lambda step: step.performed_station_ae_title,
    "PerformedStationName": lambda step: step.performed_station_name,
    "PerformedLocation": lambda step: step.performed_location,
    "PerformedProcedureStepStartDate": lambda step: step.start_date,
    "PerformedProcedureStepStartTime": lambda step: step.start_time,
    "Modality": lambda step: step.modality,
    "StudyID": lambda step: step.study_id,
}
"""What N-CREATE states once and for all, besides ScheduledStepAttributesSequence (PS3.4 table F.7.2-1)."""

_OF_SERIES = {"ProtocolName": "protocol_name", "SeriesInstanceUID": "series_instance_uid"}


@dataclass(frozen=True, slots=True)
class Updated:
    """A step after an N-SET, and the attributes that it would have changed and may not (keywords)."""

    step: PerformedStep
    ignored: tuple[str, ...] = ()


def updated(step: PerformedStep, update: Update) -> Updated:
    """Return the step after an N-SET.

    Raises StepRefused 0110 with Error ID A710 where the step has ended (PS3.4 F.7.2.2.2). What only N-CREATE may
    state is left as it is. What a final state needs and lacks is noted, and refused to nobody: the exam is over.
    """
    if (step.status, update.status) not in NEXT:
        raise StepRefused(PROCESSING_FAILURE, _FINAL_TEXT, error_id=MAY_NO_LONGER_BE_UPDATED)
    stated = {
        "end_date": update.end_date,
        "end_time": update.end_time,
        "description": update.description,
        "discontinuation_reason": update.discontinuation_reason,
        "series": update.series,
    }
    following = replace(
        step,
        status=NEXT[step.status, update.status],
        **{name: value for name, value in stated.items() if value is not None},  # type: ignore[arg-type]
    )
    notes = dict.fromkeys((*step.notes, *update.notes, *_lacking(following)))
    return Updated(replace(following, notes=tuple(notes)), _ignored(step, update))


def _lacking(step: PerformedStep) -> tuple[str, ...]:
    """Return what a step that has ended should have stated (PS3.4 table F.7.2-1, final state)."""
    if step.status not in FINAL:
        return ()
    found = []
    if not step.end_date:
        found.append("PerformedProcedureStepEndDate has no value")
    if not step.end_time:
        found.append("PerformedProcedureStepEndTime has no value")
    if not step.series:
        found.append("PerformedSeriesSequence has no item")
    for keyword, name in _OF_SERIES.items():
        if any(not getattr(series, name) for series in step.series):
            found.append(f"{keyword} of a series has no value")
    return tuple(found)


def _ignored(step: PerformedStep, update: Update) -> tuple[str, ...]:
    differing = [keyword for keyword, value in update.fixed if value != FIXED[keyword](step)]
    if update.items is not None and update.items != step.items:
        differing.append("ScheduledStepAttributesSequence")
    return tuple(differing)
