"""How a person takes a merge back, which HL7 cannot say (B.4): orders go back, both patients are as they were."""

from dataclasses import replace
from datetime import datetime

from broker.database import Transaction
from broker.orders import history, merge_store, order_store, patient_store
from broker.orders.history import HistoryEntry
from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge import ADMISSION, PATIENT
from broker.orders.merge_store import Record
from broker.orders.model import Applied, Did, MergeKind, Refusal
from broker.orders.patients import Kept, StoredPatient, shown

_UNKNOWN = "no such merge"
_DONE = "the merge is undone already"
_SINCE = "something of these patients was merged since: undo that first"
_TEXT = "a person took the merge back"


def undo_merge(tx: Transaction, merge_id: int, now: datetime, by: str) -> Applied:
    """Take a merge back: its orders return, both patients are restored but for what was stated since.

    Orders that came after the merge stay with the surviving patient. Raises Refusal AE 204 for a merge that is
    unknown, 205 for one that is undone or that others build on.
    """
    record = merge_store.find(tx, merge_id)
    if record is None:
        raise Refusal("AE", "", UNKNOWN_KEY, _UNKNOWN)
    if record.undone is not None:
        raise Refusal("AE", "", "205", _DONE)
    if not merge_store.is_newest(tx, record):
        raise Refusal("AE", "", "205", _SINCE)
    survivor = _restored(tx, record.survivor_before, record.survivor_after, now)
    old = survivor
    if record.old_before.id != record.survivor_before.id:
        old = _restored(tx, record.old_before, record.old_after, now)
    merge_store.mark_undone(tx, merge_id, now, by)
    returned = [_returned(tx, kept, record, now) for kept in _still_moved(tx, record)]
    for kept in returned:
        history.add(tx, kept.id, HistoryEntry(now, 0, Did.MOVED, _TEXT))
    ids = {kept.id for kept in returned}
    others = [k for k in order_store.of_patient(tx, survivor.id) if not k.canceled and k.id not in ids]
    return Applied(Did.MOVED, (*(shown(kept, old) for kept in returned), *(shown(kept, survivor) for kept in others)))


def _still_moved(tx: Transaction, record: Record) -> list[Kept]:
    """Return the orders that the merge moved and that are still where it put them."""
    moved = set(record.order_ids)
    return [kept for kept in order_store.of_patient(tx, record.survivor_before.id) if kept.id in moved]


def _returned(tx: Transaction, kept: Kept, record: Record, now: datetime) -> Kept:
    order = kept.order
    if record.kind is MergeKind.VISIT:
        visit = {keyword: text for keyword, text in order.visit.items() if keyword != ADMISSION}
        admission = record.admissions.get(kept.id, "")
        order = replace(order, visit=visit | ({ADMISSION: admission} if admission else {}))
    return order_store.change(tx, replace(kept, order=order, patient_row=record.old_before.id, updated=now))


def _restored(tx: Transaction, before: StoredPatient, after: StoredPatient, now: datetime) -> StoredPatient:
    """Return the patient as before, but for each value that something else has changed since."""
    known = patient_store.by_row(tx, before.id)
    texts = {name: _undone(*(getattr(p.patient, name) for p in (before, after, known))) for name in PATIENT}
    attributes = _undone_all(before.patient.attributes, after.patient.attributes, known.patient.attributes)
    visit = _undone_all(before.visit, after.visit, known.visit)
    values = {*attributes, *visit}
    origins = {**dict(known.origins), **dict(before.origins)}
    current = {place: origin for place, origin in known.origins.items() if after.origins.get(place) != origin}
    kept = {place: origin for place, origin in {**origins, **current}.items() if _is_valued(place[1], values)}
    patient = replace(known.patient, **texts, attributes=attributes)
    restored = replace(known, patient=patient, visit=visit, origins=kept, merged_into=0)
    return patient_store.change(tx, restored, now)


def _is_valued(keyword: str, values: set[str]) -> bool:
    return keyword in values or keyword.startswith(("Patient", "IssuerOfPatientID"))


def _undone(before: str, after: str, known: str) -> str:
    return before if known == after else known


def _undone_all(before: dict[str, str], after: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    keywords = dict.fromkeys((*before, *after, *known))
    found = {k: _undone(before.get(k, ""), after.get(k, ""), known.get(k, "")) for k in keywords}
    return {keyword: text for keyword, text in found.items() if text}
