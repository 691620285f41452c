"""Studies of which everything is delivered, for those who are told of it. Reads the delivery table, changes nothing."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from broker.database import Transaction, table_of
from broker.delivery.model import DeliveryState
from broker.delivery.tables import DeliveryRow
from broker.outbox import studies as awaited
from broker.outbox.studies import AwaitedStudy
from broker.spool.store import InstanceRow

_DELIVERIES = table_of(DeliveryRow)
_INSTANCES = table_of(InstanceRow)
_STUDIES = 200  # Study Instance UIDs in one statement


def note_studies(tx: Transaction, receivers: Collection[str], limit: int = 1000) -> int:
    """Have each receiver of status messages await the studies of what came since the last call; return how many came.

    Every instance is a delivery from its receipt on, and their IDs grow, so that nothing is looked at twice.
    """
    seen = awaited.seen_deliveries(tx)
    query = (
        select(_DELIVERIES.c.id, _INSTANCES.c.study_instance_uid, _INSTANCES.c.received)
        .join(_INSTANCES, _INSTANCES.c.id == _DELIVERIES.c.instance_id)
        .where(_DELIVERIES.c.id > seen)
    )
    rows = tx.execute(query.order_by(_DELIVERIES.c.id).limit(limit)).all()
    newest: dict[str, datetime] = {}
    for row in (row for row in rows if row.study_instance_uid):
        newest[row.study_instance_uid] = max(row.received, newest.get(row.study_instance_uid, row.received))
    if rows:
        awaited.note_studies(tx, receivers, newest, rows[-1].id)
    return len(rows)


def settled_studies(
    tx: Transaction, receiver: str, quiet_since: datetime, now: datetime, limit: int
) -> list[AwaitedStudy]:
    """Return studies that the receiver awaits, that got nothing since `quiet_since`, and of which all is delivered."""
    waiting = awaited.awaited_studies(tx, receiver, quiet_since, now)
    settled: list[AwaitedStudy] = []
    for start in range(0, len(waiting), _STUDIES):
        batch = waiting[start : start + _STUDIES]
        owed = _unfinished(tx, [study.study_instance_uid for study in batch])
        settled += [study for study in batch if study.study_instance_uid not in owed]
        if len(settled) >= limit:
            break
    return settled[:limit]


def _unfinished(tx: Transaction, study_instance_uids: Sequence[str]) -> set[str]:
    query = select(_INSTANCES.c.study_instance_uid).join(_DELIVERIES, _DELIVERIES.c.instance_id == _INSTANCES.c.id)
    of_these = _INSTANCES.c.study_instance_uid.in_(study_instance_uids)
    return set(
        tx.execute(query.where(of_these, _DELIVERIES.c.state != DeliveryState.DELIVERED.value).distinct()).scalars()
    )
