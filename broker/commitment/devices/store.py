"""The commitment_request and commitment_reference tables. Every change is guarded by state, or by the lease's token."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, Row, Text, UniqueConstraint, cast, func, insert, select, update
from sqlmodel import Field, SQLModel

from broker.commitment.devices.model import Asker, DeviceRequest, Line, RequestState
from broker.commitment.devices.state import EVENT_OF, NEXT, Again, Decision, Event, Park, Taken
from broker.commitment.model import Outcome, Reference, Request
from broker.database import Transaction, UtcDateTime, table_of
from broker.leases import FREE, Leases
from broker.registry.model import CommitmentMode, ReportWay

_BATCH = 500


class CommitmentRequestRow(SQLModel, table=True):
    """One N-ACTION of a device."""

    __tablename__ = "commitment_request"
    __table_args__ = (
        UniqueConstraint("calling_ae_title", "transaction_uid", name="uq_commitment_request_transaction"),
        Index("ix_commitment_request_due", "state", "due"),
    )

    id: int | None = Field(default=None, primary_key=True)
    transaction_uid: str
    association_id: str = Field(foreign_key="association.id", max_length=26)
    calling_ae_title: str
    called_ae_title: str
    device: str
    mode: str
    way: str
    state: str
    received: datetime = Field(sa_type=UtcDateTime)
    due: datetime = Field(sa_type=UtcDateTime)
    tries: int
    reason: str = Field(sa_type=Text)
    decided: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease: str
    lease_ends: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CommitmentReferenceRow(SQLModel, table=True):
    """One instance that a request names."""

    __tablename__ = "commitment_reference"
    __table_args__ = (Index("ix_commitment_reference_instance", "sop_instance_uid"),)

    request_id: int = Field(primary_key=True, foreign_key="commitment_request.id")
    number: int = Field(primary_key=True)
    sop_class_uid: str
    sop_instance_uid: str
    decided: bool
    failure: int | None = Field(default=None)


_TABLE = table_of(CommitmentRequestRow)
_LEASES = Leases(
    _TABLE,
    leased=NEXT[RequestState.READY, Event.LEASED].value,
    released=NEXT[RequestState.REPORTING, Event.RELEASED].value,
)
_LINE = table_of(CommitmentReferenceRow)


def keep(tx: Transaction, request: Request, asker: Asker, now: datetime) -> int:
    """Keep a device's request; return its number."""
    row = _asker_columns(asker) | {"transaction_uid": request.transaction_uid, "state": RequestState.GATHERING.value}
    row |= {"received": now, "due": now, "tries": 0, "reason": "", "lease": ""}
    number: int = tx.execute(insert(_TABLE).values(row).returning(_TABLE.c.id)).scalar_one()
    lines = [
        {
            "request_id": number,
            "number": n,
            "sop_class_uid": reference.sop_class_uid,
            "sop_instance_uid": reference.sop_instance_uid,
            "decided": False,
        }
        for n, reference in enumerate(request.references)
    ]
    for start in range(0, len(lines), _BATCH):
        tx.execute(insert(_LINE), lines[start : start + _BATCH])
    return number


def known(tx: Transaction, calling_ae_title: str, transaction_uid: str) -> DeviceRequest | None:
    """Return a device's request by its transaction UID."""
    own = (_TABLE.c.calling_ae_title == calling_ae_title, _TABLE.c.transaction_uid == transaction_uid)
    row = tx.execute(select(_TABLE).where(*own)).first()
    return None if row is None else _value(row)


def asked_again(tx: Transaction, request_id: int, asker: Asker, now: datetime) -> None:
    """Answer a request that came again where it is asked now; a report that was sent is sent anew."""
    own = _TABLE.c.id == request_id
    tx.execute(update(_TABLE).where(own).values(_asker_columns(asker)))
    report_again(tx, request_id, now)


def report_again(tx: Transaction, request_id: int, now: datetime) -> bool:
    """Have a report that was sent or given up sent anew; tell whether there was one."""
    ended = [before.value for before, event in NEXT if event is Event.ASKED_AGAIN]
    values = {"state": RequestState.READY.value, "due": now, "tries": 0, "finished": None, "decided": now}
    guard = (_TABLE.c.id == request_id, _TABLE.c.state.in_(ended))
    return tx.execute(update(_TABLE).where(*guard).values(values)).rowcount == 1


# --- gathering ---------------------------------------------------------------------------------------------------


def gathering(tx: Transaction, now: datetime, limit: int) -> list[DeviceRequest]:
    """Return requests at which it is time to look."""
    due = (_TABLE.c.state == RequestState.GATHERING.value, _TABLE.c.due <= now)
    return [_value(row) for row in tx.execute(select(_TABLE).where(*due).order_by(_TABLE.c.due).limit(limit))]


def lines(tx: Transaction, request_id: int, *, undecided: bool = False) -> list[Line]:
    """Return the instances of a request."""
    query = select(_LINE).where(_LINE.c.request_id == request_id).order_by(_LINE.c.number)
    if undecided:
        query = query.where(_LINE.c.decided.is_(False))
    return [_line(row) for row in tx.execute(query)]


def decide(tx: Transaction, request_id: int, decided: Iterable[tuple[Line, Outcome]]) -> None:
    """Record what became of instances."""
    for line, outcome in decided:
        own = (_LINE.c.request_id == request_id, _LINE.c.number == line.number)
        tx.execute(update(_LINE).where(*own).values(decided=True, failure=outcome.failure))


def look_again(tx: Transaction, request_id: int, due: datetime) -> None:
    """Look at a request again then."""
    gathers = (_TABLE.c.id == request_id, _TABLE.c.state == RequestState.GATHERING.value)
    tx.execute(update(_TABLE).where(*gathers).values(due=due))


