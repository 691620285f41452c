"""The proof, proof_asking and prover tables. Every change is guarded by the states that may come before."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Index,
    Row,
    Text,
    UniqueConstraint,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from broker.commitment.model import Reference
from broker.commitment.proof.model import OPEN, Asking, Proof, ProofState, ProverState
from broker.commitment.proof.state import STATE_OF, Again, Decision, Proven, before
from broker.database import Transaction, UtcDateTime, table_of
from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.tables import DeliveryRow
from broker.spool import store as spool_store
from broker.spool.model import SpooledInstance
from broker.statements import Prepared

_BATCH = 500  # identifiers in one statement


class ProofRow(SQLModel, table=True):
    """The proof of one delivery."""

    __tablename__ = "proof"
    __table_args__ = (
        UniqueConstraint("delivery_id", name="uq_proof_delivery_id"),
        Index("ix_proof_due", "destination", "state", "due"),
        Index("ix_proof_instance", "destination", "sop_instance_uid"),
        Index("ix_proof_open", "state", "delivered", "destination"),
    )

    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int
    instance_id: str = Field(max_length=26, index=True)
    destination: str
    sop_class_uid: str
    sop_instance_uid: str
    state: str
    tries: int
    sent_again: bool
    due: datetime = Field(sa_type=UtcDateTime)
    delivered: datetime = Field(sa_type=UtcDateTime)
    transaction_uid: str = Field(index=True)
    reason: str = Field(sa_type=Text)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProofAskingRow(SQLModel, table=True):
    """One N-ACTION of ours."""

    __tablename__ = "proof_asking"

    transaction_uid: str = Field(primary_key=True)
    destination: str
    created: datetime = Field(sa_type=UtcDateTime)
    instances: int
    status: int | None = Field(default=None)
    reported: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProverRow(SQLModel, table=True):
    """How a destination stands as one that proves."""

    __tablename__ = "prover"

    name: str = Field(primary_key=True)
    failures: int
    due: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = Field(sa_type=Text)
    unable: bool


_TABLE = table_of(ProofRow)
_ASKING = table_of(ProofAskingRow)
_PROVER = table_of(ProverRow)
_DELIVERY = table_of(DeliveryRow)
_INSTANCE = table_of(spool_store.InstanceRow)
_OPEN = tuple(state.value for state in OPEN)
_DUE = (ProofState.WAITING.value, ProofState.ASKED.value)

# Asked for each delivered instance.
_ADD = Prepared(insert(_TABLE).inline())
_STATE = Prepared(select(_TABLE.c.state).where(_TABLE.c.delivery_id == bindparam("delivery")))
_PROVER_OF = Prepared(select(_PROVER).where(_PROVER.c.name == bindparam("destination")))
_UNSENT = Prepared(
    select(_DELIVERY.c.id)
    .where(_DELIVERY.c.instance_id == bindparam("instance"), _DELIVERY.c.state != DeliveryState.DELIVERED.value)
    .limit(literal_column("1"))
)
_UNPROVEN = Prepared(
    select(_TABLE.c.id)
    .where(_TABLE.c.instance_id == bindparam("instance"), or_(*(_TABLE.c.state == state for state in _OPEN)))
    .limit(literal_column("1"))
)


def owe(tx: Transaction, delivery: Delivery, instance: SpooledInstance, due: datetime, now: datetime) -> None:
    """Owe the proof of a delivery that has just ended; one that there is begins anew.

    That it was sent once more is remembered only where a destination's word was the reason, not a person's.
    """
    anew = {"state": ProofState.WAITING.value, "tries": 0, "due": due, "delivered": now, "finished": None}
    known = _STATE.rows(tx, {"delivery": delivery.id})
    if known:
        anew |= {"sent_again": known[0].state == ProofState.LACKING.value, "transaction_uid": ""}
        tx.execute(update(_TABLE).where(_TABLE.c.delivery_id == delivery.id).values(anew))
        return
    facts = instance.facts
    fresh = {"delivery_id": delivery.id, "instance_id": instance.id, "destination": delivery.destination}
    fresh |= {"sop_class_uid": facts.sop_class_uid, "sop_instance_uid": facts.sop_instance_uid}
    _ADD.run(tx, {**fresh, **anew, "sent_again": False, "transaction_uid": "", "reason": ""})


# --- the machine -------------------------------------------------------------------------------------------------


def due(tx: Transaction, destination: str, now: datetime, limit: int) -> list[Proof]:
    """Return what is to be asked for, that whose report is overdue too, the longest due first.

    Nothing while the destination is not to be asked yet.
    """
    rests_until = prover(tx, destination).due
    if rests_until is not None and rests_until > now:
        return []
    query = select(_TABLE).where(_TABLE.c.destination == destination, _TABLE.c.state.in_(_DUE), _TABLE.c.due <= now)
    return [_value(row) for row in tx.execute(query.order_by(_TABLE.c.due, _TABLE.c.id).limit(limit))]


def ask(tx: Transaction, transaction_uid: str, proofs: Sequence[Proof], until: datetime, now: datetime) -> None:
    """Record a request before it is sent: it counts as lost when it is not answered by `until`."""
    name = proofs[0].destination
    row = {"transaction_uid": transaction_uid, "destination": name, "created": now, "instances": len(proofs)}
    tx.execute(insert(_ASKING).values(row))
    values = {"state": ProofState.ASKED.value, "transaction_uid": transaction_uid, "due": until}
    _change(tx, [proof.id for proof in proofs], (*before(ProofState.ASKED), ProofState.ASKED), values)


def answered(tx: Transaction, transaction_uid: str, status: int, overdue: datetime) -> None:
    """Record that a request was taken: its report is overdue then."""
    tx.execute(update(_ASKING).where(_ASKING.c.transaction_uid == transaction_uid).values(status=status))
    tx.execute(update(_TABLE).where(*_asked_by(transaction_uid)).values(due=overdue, tries=_TABLE.c.tries + 1))


def unanswered(tx: Transaction, transaction_uid: str, status: int | None, due_: datetime, reason: str) -> None:
    """Record that a request was refused or lost: what it asked for is due again then."""
    tx.execute(update(_ASKING).where(_ASKING.c.transaction_uid == transaction_uid).values(status=status))
    values = {"state": ProofState.WAITING.value, "due": due_, "reason": reason}
    tx.execute(update(_TABLE).where(*_asked_by(transaction_uid)).values(values))


def release_unanswered(tx: Transaction, now: datetime) -> int:
    """Make due what was named by requests without an answer, as the only process that asks does at its start."""
    lost = select(_ASKING.c.transaction_uid).where(_ASKING.c.status.is_(None), _ASKING.c.reported.is_(None))
    asked = (_TABLE.c.state == ProofState.ASKED.value, _TABLE.c.transaction_uid.in_(lost))
    values = {"state": ProofState.WAITING.value, "due": now}
    return tx.execute(update(_TABLE).where(*asked).values(values)).rowcount


def asking(tx: Transaction, transaction_uid: str) -> Asking | None:
    """Return one request of ours."""
    row = tx.execute(select(_ASKING).where(_ASKING.c.transaction_uid == transaction_uid)).first()
    return None if row is None else Asking(*row)


def reported(tx: Transaction, transaction_uid: str, now: datetime) -> bool:
    """Record that a request's report came; tell whether it is the first."""
    first = (_ASKING.c.transaction_uid == transaction_uid, _ASKING.c.reported.is_(None))
    return tx.execute(update(_ASKING).where(*first).values(reported=now)).rowcount == 1


