"""The mpps_delivery table: leases, fencing, and the order in which a destination gets the requests of a step.

Every change is guarded by the state, or by the token, that it expects.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, Row, Select, Text, UniqueConstraint, insert, select, update
from sqlmodel import Field, SQLModel

from broker import owed
from broker.database import Transaction, UtcDateTime, table_of
from broker.leases import is_free
from broker.owed import Decision, OwedState
from broker.procedures import store as steps
from broker.procedures.forward.model import Forward
from broker.procedures.model import Operation


class MppsDeliveryRow(SQLModel, table=True):
    """One N-CREATE or N-SET owed to one destination."""

    __tablename__ = "mpps_delivery"
    __table_args__ = (
        UniqueConstraint("message", "destination", name="uq_mpps_delivery_message"),
        Index("ix_mpps_delivery_destination", "destination", "state", "id"),
        Index("ix_mpps_delivery_step", "performed_step", "destination"),
    )

    id: int | None = Field(default=None, primary_key=True)
    message: int = Field(foreign_key="performed_message.id")
    performed_step: int = Field(foreign_key="performed_step.id")
    destination: str
    state: str
    tries: int
    due: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    reason: str = Field(sa_type=Text)
    status: int | None = Field(default=None)
    unanswered: bool
    lease: str
    lease_ends: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


_TABLE = table_of(MppsDeliveryRow)
_LEASES = owed.leases(_TABLE)
_MESSAGE = table_of(steps.PerformedMessageRow)
_STEP = table_of(steps.PerformedStepRow)


def owe(tx: Transaction, step_id: int, message_id: int, destinations: Iterable[str], now: datetime) -> None:
    """Owe a request to each destination."""
    rows = [
        {
            "message": message_id,
            "performed_step": step_id,
            "destination": name,
            "state": OwedState.WAITING.value,
            "tries": 0,
            "due": now,
            "created": now,
            "reason": "",
            "unanswered": False,
            "lease": "",
        }
        for name in destinations
    ]
    if rows:
        tx.execute(insert(_TABLE), rows)


# --- the machine -------------------------------------------------------------------------------------------------


def has_due(tx: Transaction, destination: str, now: datetime) -> bool:
    """Tell whether a lease would find something."""
    first = tx.execute(_open(destination).limit(1)).first()
    return first is not None and is_free(first, _LEASES.leased, now)


def lease(
    tx: Transaction, destination: str, now: datetime, limit: int, *, token: str, lease_seconds: float
) -> list[Forward]:
    """Lease up to `limit` requests in the order in which they came; none while the first is not due, or is sent."""
    free: list[Row[Any]] = []
    for row in tx.execute(_open(destination).limit(limit)):
        if not is_free(row, _LEASES.leased, now):
            break
        free.append(row)
    ids = [row.id for row in free]
    lost = [row.id for row in free if row.state == OwedState.SENDING.value]
    tx.execute(update(_TABLE).where(_TABLE.c.id.in_(lost)).values(unanswered=True))
    _LEASES.take(tx, token, now + timedelta(seconds=lease_seconds), _TABLE.c.id.in_(ids))
    return [_value(row) for row in tx.execute(_whole().where(_TABLE.c.id.in_(ids)).order_by(_TABLE.c.id))]


def finish(  # noqa: PLR0917 - one outcome in all its parts
    tx: Transaction, forward: Forward, token: str, decision: Decision, status: int | None, sent: bool, now: datetime
) -> bool:
    """Record what became of a leased request; tell False, and change nothing, when the lease is another's by now."""
    values: dict[str, object] = {
        **owed.outcome(decision, now),
        "tries": forward.tries + 1,
        "status": status,
        "unanswered": status is None and (sent or forward.unanswered),
    }
    mine = (_TABLE.c.id == forward.id, *_LEASES.held_by(token))
    return tx.execute(update(_TABLE).where(*mine).values(values)).rowcount == 1


def renew(tx: Transaction, token: str, until: datetime) -> None:
    """Extend the lease on all that is still to be sent under this token."""
    _LEASES.renew(tx, token, until)


def release(tx: Transaction, token: str) -> None:
    """Give back what was not sent; no try is counted."""
    _LEASES.give_back(tx, *_LEASES.held_by(token))


def release_all(tx: Transaction) -> int:
    """Give back every lease, as the only process that sends does at its start; return how many there were."""
    return _LEASES.give_back(tx, unanswered=True)


