"""Patients as they are known, and what a statement does to them. Pure; the tables are `patient_store.py`'s."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.environments.model import LateStatements
from broker.orders.merge import (
    PATIENT,
    PATIENT_KEYWORDS,
    Statement,
    overwritten,
    same_visit,
    with_stated,
)
from broker.orders.model import KEYWORDS, MergeKind, Order, Origin, Origins, Patient, StoredOrder

REFERRING = "ReferringPhysicianName"

_LATE = "the patient's data are older than what is known and were left unapplied"


@dataclass(frozen=True, slots=True)
class StoredPatient:
    """A patient as it stands. `merged_into` is the row of the surviving patient, 0 for a patient in use."""

    id: int
    patient: Patient
    visit: dict[str, str] = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    merged_into: int = 0
    effective: datetime | None = None  # the newest EVN-2 or MSH-7 applied
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredMerge:
    """One merge, undone or not. Rows are patients' ids."""

    id: int
    at: datetime
    entry_id: int
    kind: MergeKind
    old: StoredPatient
    surviving: StoredPatient
    order_ids: tuple[int, ...]  # that it moved or changed
    undone: datetime | None
    undone_by: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An order as its row has it: its `visit` and `origins` are its own, its patient is elsewhere."""

    id: int
    order: Order
    origins: Origins
    patient_row: int  # 0 for a cancel that came before its order
    filler_issuer: str
    placer_issuer: str
    canceled: bool
    generation: int
    parent: int
    canceled_sent: datetime | None
    effective: datetime | None
    created: datetime
    updated: datetime
    entry_id: int
    created_entry: int | None = None  # the message that ordered it; a cancel that came before did not


def with_statement(
    known: StoredPatient, patient: Patient, visit: Mapping[str, str], said: Statement, stamp: datetime | None
) -> StoredPatient:
    """Return the patient with what a message states of patient and visit; the identifier stays.

    Another AdmissionID than the known one begins another visit: nothing of the old one is left.
    """
    kept = dict(known.origins)
    found = overwritten(known.patient, patient, PATIENT, (0, ""), said, kept=kept)
    attributes = with_stated(known.patient.attributes, patient.attributes, (0, ""), said, kept)
    same = same_visit(known.visit, visit)
    if not same:
        kept = without(kept, known.visit)
    now = with_stated(known.visit if same else {}, visit, (0, ""), said, kept)
    if found is known.patient and attributes == found.attributes and now == known.visit:
        return replace(known, effective=newest(known.effective, stamp))
    return replace(
        known,
        patient=replace(found, attributes=attributes),
        visit=now,
        origins=kept,
        effective=newest(known.effective, stamp),
    )


def new_patient(
    patient: Patient,
    visit: dict[str, str],
    origins: Mapping[tuple[int, str], Origin],
    entry_id: int,
    stamp: datetime | None,
) -> StoredPatient:
    """Return a patient that is not stored yet (its id is 0)."""
    new = tuple.__new__  # what `Origin(…)` comes to, without its own call: every value of every message has one
    own = {
        ("", keyword): new(Origin, (source, rule, entry_id))
        for (number, keyword), (source, rule, _) in origins.items()
        if not number and (keyword in PATIENT_KEYWORDS or keyword in patient.attributes or keyword in visit)
    }
    return StoredPatient(0, patient, visit, own, effective=stamp)


def late_text(known: StoredPatient, stamp: datetime | None, policy: LateStatements) -> str:
    """Return what to tell the sender of a statement older than what is known, else empty."""
    return _LATE if policy is not LateStatements.OFF and is_older(stamp, known.effective) else ""


def is_older(stamp: datetime | None, known: datetime | None) -> bool:
    """Tell whether a statement is older than the newest one; where either has no stamp nothing is known."""
    return stamp is not None and known is not None and stamp < known


def without(origins: Origins, keywords: Container[str]) -> dict[tuple[str, str], Origin]:
    """Return the origins but for those of the patient's, visit's or order's values with these keywords."""
    return {place: origin for place, origin in origins.items() if place[0] or place[1] not in keywords}


def newest(*stamps: datetime | None) -> datetime | None:
    """Return the newest of the stamps that there are."""
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def conflicts(one: Patient, other: Patient) -> tuple[str, ...]:
    """Return the keywords in which two patients cannot be one person: both are known and differ."""
    return _differing(one, other, PATIENT[1:])


def unapplied(stated: Patient, known: Patient) -> tuple[str, ...]:
    """Return the keywords of what is stated otherwise than known, by a message that changes no patient."""
    return _differing(stated, known, PATIENT)


def _differing(one: Patient, other: Patient, names: Sequence[str]) -> tuple[str, ...]:
    found = ((KEYWORDS[name], getattr(one, name), getattr(other, name)) for name in names)
    return tuple(keyword for keyword, first, second in found if first and second and first != second)


def shown(kept: Kept, patient: StoredPatient | None, own: int = 0) -> StoredOrder:
    """Return the order with what is known now of patient and visit; `own` is its id where `kept` has none yet."""
    order, origins = kept.order, kept.origins
    if patient is not None:
        visit, origins = _visit(kept, patient)
        if order.patient is not patient.patient or visit is not order.visit:
            order = replace(order, patient=patient.patient, visit=visit)
    return StoredOrder(
        id=own or kept.id,
        order=order,
        patient_row=kept.patient_row,
        canceled=kept.canceled,
        generation=kept.generation,
        created=kept.created,
        updated=kept.updated,
        entry_id=kept.entry_id,
        origins=origins,
        placer_issuer=kept.placer_issuer,
        filler_issuer=kept.filler_issuer,
    )


def _visit(kept: Kept, patient: StoredPatient) -> tuple[dict[str, str], Origins]:
    """Return the visit of an order: what is known of it now, else what the order states, and all values' origins.

    Who refers is the order's own statement first: it is of the imaging service request (PS3.4 table K.6-1).
    """
    own, known = kept.order.visit, patient.visit
    if not same_visit(known, own):
        return own, {**kept.origins, **without(patient.origins, known)}
    origins = {**kept.origins, **patient.origins}
    if not own:
        return known, origins
    whole = {**own, **known}
    if REFERRING in own:
        whole[REFERRING] = own[REFERRING]
        if referring := kept.origins.get(("", REFERRING)):
            origins["", REFERRING] = referring
    return own if own == whole else whole, origins