def meant(tx: Transaction, request: Asking, references: Collection[Reference]) -> list[Proof]:
    """Return the open proofs of which a report of this request speaks: what was delivered before it was sent."""
    uids = sorted({reference.sop_instance_uid for reference in references})
    found: list[Proof] = []
    for start in range(0, len(uids), _BATCH):
        of_these = (
            _TABLE.c.destination == request.destination,
            _TABLE.c.sop_instance_uid.in_(uids[start : start + _BATCH]),
        )
        earlier = (_TABLE.c.state.in_(_OPEN), _TABLE.c.delivered <= request.created)
        found += [_value(row) for row in tx.execute(select(_TABLE).where(*of_these, *earlier).order_by(_TABLE.c.id))]
    return found


def conclude(tx: Transaction, proof: Proof, decision: Decision, now: datetime, *, counts_try: bool = False) -> bool:
    """Record what became of a proof; tell False, and change nothing, where it has moved on meanwhile."""
    state = STATE_OF[type(decision)]
    values: dict[str, object] = {"state": state.value}
    values |= {"finished": now, "reason": ""} if isinstance(decision, Proven) else {"reason": decision.reason}
    if isinstance(decision, Again):
        values["due"] = decision.due
    if counts_try:
        values["tries"] = _TABLE.c.tries + 1
    allowed = (ProofState.WAITING, ProofState.ASKED) if isinstance(decision, Again) else before(state)
    return _change(tx, [proof.id], allowed, values) == 1


