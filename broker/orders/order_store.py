"""The imaging_order table: orders by what they are found by. Decides nothing; patients are `patient_store.py`'s."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, false, insert, or_, select, update

from broker.database import Transaction
from broker.orders import patient_store, snapshot
from broker.orders.lookup import KEYS, Candidate
from broker.orders.model import KEYWORDS, OrderKeys, Patient, StoredOrder
from broker.orders.patients import Kept, StoredPatient, shown
from broker.orders.tables import ORDER, PATIENT
from broker.statements import Prepared

_NOBODY = Patient()
_ADD = Prepared(insert(ORDER))
_CHANGE = Prepared(update(ORDER).where(ORDER.c.id == bindparam("row")))
_BY_ID = Prepared(select(ORDER).where(ORDER.c.id == bindparam("row")))
_OF_PATIENT = Prepared(select(ORDER).where(ORDER.c.patient == bindparam("whose")).order_by(ORDER.c.id))
_MOVE = update(ORDER).where(ORDER.c.id == bindparam("row")).values(patient=bindparam("whose"))
_PROCEDURE = KEYWORDS["requested_procedure_id"]


@cache
def _sharing(names: tuple[str, ...]) -> Prepared:
    """Return the statement for orders that share one of these keys: each is found by its index (EXPLAIN in tests)."""
    return Prepared(select(ORDER).where(_any_of(names)))


@cache
def _exist(names: tuple[str, ...]) -> Prepared:
    whose = select(PATIENT.c.id).where(
        PATIENT.c.patient_id == bindparam("patient_id"), PATIENT.c.issuer_of_patient_id == bindparam("issuer")
    )
    order = select(ORDER.c.id).where(_any_of(names)).limit(1)
    return Prepared(select(whose.scalar_subquery(), order.scalar_subquery()))


def _any_of(names: tuple[str, ...]) -> ColumnElement[bool]:
    return or_(false(), *(ORDER.c[name] == bindparam(name) for name in names))


def sharing(tx: Transaction, keys: OrderKeys) -> list[Kept]:
    """Return every order that shares a stated key."""
    stated = _stated(keys)
    if not stated:
        return []
    return [_kept(row) for row in _sharing(tuple(stated)).rows(tx, stated)]


def exist(tx: Transaction, patient: Patient, keys: OrderKeys) -> tuple[bool, bool]:
    """Tell whether this patient is known, and whether an order shares a key: most new orders need ask no more."""
    stated = _stated(keys)
    own = {"patient_id": patient.patient_id, "issuer": patient.issuer_of_patient_id}
    row = _exist(tuple(stated)).rows(tx, {**own, **stated})[0]
    return row[0] is not None, row[1] is not None


def _stated(keys: OrderKeys) -> dict[str, str]:
    return {name: value for name in KEYS if (value := getattr(keys, name))}


def candidate(kept: Kept) -> Candidate:
    """Return what tells an order from others."""
    order = kept.order
    procedure = kept.origins.get(("", _PROCEDURE))
    return Candidate(
        id=kept.id,
        keys=OrderKeys(
            study_instance_uid=order.study_instance_uid,
            filler_order_number=order.filler_order_number,
            placer_order_number=order.placer_order_number,
            accession_number=order.accession_number,
            requested_procedure_id=order.requested_procedure_id,
            filler_issuer=kept.filler_issuer,
            placer_issuer=kept.placer_issuer,
        ),
        patient_row=kept.patient_row,
        canceled=kept.canceled,
        generation=kept.generation,
        procedure_made_here=procedure is not None and procedure.made_here,
    )


def by_id(tx: Transaction, order_id: int) -> Kept | None:
    """Return an order by our id."""
    found = _BY_ID.rows(tx, {"row": order_id})
    return _kept(found[0]) if found else None


def of_patient(tx: Transaction, row_id: int) -> list[Kept]:
    """Return a patient's orders, oldest first."""
    return [_kept(row) for row in _OF_PATIENT.rows(tx, {"whose": row_id})]


def add(tx: Transaction, kept: Kept) -> int:
    """Add an order and return its id."""
    first = {"created": kept.created, "created_entry": kept.created_entry}
    return _ADD.add(tx, {**first, **_columns(kept)})


def change(tx: Transaction, kept: Kept) -> Kept:
    """Store how an order stands now."""
    _CHANGE.run(tx, {"row": kept.id, **_columns(kept)})
    return kept


def move(tx: Transaction, order_ids: Iterable[int], row_id: int) -> None:
    """Give orders to another patient."""
    for order_id in order_ids:
        tx.execute(_MOVE, {"row": order_id, "whose": row_id})


def newest(tx: Transaction, limit: int) -> list[StoredOrder]:
    """Return the newest orders whole, newest first."""
    return whole(tx, tx.execute(select(ORDER).order_by(ORDER.c.id.desc()).limit(limit)))


def named(tx: Transaction, key: str, limit: int = 100) -> list[StoredOrder]:
    """Return the orders that a key names: Study Instance UID, filler, placer or accession number, else our id."""
    query = select(ORDER).order_by(ORDER.c.id).limit(limit)
    found = whole(tx, tx.execute(query.where(or_(*(ORDER.c[name] == key for name in KEYS)))))
    if not found and key.isdecimal() and len(key) < 10:
        found = whole(tx, tx.execute(query.where(ORDER.c.id == int(key))))
    return found


def whole(tx: Transaction, rows: Iterable[Row[Any]]) -> list[StoredOrder]:
    """Return orders with what is known of their patients."""
    patients: dict[int, StoredPatient] = {}
    return [with_patient(tx, _kept(row), patients) for row in rows]


def with_patient(tx: Transaction, kept: Kept, patients: dict[int, StoredPatient] | None = None) -> StoredOrder:
    """Return an order with what is known of its patient; `patients` remembers those already read."""
    known = {} if patients is None else patients
    if not kept.patient_row:
        return shown(kept, None)
    if kept.patient_row not in known:
        known[kept.patient_row] = patient_store.by_row(tx, kept.patient_row)
    return shown(kept, known[kept.patient_row])


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        id=row.id,
        order=snapshot.from_json(row.snapshot, _NOBODY),
        origins=snapshot.origins_from_json(row.origins),
        patient_row=row.patient or 0,
        filler_issuer=row.filler_issuer,
        placer_issuer=row.placer_issuer,
        canceled=row.canceled,
        generation=row.generation,
        parent=row.parent or 0,
        canceled_sent=row.canceled_sent,
        effective=row.effective,
        created=row.created,
        updated=row.updated,
        entry_id=row.entry,
        created_entry=row.created_entry,
    )


def _columns(kept: Kept) -> dict[str, object]:
    order = kept.order
    return {
        "patient": kept.patient_row or None,
        "study_instance_uid": order.study_instance_uid,
        "filler_order_number": order.filler_order_number,
        "filler_issuer": kept.filler_issuer,
        "placer_order_number": order.placer_order_number,
        "placer_issuer": kept.placer_issuer,
        "accession_number": order.accession_number,
        "requested_procedure_id": order.requested_procedure_id,
        "canceled": kept.canceled,
        "snapshot": snapshot.to_json(order),
        "updated": kept.updated,
        "entry": kept.entry_id,
        "origins": snapshot.origins_to_json(kept.origins),
        "generation": kept.generation,
        "parent": kept.parent or None,
        "canceled_sent": kept.canceled_sent,
        "effective": kept.effective,
    }
