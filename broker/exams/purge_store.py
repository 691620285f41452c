"""What goes when its time is over: worklist items from the queries' sight, raw messages, deliveries and queries.

The ledger's facts stay: a message keeps its header, deliveries are counted, queries were folded. Nothing that waits
for a person goes.
"""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from broker.database import Transaction, table_of
from broker.delivery.model import DeliveryState
from broker.exams.store import DELIVERY, FOLDED, INSTANCE, ITEM, KEPT, QUERY, mark
from broker.inbox.model import FOR_PEOPLE, EntryState
from broker.inbox.store import InboxRow
from broker.orders.model import StepStatus
from broker.outbox import studies
from broker.worklist.store import WorklistPlaceRow

_INBOX = table_of(InboxRow)
_PLACE = table_of(WorklistPlaceRow)
_DONE = tuple(state.value for state in EntryState if state not in FOR_PEOPLE)


# --- items whose day is over -------------------------------------------------------------------------------------


def first_offered_day(today: date, expire_days: int) -> str:
    """Return the first day (DA) whose items are still offered; empty where they never expire."""
    return f"{today - timedelta(days=expire_days):%Y%m%d}" if expire_days else ""


def has_expired(tx: Transaction, first_day: str) -> bool:
    """Tell whether an item of an earlier day is still offered."""
    return tx.execute(select(ITEM.c.id).where(*_expired(first_day)).limit(1)).first() is not None


def withdraw(tx: Transaction, first_day: str, limit: int) -> int:
    """Offer items of earlier days no longer; return how many.

    Their status stays as it is: a message that gives the order another day offers them again. A started step stays:
    its exam is not over. An item without a day has none that could be over.
    """
    ids = tx.execute(select(ITEM.c.id).where(*_expired(first_day)).limit(limit)).scalars().all()
    if ids:
        tx.execute(update(ITEM).where(ITEM.c.id.in_(ids)).values(offered=0))
        tx.execute(delete(_PLACE).where(_PLACE.c.item_id.in_(ids)))
    return len(ids)


def _expired(first_day: str) -> tuple[Any, ...]:
    dated = (ITEM.c.start_date != "", ITEM.c.start_date < first_day)
    return (ITEM.c.offered == 1, *dated, ITEM.c.status != StepStatus.STARTED.value)


# --- what is older than agreed -----------------------------------------------------------------------------------


def purge_messages(tx: Transaction, before: datetime, limit: int) -> int:
    """Empty messages that came before an instant and wait for nobody; return how many.

    The header stays with how it was answered: the ledger names it, and the same message sent again is still known.
    """
    old = (_INBOX.c.received < before, _INBOX.c.state.in_(_DONE), func.length(_INBOX.c.raw) > 0)
    ids = tx.execute(select(_INBOX.c.id).where(*old).order_by(_INBOX.c.id).limit(limit)).scalars().all()
    if ids:
        tx.execute(update(_INBOX).where(_INBOX.c.id.in_(ids)).values(raw=b""))
    return len(ids)


def purge_queries(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove answered queries that are older than an instant and folded; return how many. The newest stays."""
    newest = select(func.max(QUERY.c.id)).scalar_subquery()
    old = (QUERY.c.at < before, QUERY.c.id <= mark(tx, FOLDED), QUERY.c.id < newest)
    ids = tx.execute(select(QUERY.c.id).where(*old).order_by(QUERY.c.id).limit(limit)).scalars().all()
    if ids:
        tx.execute(delete(QUERY).where(QUERY.c.id.in_(ids)))
    return len(ids)


def purge_deliveries(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove deliveries that were done before an instant, counted for the ledger; return how many.

    The newest stays, and those not yet looked at for studies: numbers are remembered, and must only ever grow.
    """
    newest = select(func.max(DELIVERY.c.id)).scalar_subquery()
    done = (DELIVERY.c.state == DeliveryState.DELIVERED.value, DELIVERY.c.finished < before)
    query = (
        select(DELIVERY.c.id, DELIVERY.c.destination, DELIVERY.c.finished, INSTANCE.c.received)
        .add_columns(INSTANCE.c.study_instance_uid, INSTANCE.c.accession_number)
        .join(INSTANCE, INSTANCE.c.id == DELIVERY.c.instance_id)
        .where(*done, DELIVERY.c.id < newest, DELIVERY.c.id <= studies.seen_deliveries(tx))
    )
    rows = tx.execute(query.order_by(DELIVERY.c.id).limit(limit)).all()
    for row in rows:
        _count(tx, row)
    if rows:
        tx.execute(delete(DELIVERY).where(DELIVERY.c.id.in_([row.id for row in rows])))
    return len(rows)


def _count(tx: Transaction, row: Any) -> None:
    seconds = max(0, round((row.finished - row.received).total_seconds()))
    key = {name: row._mapping[name] for name in ("study_instance_uid", "accession_number", "destination")}
    same = [KEPT.c[name] == value for name, value in key.items()]
    known = tx.execute(select(KEPT.c.instances, KEPT.c.last, KEPT.c.longest_seconds).where(*same)).first()
    if known is None:
        tx.execute(insert(KEPT).values(**key, instances=1, last=row.finished, longest_seconds=seconds))
        return
    longest = max(known.longest_seconds, seconds)
    more = {"instances": known.instances + 1, "last": max(known.last, row.finished), "longest_seconds": longest}
    tx.execute(update(KEPT).where(*same).values(more))