def ready(tx: Transaction, request_id: int, now: datetime) -> None:
    """Take note that every instance of a request is decided: its report is due."""
    gathers = (_TABLE.c.id == request_id, _TABLE.c.state == RequestState.GATHERING.value)
    tx.execute(
        update(_TABLE).where(*gathers).values(state=_next(RequestState.GATHERING, Event.DECIDED), due=now, decided=now)
    )


# --- reporting ---------------------------------------------------------------------------------------------------


def due_reports(tx: Transaction, now: datetime, limit: int) -> list[DeviceRequest]:
    """Return requests whose report is due, and those whose lease has ended."""
    due = (_TABLE.c.state == RequestState.READY.value) & (_TABLE.c.due <= now)
    lost = (_TABLE.c.state == RequestState.REPORTING.value) & (_TABLE.c.lease_ends <= now)
    return [_value(row) for row in tx.execute(select(_TABLE).where(due | lost).order_by(_TABLE.c.due).limit(limit))]


def lease(tx: Transaction, request: DeviceRequest, token: str, until: datetime) -> bool:
    """Lease a report as it was seen; tell whether nobody else was faster."""
    seen = (_TABLE.c.id == request.id, _TABLE.c.state == request.state.value, _TABLE.c.lease == request.lease)
    return _LEASES.take(tx, token, until, *seen) == 1


def release(tx: Transaction, token: str) -> None:
    """Give a report back that was not sent; no try is counted."""
    _LEASES.give_back(tx, *_LEASES.held_by(token))


def release_all(tx: Transaction) -> int:
    """Give back every lease, at the start of the process that calls devices: a report that comes twice does no harm."""
    return _LEASES.give_back(tx)


def finish(tx: Transaction, token: str, decision: Decision, now: datetime) -> bool:
    """Record what became of a leased report; tell False, and change nothing, when the lease is another's by now."""
    values: dict[str, object] = {"tries": _TABLE.c.tries + 1, **FREE}
    values["state"] = _next(RequestState.REPORTING, EVENT_OF[type(decision)])
    match decision:
        case Taken():
            values |= {"finished": now, "reason": ""}
        case Again(due, reason):
            values |= {"due": due, "reason": reason}
        case Park(reason):
            values |= {"finished": now, "reason": reason}
    return tx.execute(update(_TABLE).where(*_LEASES.held_by(token)).values(values)).rowcount == 1


def put_forward(tx: Transaction, instant: datetime, now: datetime) -> int:
    """Make due at once what would wait until after an instant; return how many requests that were.

    Since when a device waits is counted from now, too, where that has yet to come: a time that is over is told it.
    """
    waiting = _TABLE.c.state.in_([RequestState.GATHERING.value, RequestState.READY.value])
    for began in (_TABLE.c.received, _TABLE.c.decided):
        tx.execute(update(_TABLE).where(waiting, began > now).values({began: now}))
    return tx.execute(update(_TABLE).where(waiting, _TABLE.c.due > instant).values(due=now)).rowcount


# --- for people and metrics ----------------------------------------------------------------------------------------


def requests(tx: Transaction, limit: int = 200) -> list[DeviceRequest]:
    """Return devices' requests, newest first."""
    return [_value(row) for row in tx.execute(select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit))]


def by_transaction(tx: Transaction, transaction_uid: str) -> list[DeviceRequest]:
    """Return the requests of this transaction UID: one, unless two devices chose the same."""
    query = select(_TABLE).where(_TABLE.c.transaction_uid == transaction_uid).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def tallies(tx: Transaction, request_ids: Collection[int]) -> dict[int, tuple[int, int, int]]:
    """Return how many instances each request names, and how many of them are committed and failed."""
    failed = func.count(_LINE.c.failure)
    decided = func.sum(cast(_LINE.c.decided, Integer))
    query = select(_LINE.c.request_id, func.count(), decided, failed).where(_LINE.c.request_id.in_(request_ids))
    rows = tx.execute(query.group_by(_LINE.c.request_id))
    return {number: (int(total), int(done) - int(bad), int(bad)) for number, total, done, bad in rows}


def open_counts(tx: Transaction) -> dict[RequestState, int]:
    """Return how many requests are not reported yet, by state."""
    open_ = [state.value for state in RequestState if state is not RequestState.REPORTED]
    query = select(_TABLE.c.state, func.count()).where(_TABLE.c.state.in_(open_)).group_by(_TABLE.c.state)
    return {RequestState(state): int(count) for state, count in tx.execute(query)}


# --- parts -------------------------------------------------------------------------------------------------------


def _next(state: RequestState, event: Event) -> str:
    return NEXT[state, event].value


def _asker_columns(asker: Asker) -> dict[str, object]:
    return {
        "association_id": asker.association_id,
        "calling_ae_title": asker.calling_ae_title,
        "called_ae_title": asker.called_ae_title,
        "device": asker.device,
        "mode": asker.mode.value,
        "way": asker.way.value,
    }


def _line(row: Row[Any]) -> Line:
    reference = Reference(row.sop_class_uid, row.sop_instance_uid)
    return Line(row.number, reference, Outcome(reference, row.failure) if row.decided else None)


def _value(row: Row[Any]) -> DeviceRequest:
    return DeviceRequest(
        id=row.id,
        transaction_uid=row.transaction_uid,
        asker=Asker(
            row.association_id,
            row.calling_ae_title,
            row.called_ae_title,
            row.device,
            CommitmentMode(row.mode),
            ReportWay(row.way),
        ),
        state=RequestState(row.state),
        received=row.received,
        due=row.due,
        tries=row.tries,
        reason=row.reason,
        decided=row.decided,
        finished=row.finished,
        lease=row.lease,
        lease_ends=row.lease_ends,
    )
