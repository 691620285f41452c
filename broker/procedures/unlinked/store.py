"""What a person unlinked, from which scheduled step, why, when; and what nobody is to link. Links are `store`'s."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Row, Select, Text, delete, func, insert, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.orders.model import StepStatus
from broker.procedures import store
from broker.procedures.model import Link, Unlinked


class PerformedUnlinkRow(SQLModel, table=True):
    """A link that a person took back. No rule makes one for its item again: a person has to."""

    __tablename__ = "performed_unlink"
    __table_args__ = (
        Index("ix_performed_unlink_step", "performed_step"),
        Index("ix_performed_unlink_order", "order_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    performed_step: int = Field(foreign_key="performed_step.id")
    order_id: int
    step_id: str
    item: int
    by: str
    why: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)


_TABLE = table_of(PerformedUnlinkRow)
_LINK = table_of(store.PerformedLinkRow)
_STEP = table_of(store.PerformedStepRow)


def take_back(tx: Transaction, performed_step: int, links: Sequence[Link], *, by: str, why: str, now: datetime) -> None:
    """Take back links of a performed step to one scheduled step, and count what is left without one."""
    for one in links:
        key = {"performed_step": performed_step, "order_id": one.order_id, "step_id": one.step_id, "item": one.item}
        tx.execute(delete(_LINK).where(*(_LINK.c[name] == value for name, value in key.items())))
        tx.execute(insert(_TABLE).values(**key, by=by, why=why, at=now))
    store.link(tx, performed_step, (), now)


def begin_with(tx: Transaction, order_id: int, step_id: str, before: StepStatus) -> None:
    """Have the first that is left of what was performed of a scheduled step begin from how it stood before all."""
    same = (_LINK.c.order_id == order_id, _LINK.c.step_id == step_id)
    first = select(func.min(_LINK.c.performed_step)).where(*same).scalar_subquery()
    tx.execute(update(_LINK).where(*same, _LINK.c.performed_step == first).values(before=before.value))


def dismiss(tx: Transaction, step_id: int, text: str, now: datetime) -> None:
    """Leave a step out of what people are to look at: it may stay without an order, and without an end."""
    tx.execute(update(_STEP).where(_STEP.c.id == step_id).values(dismissed=text, dismissed_at=now))


def items_left_to_people(tx: Transaction, performed_step: int) -> frozenset[int]:
    """Return the numbers of a performed step's items of which a person took back a link."""
    query = select(_TABLE.c.item).where(_TABLE.c.performed_step == performed_step)
    return frozenset(tx.execute(query).scalars())


def of_step(tx: Transaction, performed_step: int) -> list[Unlinked]:
    """Return what was unlinked of a performed step, oldest first."""
    query = _joined().where(_TABLE.c.performed_step == performed_step).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def of_order(tx: Transaction, order_id: int) -> list[Unlinked]:
    """Return what was unlinked from an order, oldest first."""
    return [_value(row) for row in tx.execute(_joined().where(_TABLE.c.order_id == order_id).order_by(_TABLE.c.id))]


def has_nothing_left(tx: Transaction, order_id: int) -> bool:
    """Tell whether people have taken back all that was performed of an order: images of its study are not its own."""
    return bool(of_order(tx, order_id)) and not store.of_order(tx, order_id)


def _joined() -> Select[Any]:
    columns = (_STEP.c.sop_instance_uid, _TABLE.c.order_id, _TABLE.c.step_id, _TABLE.c.by, _TABLE.c.why, _TABLE.c.at)
    return select(*columns).join(_STEP, _STEP.c.id == _TABLE.c.performed_step)


def _value(row: Row[Any]) -> Unlinked:
    return Unlinked(row.sop_instance_uid, row.order_id, row.step_id, row.by, row.why, row.at)
