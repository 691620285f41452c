"""The patient_merge table: every merge with both patients before and after, so that a person can undo it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from broker.database import Transaction
from broker.orders import patient_store
from broker.orders.model import MergeKind, Patient
from broker.orders.patients import StoredMerge, StoredPatient
from broker.orders.snapshot import origins_from_json, origins_to_json
from broker.orders.tables import MERGE


@dataclass(frozen=True, slots=True)
class Record:
    """A merge as it was done. `admissions`: by order, the AdmissionID that it stated itself before."""

    kind: MergeKind
    at: datetime
    entry_id: int
    old_before: StoredPatient
    old_after: StoredPatient
    survivor_before: StoredPatient
    survivor_after: StoredPatient
    order_ids: tuple[int, ...]
    admissions: Mapping[int, str]
    id: int = 0
    undone: datetime | None = None


def add(tx: Transaction, record: Record) -> None:
    """Remember a merge."""
    state = {
        "old": [_values(record.old_before), _values(record.old_after)],
        "survivor": [_values(record.survivor_before), _values(record.survivor_after)],
        "admissions": {str(own): text for own, text in record.admissions.items()},
    }
    tx.execute(
        insert(MERGE),
        {
            "at": record.at,
            "entry_id": record.entry_id,
            "kind": record.kind.value,
            "old_patient": record.old_before.id,
            "surviving_patient": record.survivor_before.id,
            "moved_orders": json.dumps(record.order_ids),
            "state": json.dumps(state, ensure_ascii=False),
            "undone_by": "",
        },
    )


def find(tx: Transaction, merge_id: int) -> Record | None:
    """Return a merge by its id."""
    row = tx.execute(select(MERGE).where(MERGE.c.id == merge_id)).first()
    return None if row is None else _record(row)


def is_newest(tx: Transaction, record: Record) -> bool:
    """Tell whether nothing of either patient was merged since, or all of that is undone."""
    rows = (record.old_before.id, record.survivor_before.id)
    since = (
        select(MERGE.c.id)
        .where(MERGE.c.id > record.id, MERGE.c.undone.is_(None))
        .where(or_(MERGE.c.old_patient.in_(rows), MERGE.c.surviving_patient.in_(rows)))
    )
    return tx.execute(since.limit(1)).first() is None


def mark_undone(tx: Transaction, merge_id: int, now: datetime, by: str) -> None:
    """Remember who undid a merge."""
    tx.execute(update(MERGE).where(MERGE.c.id == merge_id).values(undone=now, undone_by=by))


def merges(tx: Transaction, limit: int = 100) -> list[StoredMerge]:
    """Return the newest merges, newest first, undone ones too."""
    return [_merge(tx, row) for row in tx.execute(select(MERGE).order_by(MERGE.c.id.desc()).limit(limit)).all()]


def _merge(tx: Transaction, row: Row[Any]) -> StoredMerge:
    return StoredMerge(
        id=row.id,
        at=row.at,
        entry_id=row.entry_id,
        kind=MergeKind(row.kind),
        old=patient_store.by_row(tx, row.old_patient),
        surviving=patient_store.by_row(tx, row.surviving_patient),
        order_ids=tuple(json.loads(row.moved_orders)),
        undone=row.undone,
        undone_by=row.undone_by,
    )


def _record(row: Row[Any]) -> Record:
    state = json.loads(row.state)
    old_before, old_after = map(_patient, state["old"])
    survivor_before, survivor_after = map(_patient, state["survivor"])
    return Record(
        kind=MergeKind(row.kind),
        at=row.at,
        entry_id=row.entry_id,
        old_before=old_before,
        old_after=old_after,
        survivor_before=survivor_before,
        survivor_after=survivor_after,
        order_ids=tuple(json.loads(row.moved_orders)),
        admissions={int(own): text for own, text in state["admissions"].items()},
        id=row.id,
        undone=row.undone,
    )


def _values(patient: StoredPatient) -> dict[str, Any]:
    own = patient.patient
    return {
        "id": patient.id,
        "patient_id": own.patient_id,
        "issuer_of_patient_id": own.issuer_of_patient_id,
        "patient_name": own.patient_name,
        "patient_birth_date": own.patient_birth_date,
        "patient_sex": own.patient_sex,
        "attributes": own.attributes,
        "visit": patient.visit,
        "origins": origins_to_json(patient.origins),
    }


def _patient(found: dict[str, Any]) -> StoredPatient:
    row_id, visit, origins = found.pop("id"), found.pop("visit"), origins_from_json(found.pop("origins"))
    return StoredPatient(row_id, Patient(**found), visit, origins)
