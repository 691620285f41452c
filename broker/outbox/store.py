"""The tables of the outbox, and all of outbox_message: leases, fencing, order, and what was told already.

Every change is guarded by the state, or by the token, that it expects.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, Row, Text, func, select, update
from sqlmodel import Field, SQLModel, UniqueConstraint

from broker import owed
from broker.database import Transaction, UtcDateTime, table_of
from broker.environments.model import OrderEvent, Receiver
from broker.identifiers import new_id
from broker.leases import is_free
from broker.orders.model import StoredOrder
from broker.outbox import messages
from broker.outbox.messages import Told
from broker.outbox.model import OutboxMessage
from broker.owed import Decision, OwedState
from broker.statements import upsert

_CONTROL_ID = 20  # characters of MSH-10 (2.3.1)
_STEPS = "\\"  # no ID has a backslash (PS3.5 6.2)
_TOLD = ("receiver", "order_id", "event", "steps", "generation", "turn")
_STATUS = tuple(event.value for event in OrderEvent if event is not OrderEvent.IMAGES_AVAILABLE)


class OutboxMessageRow(SQLModel, table=True):
    """One message owed to one receiver."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        UniqueConstraint(*_TOLD, name="uq_outbox_message_told"),
        Index("ix_outbox_message_receiver", "receiver", "state", "id"),
        Index("ix_outbox_message_state", "state", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    receiver: str
    event: str
    order_id: int = Field(index=True)
    steps: str
    generation: int
    turn: int
    control_id: str = Field(max_length=_CONTROL_ID, unique=True)
    body: bytes
    state: str
    tries: int
    due: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    code: str
    reason: str = Field(sa_type=Text)
    lease: str
    lease_ends: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OutboxStudyRow(SQLModel, table=True):
    """One study of which a receiver is to be told once its images are available."""

    __tablename__ = "outbox_study"
    __table_args__ = (Index("ix_outbox_study_newest", "receiver", "newest"),)

    receiver: str = Field(primary_key=True)
    study_instance_uid: str = Field(primary_key=True)
    newest: datetime = Field(sa_type=UtcDateTime)  # receipt of an instance
    due: datetime = Field(sa_type=UtcDateTime)  # not looked at before


class OutboxMarkRow(SQLModel, table=True):
    """Up to where the deliveries were looked at for studies."""

    __tablename__ = "outbox_mark"

    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


_TABLE = table_of(OutboxMessageRow)
_LEASES = owed.leases(_TABLE)
STUDIES = table_of(OutboxStudyRow)
MARKS = table_of(OutboxMarkRow)


# --- owing -------------------------------------------------------------------------------------------------------


def owe(  # noqa: PLR0917 - what happened, in all its parts
    tx: Transaction,
    receivers: Iterable[Receiver],
    order: StoredOrder,
    event: OrderEvent,
    step_ids: Sequence[str],
    now: datetime,
) -> int:
    """Owe a message to each receiver that wants this event; return how many were owed.

    No steps means all of the order. The same is told twice only where something else was told in between: a step
    that was started, discontinued and is started again.
    """
    steps = _steps_key(order, step_ids)
    told = Told(order, event, _step_ids(steps), now)
    count = 0
    for receiver in (each for each in receivers if event in each.events):
        turn = _turn(tx, receiver.name, told, steps)
        if turn is not None:
            count += _insert(tx, receiver, told, steps, turn)
    return count


def _insert(tx: Transaction, receiver: Receiver, told: Told, steps: str, turn: int) -> int:
    control_id = new_id(told.at)[:_CONTROL_ID]
    row = {
        "receiver": receiver.name,
        "event": told.event.value,
        "order_id": told.order.id,
        "steps": steps,
        "generation": told.order.generation,
        "turn": turn,
        "control_id": control_id,
        "body": messages.build(receiver, told, control_id),
        "state": OwedState.WAITING.value,
        "tries": 0,
        "due": told.at,
        "created": told.at,
        "code": "",
        "reason": "",
        "lease": "",
    }
    once = upsert(tx, _TABLE).values(row).on_conflict_do_nothing(index_elements=_TOLD)
    return len(tx.execute(once.returning(_TABLE.c.id)).all())


def _turn(tx: Transaction, receiver: str, told: Told, steps: str) -> int | None:
    """Return how often this was told before, or None where the receiver knows it."""
    events = [told.event.value] if told.event is OrderEvent.IMAGES_AVAILABLE else _STATUS
    query = select(_TABLE.c.event).where(
        _TABLE.c.receiver == receiver,
        _TABLE.c.order_id == told.order.id,
        _TABLE.c.steps == steps,
        _TABLE.c.generation == told.order.generation,
        _TABLE.c.event.in_(events),
    )
    before = tx.execute(query.order_by(_TABLE.c.id)).scalars().all()
    if before and before[-1] == told.event.value:
        return None
    return before.count(told.event.value)


def _steps_key(order: StoredOrder, step_ids: Sequence[str]) -> str:
    known = [step.scheduled_procedure_step_id for step in order.order.steps]
    named = [step_id for step_id in known if step_id in step_ids]
    return "" if not step_ids or named == known else _STEPS.join(named or sorted(step_ids))


def _step_ids(steps: str) -> tuple[str, ...]:
    return tuple(steps.split(_STEPS)) if steps else ()


# --- sending -----------------------------------------------------------------------------------------------------


def has_due(tx: Transaction, receiver: str, now: datetime) -> bool:
    """Tell whether a lease would find something."""
    first = tx.execute(_open(receiver).limit(1)).first()
    return first is not None and is_free(first, _LEASES.leased, now)


def lease(
    tx: Transaction, receiver: str, now: datetime, limit: int, *, token: str, lease_seconds: float
) -> list[OutboxMessage]:
    """Lease up to `limit` messages in the order in which they were owed; none while the first is not due, or sent."""
    ids: list[int] = []
    for row in tx.execute(_open(receiver).limit(limit)):
        if not is_free(row, _LEASES.leased, now):
            break
        ids.append(row.id)
    _LEASES.take(tx, token, now + timedelta(seconds=lease_seconds), _TABLE.c.id.in_(ids), owed.is_open(_TABLE))
    query = select(_TABLE).where(_TABLE.c.lease == token, _TABLE.c.id.in_(ids)).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def finish(  # noqa: PLR0917 - one outcome in all its parts
    tx: Transaction, message_id: int, token: str, decision: Decision, code: str, now: datetime
) -> bool:
    """Record what became of a leased message; tell False, and change nothing, when the lease is another's by now.

    The receiver's own words are kept behind the reason, here and nowhere else.
    """
    values = {**owed.outcome(decision, now), "tries": _TABLE.c.tries + 1, "code": code}
    statement = update(_TABLE).where(_TABLE.c.id == message_id, *_LEASES.held_by(token)).values(values)
    return tx.execute(statement).rowcount == 1


def renew(tx: Transaction, token: str, until: datetime) -> None:
    """Extend the lease on all that is still to be sent under this token."""
    _LEASES.renew(tx, token, until)


def release(tx: Transaction, token: str) -> None:
    """Give back what was not sent; no try is counted."""
    _LEASES.give_back(tx, *_LEASES.held_by(token))


def release_all(tx: Transaction) -> int:
    """Give back every lease, as the only process that sends does at its start; return how many there were."""
    return _LEASES.give_back(tx)


def put_forward(tx: Transaction, instant: datetime, now: datetime) -> int:
    """Make due at once what would wait until after an instant; return how many messages that were."""
    return owed.put_forward(tx, _TABLE, instant, now)


# --- for people --------------------------------------------------------------------------------------------------


def messages_of(tx: Transaction, state: OwedState | None = None, limit: int = 1000) -> list[OutboxMessage]:
    """Return messages, newest first, of one state or of all."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_TABLE.c.state == state.value)
    return [_value(row) for row in tx.execute(query)]


def of_order(tx: Transaction, order_id: int) -> list[OutboxMessage]:
    """Return every message of an order, oldest first."""
    query = select(_TABLE).where(_TABLE.c.order_id == order_id).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, message_id: int) -> OutboxMessage | None:
    """Return one message."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == message_id)).first()
    return None if row is None else _value(row)


def overtaken_by(tx: Transaction, message: OutboxMessage) -> int | None:
    """Return the ID of a later message to the same receiver about the same steps that it has; None without any.

    Sending the older one after it would put the receiver back.
    """
    later = (
        _TABLE.c.receiver == message.receiver,
        _TABLE.c.order_id == message.order_id,
        _TABLE.c.id > message.id,
        _TABLE.c.state == OwedState.DELIVERED.value,
    )
    steps = set(message.step_ids)
    for row in tx.execute(select(_TABLE.c.id, _TABLE.c.steps).where(*later).order_by(_TABLE.c.id)):
        if not steps or not row.steps or steps.intersection(_step_ids(row.steps)):
            return int(row.id)
    return None


def retry(tx: Transaction, message_id: int, now: datetime) -> bool:
    """Make a message due at once, with its tries forgotten; tell whether its state allowed that."""
    return owed.retry(tx, _TABLE, message_id, now)


def discard(tx: Transaction, message_id: int, reason: str, now: datetime) -> bool:
    """Do not send a message; tell whether its state allowed that."""
    return owed.discard(tx, _TABLE, message_id, reason, now)


def open_counts(tx: Transaction) -> dict[tuple[str, OwedState], int]:
    """Return how many messages are not done, by receiver and state. What is done is not looked at."""
    return owed.open_counts(tx, _TABLE.c.receiver)


def owed_in_all(tx: Transaction) -> int:
    """Return how many messages were ever owed: their numbers only grow."""
    return tx.execute(select(func.max(_TABLE.c.id))).scalar() or 0


def oldest_waiting(tx: Transaction) -> dict[str, datetime]:
    """Return by receiver since when the oldest message that the machine owes has been waiting."""
    query = select(_TABLE.c.receiver, func.min(_TABLE.c.created)).where(owed.is_open(_TABLE))
    return {row.receiver: row[1] for row in tx.execute(query.group_by(_TABLE.c.receiver))}


# --- parts of statements -----------------------------------------------------------------------------------------


def _open(receiver: str) -> Any:
    columns = (_TABLE.c.id, _TABLE.c.state, _TABLE.c.due, _TABLE.c.lease_ends)
    return select(*columns).where(_TABLE.c.receiver == receiver, owed.is_open(_TABLE)).order_by(_TABLE.c.id)


def _value(row: Row[Any]) -> OutboxMessage:
    return OutboxMessage(
        id=row.id,
        receiver=row.receiver,
        event=OrderEvent(row.event),
        order_id=row.order_id,
        step_ids=_step_ids(row.steps),
        generation=row.generation,
        turn=row.turn,
        control_id=row.control_id,
        body=row.body,
        state=OwedState(row.state),
        tries=row.tries,
        due=row.due,
        created=row.created,
        code=row.code,
        reason=row.reason,
        lease=row.lease,
        lease_ends=row.lease_ends,
        finished=row.finished,
    )
