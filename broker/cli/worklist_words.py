"""The words of `broker worklist`: items as rows, and an explanation in lines and as JSON. Counts nothing itself."""

from broker.worklist.explain import Explanation
from broker.worklist.held import HeldBack
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.walk import OFFERED, Step


def row(item: WorklistItem) -> dict[str, object]:
    """Return an item as a listing shows it."""
    return {
        "date": item.scheduled_procedure_step_start_date,
        "time": item.scheduled_procedure_step_start_time,
        "station": list(item.scheduled_station_ae_titles),
        "modality": item.modality,
        "accession": item.accession_number,
        "requested_procedure_id": item.requested_procedure_id,
        "description": item.scheduled_procedure_step_description or item.requested_procedure_description,
        "patient_id": item.patient_id,
        "name": item.patient_name,
        "status": item.status.value,
        "study_instance_uid": item.study_instance_uid,
        "scheduled_procedure_step_id": item.scheduled_procedure_step_id,
    }


def counted(explanation: Explanation, viewer: Viewer) -> str:
    """Return the walk in one sentence: how many remain after each key, and what there is instead of the last."""
    return ", ".join(_step(step, viewer) for step in explanation.steps)


def held_line(held: HeldBack) -> str:
    """Return the line of an item that is held back or lacks something."""
    item = held.item
    when = f"{item.scheduled_procedure_step_start_date} {item.scheduled_procedure_step_start_time[:4]}".strip()
    named = f"{item.accession_number or item.requested_procedure_id} {item.scheduled_procedure_step_id}".strip()
    return f"{named} ({item.modality}, {when}): {held.why}"


def fact(explanation: Explanation, viewer: Viewer) -> dict[str, object]:
    """Return an explanation as one JSON object."""
    return {
        "device": viewer.device,
        "stations": list(viewer.stations),
        "remain": explanation.steps[-1].remain if explanation.steps else 0,
        "steps": [_step_fact(step) for step in explanation.steps],
        "held": [_held_fact(held) for held in explanation.held],
        "lacking": [_held_fact(held) for held in explanation.lacking],
        "habits": list(explanation.habits),
        "text": counted(explanation, viewer),
    }


def _step(step: Step, viewer: Viewer) -> str:
    number = str(step.remain) if step.is_all else f"at least {step.remain}"
    advice = f": {step.advice}" if step.advice else ""
    return f"{number} {_what(step, viewer)}{advice}"


def _what(step: Step, viewer: Viewer) -> str:
    match step.keyword:
        case k if k == OFFERED:
            return "offered"
        case "":
            stations = ", ".join(viewer.stations)
            return f"for {viewer.device} (stations {stations})"
        case "ScheduledProcedureStepStartDate":
            return f"scheduled {step.asked}"
        case "ScheduledStationAETitle":
            return f'for station "{step.asked}"'
    return f'{step.keyword} "{step.asked}"'


def _step_fact(step: Step) -> dict[str, object]:
    return {
        "key": step.keyword or "device",
        "asked": step.asked,
        "remain": step.remain,
        "at_least": not step.is_all,
        "advice": step.advice,
        "nearest_station": step.title,
    }


def _held_fact(held: HeldBack) -> dict[str, object]:
    item = held.item
    return {
        "accession": item.accession_number,
        "requested_procedure_id": item.requested_procedure_id,
        "scheduled_procedure_step_id": item.scheduled_procedure_step_id,
        "status": item.status.value,
        "why": held.why,
    }