def waive(tx: Transaction, where: str, proof_ids: Collection[int], reason: str, now: datetime) -> list[Proof]:
    """Ask no more for open proofs of a destination, or of these ids of it; return those that changed."""
    query = select(_TABLE).where(_TABLE.c.destination == where, _TABLE.c.state.in_(_OPEN))
    if proof_ids:
        query = query.where(_TABLE.c.id.in_(proof_ids))
    found = [_value(row) for row in tx.execute(query)]
    values = {"state": ProofState.NOT_ASKED.value, "reason": reason, "finished": now}
    for start in range(0, len(found), _BATCH):
        ids = [proof.id for proof in found[start : start + _BATCH]]
        _change(tx, ids, before(ProofState.NOT_ASKED), values)
    return found


def prover(tx: Transaction, name: str) -> ProverState:
    """Return how a destination stands as one that proves; one of which nothing is known is well."""
    found = _PROVER_OF.rows(tx, {"destination": name})
    return ProverState(*found[0]) if found else ProverState(name)


def set_prover(tx: Transaction, state: ProverState) -> None:
    """Record how a destination stands as one that proves."""
    values = {"failures": state.failures, "due": state.due, "reason": state.reason, "unable": state.unable}
    if tx.execute(update(_PROVER).where(_PROVER.c.name == state.name).values(values)).rowcount == 0:
        tx.execute(insert(_PROVER).values(name=state.name, **values))


def put_forward(tx: Transaction, destination: str, instant: datetime, now: datetime) -> int:
    """Make due at once what would wait until after an instant; return how many proofs that were.

    What was delivered in a time that has yet to come was delivered now: else a report would never speak of it. And a
    request of such a time was sent before: its report says nothing of what was delivered again since.
    """
    where = (_TABLE.c.destination == destination, _TABLE.c.state.in_(_OPEN))
    tx.execute(update(_TABLE).where(*where, _TABLE.c.delivered > now).values(delivered=now))
    early = (_ASKING.c.destination == destination, _ASKING.c.reported.is_(None), _ASKING.c.created > now)
    tx.execute(update(_ASKING).where(*early).values(created=now - timedelta(milliseconds=1)))
    late = (_TABLE.c.destination == destination, _TABLE.c.state.in_(_DUE), _TABLE.c.due > instant)
    return tx.execute(update(_TABLE).where(*late).values(due=now)).rowcount


def ask_at_once(tx: Transaction, destination: str, instant: datetime, now: datetime) -> None:
    """Ask a destination again at once that would not be asked until after an instant."""
    tx.execute(update(_PROVER).where(_PROVER.c.name == destination, _PROVER.c.due > instant).values(due=now))


# --- leaving the spool -------------------------------------------------------------------------------------------


def may_forget(tx: Transaction, instance_id: str, hours: int, now: datetime) -> bool:
    """Tell whether every destination has an instance, has proven it where it can, and that so many hours ago."""
    if _UNSENT.rows(tx, {"instance": instance_id}) or _UNPROVEN.rows(tx, {"instance": instance_id}):
        return False
    return not hours or _settled_since(tx, instance_id) <= now - timedelta(hours=hours)


def _settled_since(tx: Transaction, instance_id: str) -> datetime:
    """Return the last instant at which something of an instance ended."""
    query = select(_INSTANCE.c.received).where(_INSTANCE.c.id == instance_id)
    since: datetime = tx.execute(query).scalar_one()
    for table in (_TABLE, _DELIVERY):
        ended = select(table.c.finished).where(table.c.instance_id == instance_id, table.c.finished.is_not(None))
        since = max([since, *tx.execute(ended).scalars()])
    return since


def held(tx: Transaction, after: str, received_by: datetime, limit: int) -> list[str]:
    """Return instances that the spool holds and of which nothing is to be sent, by their ids after one."""
    unsent = exists().where(
        _DELIVERY.c.instance_id == _INSTANCE.c.id, _DELIVERY.c.state != DeliveryState.DELIVERED.value
    )
    query = select(_INSTANCE.c.id).where(
        _INSTANCE.c.forgotten.is_(None), _INSTANCE.c.id > after, _INSTANCE.c.received <= received_by, ~unsent
    )
    return list(tx.execute(query.order_by(_INSTANCE.c.id).limit(limit)).scalars())


