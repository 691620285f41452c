"""Order, patient and merge changes made by hand, as a translated message would give them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.orders.model import (
    KEYWORDS,
    Action,
    Applying,
    Code,
    MergeChange,
    MergeKind,
    Missing,
    Order,
    OrderChange,
    OrderKeys,
    Origin,
    Patient,
    PatientAction,
    PatientChange,
    Place,
    ScheduledStep,
    VisitAction,
)

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
HERE = Applying("test", 7, NOW)
EVA = Patient("4711", "HOSP", "Muster^Eva", "19800229", "F", {"Allergies": "Latex"})
ADAM = Patient("4712", "HOSP", "Muster^Adam", "19750101", "M")
MISSING_MODALITY = Missing("OBR^1^24", "Modality is missing and cannot be derived")


def at(minutes: float) -> datetime:
    """Return an instant so many minutes after the first message was sent."""
    return datetime(2026, 1, 31, 10, 0, tzinfo=UTC) + timedelta(minutes=minutes)


def step(own: str = "S1", date: str = "20260201", **more: Any) -> ScheduledStep:
    """Return a step as a message states it."""
    found = ScheduledStep(own, "US", date, "093000", (), "Abdomen", (Code("USABD", "L", "Abdomen US"),))
    return replace(found, **more)


def keys(**stated: str) -> OrderKeys:
    """Return the stated keys; by default those of `new()`."""
    return OrderKeys(**(stated or STATED))


STATED = {
    "study_instance_uid": "1.2.3",
    "filler_order_number": "F1",
    "placer_order_number": "P1",
    "accession_number": "A1",
    "requested_procedure_id": "RP1",
    "filler_issuer": "RIS",
    "placer_issuer": "HIS",
}
UNNAMED = {**STATED, "study_instance_uid": "", "accession_number": "", "requested_procedure_id": ""}


def origins_of(order: Order, made_here: frozenset[str] = frozenset()) -> dict[Place, Origin]:
    """Return an origin for each stated value: the name of its keyword as if it were a field."""
    values: dict[Place, object] = {}
    parts: tuple[Order | ScheduledStep, ...] = (order, *order.steps)
    for number, found in enumerate(parts):
        values |= {(number, KEYWORDS[name]): getattr(found, name) for name in KEYWORDS if hasattr(found, name)}
        values |= {(number, keyword): text for keyword, text in found.attributes.items()}
    patient = order.patient
    values |= {(0, KEYWORDS[name]): getattr(patient, name) for name in KEYWORDS if hasattr(patient, name)}
    values |= {(0, keyword): text for keyword, text in {**patient.attributes, **order.visit}.items()}
    return {
        place: Origin(rule="made") if place[1] in made_here else Origin(f"X-{place[1]}")
        for place, value in values.items()
        if value and place[1] != "ScheduledProcedureStepStatus"
    }


def change(
    action: Action,
    *,
    stated: Mapping[str, str] = STATED,
    patient: Patient = EVA,
    steps: tuple[ScheduledStep, ...] = (),
    minute: float | None = 0,
    made_here: frozenset[str] = frozenset(),
    order: Mapping[str, Any] | None = None,
    **more: Any,
) -> OrderChange:
    """Return a change that states these keys, this patient and these steps, sent at this minute."""
    names = OrderKeys(**stated)
    own = Order(
        patient,
        placer_order_number=names.placer_order_number,
        filler_order_number=names.filler_order_number,
        accession_number=names.accession_number,
        requested_procedure_id=names.requested_procedure_id,
        study_instance_uid=names.study_instance_uid,
        steps=steps,
        timezone="Europe/Berlin",
    )
    own = replace(own, **(order or {}))
    sent = None if minute is None else at(minute)
    more.setdefault("origins", origins_of(own, made_here))
    return OrderChange(action, names, own, "ORC^1", effective=sent, sent=sent, **more)


def new(minute: float | None = 0, steps: tuple[ScheduledStep, ...] = (step(),), **more: Any) -> OrderChange:
    """Return a new order, whole."""
    described = {"requested_procedure_description": "US Abdomen", "attributes": {"RequestedProcedurePriority": "STAT"}}
    more["order"] = described | more.get("order", {})
    return change(Action.NEW, steps=steps, minute=minute, **more)


def only(action: Action, minute: float | None = 1, **stated: str) -> OrderChange:
    """Return a change that states nothing but keys: by default the filler number."""
    return change(
        action,
        stated=stated or {"filler_order_number": "F1", "filler_issuer": "RIS"},
        patient=Patient(),
        minute=minute,
        missing=Missing("PID^1^3", "PatientID is missing"),
    )


def adt(patient: Patient = EVA, minute: float | None = 1, **more: Any) -> PatientChange:
    """Return what an ADT message says; by default an update of patient and visit."""
    sent = None if minute is None else at(minute)
    visit = more.pop("visit", {})
    more.setdefault("origins", origins_of(Order(patient, visit=visit)))
    actions = (more.pop("patient_action", PatientAction.UPDATE), more.pop("visit_action", VisitAction.UPDATE))
    return PatientChange(*actions, patient, visit, "PID^1", effective=sent, sent=sent, **more)


def merge(old: str, surviving: Patient, minute: float | None = 1, **more: Any) -> MergeChange:
    """Return a merge of the old identifier, of the survivor's issuer, into the surviving patient."""
    sent = None if minute is None else at(minute)
    kind = more.pop("kind", MergeKind.MERGE)
    issuer = more.pop("issuer", surviving.issuer_of_patient_id)
    more.setdefault("origins", origins_of(Order(surviving)))
    return MergeChange(kind, surviving, old, issuer, "MRG^1", effective=sent, sent=sent, **more)
