"""The delivery_correction table: what became of each instance on its way to a destination with a rule. Kept for good.

It outlives the delivery's own row: which copies are not what was received must be known as long as the copies are.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.delivery.correction.model import Applied, Became
from broker.delivery.model import DeliveryState
from broker.delivery.state import NEXT, Event
from broker.delivery.tables import DeliveryRow
from broker.statements import upsert

_BATCH = 500  # identifiers in one statement
_KEY = ("instance_id", "destination")


class DeliveryCorrectionRow(SQLModel, table=True):
    """One instance and destination."""

    __tablename__ = "delivery_correction"

    instance_id: str = Field(primary_key=True, max_length=26)
    destination: str = Field(primary_key=True)
    became: str
    at: datetime = Field(sa_type=UtcDateTime)
    order_id: int
    keywords: str = Field(sa_type=Text)
    why: str = Field(sa_type=Text)
    fingerprint: str


_TABLE = table_of(DeliveryCorrectionRow)
_DELIVERY = table_of(DeliveryRow)


def keep(tx: Transaction, applied: Sequence[Applied]) -> None:
    """Record what becomes of instances, in place of what was recorded before."""
    if applied:
        statement = upsert(tx, _TABLE)
        new = {name: statement.excluded[name] for name in _TABLE.c.keys() if name not in _KEY}  # noqa: SIM118
        tx.execute(
            statement.on_conflict_do_update(index_elements=list(_KEY), set_=new), [_columns(one) for one in applied]
        )


def find(tx: Transaction, instance_ids: Collection[str], destination: str = "") -> list[Applied]:
    """Return what became of these instances, to one destination or to all."""
    found: list[Applied] = []
    ids = sorted(set(instance_ids))
    for start in range(0, len(ids), _BATCH):
        query = select(_TABLE).where(_TABLE.c.instance_id.in_(ids[start : start + _BATCH]))
        if destination:
            query = query.where(_TABLE.c.destination == destination)
        found += [_value(row) for row in tx.execute(query.order_by(_TABLE.c.instance_id, _TABLE.c.destination))]
    return found


def hold(tx: Transaction, delivery_id: int, token: str, reason: str) -> bool:
    """Hold a delivery that is leased under this token; tell False where it is another's by now."""
    mine = (_DELIVERY.c.id == delivery_id, _DELIVERY.c.lease == token)
    sending = _DELIVERY.c.state == DeliveryState.SENDING.value
    held = NEXT[DeliveryState.SENDING, Event.HELD].value
    values = {"state": held, "reason": reason, "lease": "", "lease_ends": None}
    return tx.execute(update(_DELIVERY).where(*mine, sending).values(values)).rowcount == 1


def _columns(applied: Applied) -> dict[str, object]:
    return {
        "instance_id": applied.instance_id,
        "destination": applied.destination,
        "became": applied.became.value,
        "at": applied.at,
        "order_id": applied.order_id,
        "keywords": json.dumps(applied.keywords),
        "why": applied.why,
        "fingerprint": applied.fingerprint,
    }


def _value(row: Row[Any]) -> Applied:
    return Applied(
        instance_id=row.instance_id,
        destination=row.destination,
        became=Became(row.became),
        at=row.at,
        order_id=row.order_id,
        keywords=tuple(json.loads(row.keywords)),
        why=row.why,
        fingerprint=row.fingerprint,
    )