# --- for people, metrics and the ledger ----------------------------------------------------------------------------


def of_deliveries(tx: Transaction, delivery_ids: Iterable[int]) -> dict[int, Proof]:
    """Return the proofs of deliveries, by the deliveries' ids."""
    ids = sorted(set(delivery_ids))
    found: dict[int, Proof] = {}
    for start in range(0, len(ids), _BATCH):
        query = select(_TABLE).where(_TABLE.c.delivery_id.in_(ids[start : start + _BATCH]))
        found.update((row.delivery_id, _value(row)) for row in tx.execute(query))
    return found


def of_instances(tx: Transaction, instance_ids: Iterable[str]) -> list[Proof]:
    """Return the proofs of instances."""
    ids = sorted(set(instance_ids))
    found: list[Proof] = []
    for start in range(0, len(ids), _BATCH):
        query = select(_TABLE).where(_TABLE.c.instance_id.in_(ids[start : start + _BATCH])).order_by(_TABLE.c.id)
        found += [_value(row) for row in tx.execute(query)]
    return found


def in_states(tx: Transaction, states: Iterable[ProofState], destination: str = "", limit: int = 1000) -> list[Proof]:
    """Return proofs that stand so, of one destination or of all, the longest delivered first."""
    query = select(_TABLE).where(_TABLE.c.state.in_([state.value for state in states]))
    if destination:
        query = query.where(_TABLE.c.destination == destination)
    return [_value(row) for row in tx.execute(query.order_by(_TABLE.c.delivered, _TABLE.c.id).limit(limit))]


def askings(tx: Transaction, limit: int = 200) -> list[Asking]:
    """Return our requests, newest first."""
    query = select(_ASKING).order_by(_ASKING.c.created.desc(), _ASKING.c.transaction_uid).limit(limit)
    return [Asking(*row) for row in tx.execute(query)]


def of_asking(tx: Transaction, transaction_uid: str) -> list[Proof]:
    """Return the proofs that were asked for last by a request."""
    query = select(_TABLE).where(_TABLE.c.transaction_uid == transaction_uid).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def open_counts(tx: Transaction) -> dict[tuple[str, ProofState], int]:
    """Return how many proofs are open, by destination and state; what is done is never counted."""
    query = select(_TABLE.c.destination, _TABLE.c.state, func.count()).where(_TABLE.c.state.in_(_OPEN))
    query = query.group_by(_TABLE.c.destination, _TABLE.c.state)
    return {(name, ProofState(state)): int(count) for name, state, count in tx.execute(query)}


def oldest_open(tx: Transaction, before_: datetime) -> dict[str, tuple[int, datetime]]:
    """Return by destination how many open proofs were delivered before an instant, and the oldest of them."""
    old = (_TABLE.c.state.in_(_OPEN), _TABLE.c.delivered < before_)
    query = select(_TABLE.c.destination, func.count(), func.min(_TABLE.c.delivered)).where(*old)
    return {name: (int(count), first) for name, count, first in tx.execute(query.group_by(_TABLE.c.destination))}


# --- parts of statements -----------------------------------------------------------------------------------------


def _change(tx: Transaction, ids: Collection[int], allowed: Iterable[ProofState], values: dict[str, object]) -> int:
    guard = (_TABLE.c.id.in_(ids), _TABLE.c.state.in_([state.value for state in allowed]))
    return tx.execute(update(_TABLE).where(*guard).values(values)).rowcount


def _asked_by(transaction_uid: str) -> tuple[Any, ...]:
    # Who was reported on meanwhile, or asked for anew, is no longer this request's.
    return (_TABLE.c.transaction_uid == transaction_uid, _TABLE.c.state == ProofState.ASKED.value)


def _value(row: Row[Any]) -> Proof:
    return Proof(
        id=row.id,
        delivery_id=row.delivery_id,
        instance_id=row.instance_id,
        destination=row.destination,
        reference=Reference(row.sop_class_uid, row.sop_instance_uid),
        state=ProofState(row.state),
        tries=row.tries,
        sent_again=row.sent_again,
        due=row.due,
        delivered=row.delivered,
        transaction_uid=row.transaction_uid,
        reason=row.reason,
        finished=row.finished,
    )
