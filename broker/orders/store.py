"""The door to what the hospital asked for: change it, look at it. Reads no message, owns no transaction."""

from dataclasses import replace
from datetime import datetime

from broker.database import Transaction
from broker.orders import history as _history
from broker.orders import order_steps, order_store
from broker.orders.history import HistoryEntry, history
from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge_store import merges
from broker.orders.model import (
    Applied,
    Applying,
    Change,
    Did,
    MergeChange,
    OrderChange,
    PatientChange,
    Refusal,
    StepStatus,
    StoredOrder,
)
from broker.orders.order_changes import apply_order
from broker.orders.patient_changes import apply_patient
from broker.orders.patient_merges import apply_merge
from broker.orders.patient_store import patients
from broker.orders.undo import undo_merge

__all__ = [
    "HistoryEntry",
    "apply",
    "history",
    "merges",
    "order",
    "order_detail",
    "orders",
    "patients",
    "perform",
    "undo_merge",
]


def apply(tx: Transaction, change: Change, here: Applying) -> Applied:
    """Do what one change asks for and return what it did; the same change again changes nothing.

    Raises Refusal AE (table 0357): 101 where it lacks what a new order or patient needs, 204 where its keys name
    nothing, different orders or another patient, 205 for a canceled order or a merge in a circle. Demographics that
    contradict are `for_person`.
    """
    match change:
        case OrderChange():
            return apply_order(tx, change, here)
        case PatientChange():
            return apply_patient(tx, change, here)
        case MergeChange():
            return apply_merge(tx, change, here)


def perform(tx: Transaction, order_id: int, step_ids: tuple[str, ...], status: StepStatus, now: datetime) -> Applied:
    """Set what was performed; without step IDs, of all steps. A fact is taken whatever was asked of the order.

    Raises Refusal AE 204 for an order or a step that is not known.
    """
    known = order_store.by_id(tx, order_id)
    if known is None:
        raise Refusal("AE", "", UNKNOWN_KEY, "no such order")
    found = order_steps.performed(known, step_ids, status)
    if not found.step_ids:
        return Applied(Did.NOTHING, (order_store.with_patient(tx, known),))
    canceled = bool(found.order.steps) and not order_steps.has_others(found.order)
    stands = replace(known, order=found.order, origins=found.origins, canceled=canceled, updated=now)
    kept = order_store.change(tx, stands)
    _history.add(tx, order_id, HistoryEntry(now, 0, Did.STATUS, f"{status.value} {order_steps.text_of(found)}".strip()))
    return Applied(Did.STATUS, (order_store.with_patient(tx, kept),))


def order(tx: Transaction, order_id: int) -> StoredOrder:
    """Return an order by our id. Raises Refusal AE 204 for one that is not known."""
    kept = order_store.by_id(tx, order_id)
    if kept is None:
        raise Refusal("AE", "", UNKNOWN_KEY, "no such order")
    return order_store.with_patient(tx, kept)


def orders(tx: Transaction, limit: int = 100) -> list[StoredOrder]:
    """Return the newest orders, newest first."""
    return order_store.newest(tx, limit)


def order_detail(tx: Transaction, key: str) -> list[StoredOrder]:
    """Return the orders that a key names: Study Instance UID, filler, placer or accession number, else our id."""
    return order_store.named(tx, key)