def put_forward(tx: Transaction, destination: str, instant: datetime, now: datetime) -> int:
    """Make due at once what would wait until after an instant; return how many requests that were."""
    return owed.put_forward(tx, _TABLE, instant, now, _TABLE.c.destination == destination)


# --- for people --------------------------------------------------------------------------------------------------


def of_step(tx: Transaction, step_id: int) -> list[Forward]:
    """Return what is owed of a performed step, oldest first."""
    return [_value(row) for row in tx.execute(_whole().where(_TABLE.c.performed_step == step_id).order_by(_TABLE.c.id))]


def forwards(tx: Transaction, state: OwedState | None = None, limit: int = 1000) -> list[Forward]:
    """Return requests, newest first, of one state or of all."""
    query = _whole().order_by(_TABLE.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_TABLE.c.state == state.value)
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, forward_id: int) -> Forward | None:
    """Return one request."""
    row = tx.execute(_whole().where(_TABLE.c.id == forward_id)).first()
    return None if row is None else _value(row)


def retry(tx: Transaction, forward_id: int, now: datetime) -> bool:
    """Make a request due at once, with its tries forgotten; tell whether its state allowed that."""
    return owed.retry(tx, _TABLE, forward_id, now)


def discard(tx: Transaction, forward_id: int, reason: str, now: datetime) -> bool:
    """Do not send a request; tell whether its state allowed that."""
    return owed.discard(tx, _TABLE, forward_id, reason, now)


def open_counts(tx: Transaction) -> dict[tuple[str, OwedState], int]:
    """Return how many requests are not done, by destination and state. What is done is not looked at."""
    return owed.open_counts(tx, _TABLE.c.destination)


def first_owed(tx: Transaction, destination: str) -> tuple[datetime, int] | None:
    """Return since when the oldest request that the machine owes a destination waits, and how often it was tried."""
    theirs = (_TABLE.c.destination == destination, owed.is_open(_TABLE))
    row = tx.execute(select(_TABLE.c.created, _TABLE.c.tries).where(*theirs).order_by(_TABLE.c.id).limit(1)).first()
    return None if row is None else (row.created, row.tries)


def absent_destinations(tx: Transaction, names: Collection[str]) -> set[str]:
    """Return the destinations to which something waits to be sent and that are not among `names`."""
    waiting = select(_TABLE.c.destination).where(owed.is_open(_TABLE)).distinct()
    return set(tx.execute(waiting).scalars()) - set(names)


# --- parts of statements -----------------------------------------------------------------------------------------


def _open(destination: str) -> Select[Any]:
    """Return the statement of what is to be sent: a step waits behind what a person has to look at."""
    earlier = _TABLE.alias("earlier")
    parked = select(earlier.c.id).where(
        earlier.c.performed_step == _TABLE.c.performed_step,
        earlier.c.destination == destination,
        earlier.c.state == OwedState.PARKED.value,
        earlier.c.id < _TABLE.c.id,
    )
    columns = (_TABLE.c.id, _TABLE.c.state, _TABLE.c.due, _TABLE.c.lease_ends)
    theirs = (_TABLE.c.destination == destination, owed.is_open(_TABLE), ~parked.exists())
    return select(*columns).where(*theirs).order_by(_TABLE.c.id)


def _whole() -> Select[Any]:
    message = (_MESSAGE.c.operation, _MESSAGE.c.transfer_syntax, _MESSAGE.c.data)
    step = (_STEP.c.sop_instance_uid, _STEP.c.calling_ae_title)
    joined = _TABLE.join(_MESSAGE, _MESSAGE.c.id == _TABLE.c.message).join(_STEP, _STEP.c.id == _TABLE.c.performed_step)
    return select(*_TABLE.c, *message, *step).select_from(joined)


def _value(row: Row[Any]) -> Forward:
    return Forward(
        id=row.id,
        destination=row.destination,
        performed_step=row.performed_step,
        sop_instance_uid=row.sop_instance_uid,
        operation=Operation(row.operation),
        transfer_syntax=row.transfer_syntax,
        data=row.data,
        calling_ae_title=row.calling_ae_title,
        state=OwedState(row.state),
        tries=row.tries,
        due=row.due,
        created=row.created,
        reason=row.reason,
        status=row.status,
        unanswered=row.unanswered,
        lease=row.lease,
        lease_ends=row.lease_ends,
        finished=row.finished,
    )
