"""The order_history table: what was done to each order, when, by which message. Holds no patient data."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from broker.database import Transaction
from broker.orders.model import Did
from broker.orders.tables import HISTORY, ORDER
from broker.statements import Prepared

_ADD = Prepared(insert(HISTORY).inline())
_MOST = 400  # characters of a text


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing done to an order. `entry_id` is the message, 0 where there was none."""

    at: datetime
    entry_id: int
    did: Did
    text: str  # names of what changed, never a patient's values


def add(tx: Transaction, order_id: int, entry: HistoryEntry) -> None:
    """Add to an order's history."""
    values = {
        "order_id": order_id,
        "at": entry.at,
        "entry_id": entry.entry_id,
        "did": entry.did.value,
        "text": entry.text[:_MOST],
    }
    _ADD.run(tx, values)


def history(tx: Transaction, order_id: int) -> list[HistoryEntry]:
    """Return what was done to an order, oldest first; that it was ordered is told by its own row."""
    ordered = tx.execute(select(ORDER.c.created, ORDER.c.created_entry).where(ORDER.c.id == order_id)).first()
    first = []
    if ordered is not None and ordered.created_entry is not None:
        first = [HistoryEntry(ordered.created, ordered.created_entry, Did.CREATED, "")]
    found = tx.execute(select(HISTORY).where(HISTORY.c.order_id == order_id).order_by(HISTORY.c.id))
    return first + [HistoryEntry(row.at, row.entry_id, Did(row.did), row.text) for row in found]
