"""The delivery table. Every change is guarded by the state, or by the token, that it expects."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, String, bindparam, func, insert, select, update

from broker import statements
from broker.database import Transaction, UtcDateTime, table_of
from broker.delivery import destination_store, queue
from broker.delivery.model import NO_ROUTE, RANK, Delivery, DeliveryState, DestinationState, Waiting
from broker.delivery.state import EVENT_OF, NEXT, Again, Decision, Delivered, Event, Park
from broker.delivery.tables import DeliveryRow
from broker.environments.model import Priority
from broker.leases import FREE
from broker.spool import store as spool_store
from broker.spool.model import SpooledInstance
from broker.statements import Prepared

NO_ROUTE_REASON = "no route took this instance: add a route for it, then retry"

_TABLE = table_of(DeliveryRow)
_OWE = Prepared(insert(_TABLE))
_PRIORITY_OF = {rank: priority for priority, rank in RANK.items()}
_ROUTINE: Mapping[str, Priority] = {}


def _finished_as(decision: type, **values: Any) -> Prepared:
    """Return the statement that ends a lease with a decision, unless it is another's by now."""
    mine = (_TABLE.c.id == bindparam("the_id"), *queue.LEASES.held_by(bindparam("the_lease", type_=String)))
    after = {"state": NEXT[DeliveryState.SENDING, EVENT_OF[decision]].value, **FREE}
    answered = {"tries": _TABLE.c.tries + 1, "status": bindparam("the_status"), "reason": bindparam("the_reason")}
    return Prepared(update(_TABLE).where(*mine).values({**after, **answered, **values}))


_NOW = bindparam("now", type_=UtcDateTime)


_FINISH = {
    Delivered: _finished_as(Delivered, finished=_NOW),
    Again: _finished_as(
        Again,
        due=bindparam("the_due"),
        since=func.coalesce(_TABLE.c.since, _NOW),
        syntax=func.coalesce(func.nullif(bindparam("the_syntax", type_=String), ""), _TABLE.c.syntax),
    ),
    Park: _finished_as(Park),
}


def owe(
    tx: Transaction,
    instance_id: str,
    destinations: Sequence[str],
    now: datetime,
    priorities: Mapping[str, Priority] = _ROUTINE,
) -> None:
    """Owe the instance to each destination; without any it is parked as no-route, so that it is never lost.

    `priorities` are those of destinations for which it is not routine.
    """
    owed = [_owed(instance_id, name, now, priorities.get(name, Priority.ROUTINE)) for name in destinations]
    _OWE.run(tx, *(owed or [_without_route(instance_id, now)]))


def hold(tx: Transaction, instance_id: str, reason: str) -> int:
    """Hold what is owed of an instance and not sent yet until a person releases it; return how many that were.

    One without a route is parked already: there the reason is added, for whoever finds it a route.
    """
    own = _TABLE.c.instance_id == instance_id
    waiting = (own, _TABLE.c.state == DeliveryState.WAITING.value)
    held = update(_TABLE).where(*waiting).values(state=_next(DeliveryState.WAITING, Event.HELD), reason=reason)
    without_route = update(_TABLE).where(own, _TABLE.c.destination == NO_ROUTE)
    tx.execute(without_route.values(reason=f"{NO_ROUTE_REASON}; {reason}"))
    return tx.execute(held).rowcount


def hold_one(tx: Transaction, delivery_id: int, reason: str) -> bool:
    """Hold one delivery that waits until a person releases it; tell whether it did wait."""
    waiting = (_TABLE.c.id == delivery_id, _TABLE.c.state == DeliveryState.WAITING.value)
    held = _next(DeliveryState.WAITING, Event.HELD)
    return tx.execute(update(_TABLE).where(*waiting).values(state=held, reason=reason)).rowcount == 1


def release_held(tx: Transaction, delivery_id: int, now: datetime) -> bool:
    """Make a held delivery due at once; tell whether it was held."""
    held = (_TABLE.c.id == delivery_id, _TABLE.c.state == DeliveryState.HELD.value)
    waiting = _next(DeliveryState.HELD, Event.LET_GO)
    values = {"state": waiting, "due": now, "tries": 0, "since": None, "reason": ""}
    return tx.execute(update(_TABLE).where(*held).values(values)).rowcount == 1


def reroute(
    tx: Transaction,
    delivery_id: int,
    destinations: Sequence[str],
    now: datetime,
    priorities: Mapping[str, Priority] = _ROUTINE,
) -> bool:
    """Owe an instance that was parked as no-route to what its routes name now; tell whether that was done."""
    delivery = find(tx, delivery_id)
    if delivery is None or delivery.destination != NO_ROUTE or not destinations:
        return False
    tx.execute(_TABLE.delete().where(_TABLE.c.id == delivery_id))
    owe(tx, delivery.instance_id, destinations, now, priorities)
    return True


def has_due(tx: Transaction, destination: str, now: datetime, *, urgent_only: bool = False) -> bool:
    """Tell whether a lease would find something; the destination's own state is looked at too."""
    if not _is_open(destination_store.destination_state(tx, destination), now):
        return False
    asked = {"the_destination": destination, "now": now}
    due = queue.ANY_STAT_DUE if urgent_only else queue.ANY_DUE
    return any(query.rows(tx, asked) for query in (due, queue.ANY_OVERDUE))


def lease(
    tx: Transaction,
    destination: str,
    now: datetime,
    limit: int,
    *,
    token: str,
    lease_seconds: float,
    urgent_only: bool = False,
    sharers: int = 1,
) -> list[tuple[Delivery, SpooledInstance]]:
    """Lease up to `limit` due deliveries; those whose lease has ended are due again. `urgent_only`: what is STAT.

    Of several `sharers` that send side by side each takes its share of what is due, so that none is left without.
    By priority, then what has not been tried before what has, then the oldest. A destination that fails gets one, and
    nothing beside it: the one with the fewest tries, so that an instance that breaks each association blocks no other.
    """
    _end_overdue(tx, destination, now)
    state = destination_store.destination_state(tx, destination)
    if not _is_open(state, now) or (state.failures and _is_being_sent(tx, destination)):
        return []
    wanted = {"the_destination": destination, "now": now, "most": 1 if state.failures else limit * sharers}
    found = queue.DUE[urgent_only, bool(state.failures)].rows(tx, wanted)
    if not found:
        return []
    until = now + timedelta(seconds=lease_seconds)
    ids = [id_ for (id_,) in found[: -(-len(found) // sharers)]]
    queue.TAKE.run(tx, *({"the_id": id_, "the_lease": token, "until": until} for id_ in ids))
    mine = {"the_destination": destination, "the_lease": token}
    instances = spool_store.values_of(queue.INSTANCES_OF_MINE.rows(tx, mine))
    return list(zip(map(_value, queue.MINE.rows(tx, mine)), instances, strict=True))


def finish(
    tx: Transaction,
    delivery_id: int,
    token: str,
    decision: Decision,
    *,
    status: int | None,
    now: datetime,
    comment: str = "",
) -> bool:
    """Record what became of a leased delivery; tell False, and change nothing, when the lease is another's by now.

    The peer's `comment` is kept behind the reason, here and nowhere else.
    """
    said = f"; it says: {comment}" if comment else ""
    values: dict[str, object] = {"the_id": delivery_id, "the_lease": token, "the_status": status}
    match decision:
        case Delivered(warning):
            values |= {"the_reason": f"{warning}{said}".removeprefix("; "), "now": now}
        case Again(due, reason, syntax=syntax):
            values |= {"the_reason": f"{reason}{said}", "now": now, "the_due": due, "the_syntax": syntax}
        case Park(reason):
            values |= {"the_reason": f"{reason}{said}"}
    return _FINISH[type(decision)].change(tx, values) == 1


def renew(tx: Transaction, token: str, until: datetime) -> None:
    """Extend the lease on all that is still to be sent under this token."""
    queue.RENEW.change(tx, {"the_lease": token, "until": until})


def release(tx: Transaction, delivery_ids: Collection[int], token: str, due: datetime | None = None) -> None:
    """Give back what was not sent; no try is counted. With `due` it is not leased again before."""
    later = {} if due is None else {"due": due}
    queue.LEASES.give_back(tx, _TABLE.c.id.in_(delivery_ids), *queue.LEASES.held_by(token), **later)


def release_all(tx: Transaction, node: str = "") -> int:
    """Give back every lease of a node that starts, or of all without `node`; return how many there were.

    Of several nodes on one database each gives back its own: another's end by their time.
    """
    return queue.LEASES.give_back_of(tx, node)


def send_once_more(tx: Transaction, delivery_id: int, reason: str, now: datetime) -> bool:
    """Make a delivery due again of which the destination says that it does not keep it; tell whether it was done."""
    values = {"state": _next(DeliveryState.DELIVERED, Event.LACKING), "due": now, "tries": 0, "reason": reason}
    return _after_delivered(tx, delivery_id, {**values, "finished": None})


def disprove(tx: Transaction, delivery_id: int, reason: str) -> bool:
    """Park a delivery of which the destination says again that it does not keep it; tell whether it was done."""
    parked = _next(DeliveryState.DELIVERED, Event.DISPROVED)
    values: dict[str, object] = {"state": parked, "reason": reason, "finished": None}
    return _after_delivered(tx, delivery_id, values)


def _after_delivered(tx: Transaction, delivery_id: int, values: dict[str, object]) -> bool:
    done = (_TABLE.c.id == delivery_id, _TABLE.c.state == DeliveryState.DELIVERED.value)
    return tx.execute(update(_TABLE).where(*done).values(values)).rowcount == 1


def settled(tx: Transaction, instance_id: str) -> bool:
    """Tell whether every destination that is owed the instance has it."""
    return not open_for_instance(tx, instance_id)


def open_for_instance(tx: Transaction, instance_id: str) -> list[Delivery]:
    """Return the deliveries of an instance that are not done."""
    unfinished = _TABLE.c.state != DeliveryState.DELIVERED.value
    query = select(_TABLE).where(_TABLE.c.instance_id == instance_id, unfinished).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def of_instance(tx: Transaction, instance_id: str) -> list[Delivery]:
    """Return every delivery of an instance."""
    query = select(_TABLE).where(_TABLE.c.instance_id == instance_id).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def deliveries(tx: Transaction, state: DeliveryState | None = None, limit: int = 1000) -> list[Delivery]:
    """Return deliveries, newest first, of one state or of all."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_TABLE.c.state == state.value)
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, delivery_id: int) -> Delivery | None:
    """Return one delivery."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == delivery_id)).first()
    return None if row is None else _value(row)


def retry(tx: Transaction, delivery_ids: Collection[int], now: datetime) -> list[int]:
    """Make deliveries due at once, with their tries forgotten, and let their destinations be asked again now.

    Returns the ids that changed: what is delivered, being sent or without a route is left as it is.
    """
    before = [state.value for state, event in NEXT if event is Event.RETRIED]
    query = select(_TABLE.c.id, _TABLE.c.destination).where(
        _TABLE.c.id.in_(delivery_ids), _TABLE.c.state.in_(before), _TABLE.c.destination != NO_ROUTE
    )
    rows = tx.execute(query.order_by(_TABLE.c.id)).all()
    ids = [row.id for row in rows]
    tx.execute(
        update(_TABLE)
        .where(_TABLE.c.id.in_(ids), _TABLE.c.state.in_(before))
        .values(state=DeliveryState.WAITING.value, due=now, tries=0, since=None, syntax="")
    )
    names = {row.destination for row in rows}
    destination_store.ask_now(tx, names)
    return ids


def waiting(tx: Transaction) -> dict[str, Waiting]:
    """Return by destination what the machine owes it, and since when some of that fails."""
    owed = _TABLE.c.state.in_((DeliveryState.WAITING.value, DeliveryState.SENDING.value))
    columns = (func.count(), func.count(_TABLE.c.since), func.min(_TABLE.c.since))
    query = select(_TABLE.c.destination, *columns).where(owed).group_by(_TABLE.c.destination)
    return {name: Waiting(count, failing, since) for name, count, failing, since in tx.execute(query)}


def owed_destinations(tx: Transaction) -> set[str]:
    """Return the names to which something waits to be sent."""
    waiting = (DeliveryState.WAITING.value, DeliveryState.SENDING.value)
    return set(tx.execute(select(_TABLE.c.destination).where(_TABLE.c.state.in_(waiting)).distinct()).scalars())


def open_counts(tx: Transaction) -> dict[tuple[str, DeliveryState], int]:
    """Return how many deliveries are not done, by destination and state. What is done is not looked at."""
    unfinished = [state.value for state in DeliveryState if state is not DeliveryState.DELIVERED]
    found = statements.counts(tx, _TABLE.c.destination, _TABLE.c.state, unfinished)
    return {(name, DeliveryState(state)): count for (name, state), count in found.items()}


def owed_in_all(tx: Transaction) -> int:
    """Return how many deliveries were ever owed: their numbers only grow."""
    return tx.execute(select(func.max(_TABLE.c.id))).scalar() or 0


def oldest_waiting(tx: Transaction) -> dict[str, datetime]:
    """Return by destination since when the oldest unfinished delivery that the machine owes has been waiting."""
    waiting = (DeliveryState.WAITING.value, DeliveryState.SENDING.value)
    query = select(_TABLE.c.destination, func.min(_TABLE.c.created)).where(_TABLE.c.state.in_(waiting))
    return {row.destination: row[1] for row in tx.execute(query.group_by(_TABLE.c.destination))}


def paths_of_moving(tx: Transaction) -> set[str]:
    """Return where the instances lie that wait to be sent, or are being sent."""
    instances = table_of(spool_store.InstanceRow)
    moving = (DeliveryState.WAITING.value, DeliveryState.SENDING.value)
    query = select(instances.c.path).join(_TABLE, _TABLE.c.instance_id == instances.c.id)
    held = (_TABLE.c.state.in_(moving), instances.c.forgotten.is_(None))
    return set(tx.execute(query.where(*held).distinct()).scalars())


def _owed(
    instance_id: str, destination: str, now: datetime, priority: Priority = Priority.ROUTINE
) -> dict[str, object]:
    return {
        "instance_id": instance_id,
        "destination": destination,
        "state": DeliveryState.WAITING.value,
        "tries": 0,
        "due": now,
        "created": now,
        "reason": "",
        "syntax": "",
        "lease": "",
        "priority": RANK[priority],
    }


def _without_route(instance_id: str, now: datetime) -> dict[str, object]:
    return _owed(instance_id, NO_ROUTE, now) | {"state": DeliveryState.PARKED.value, "reason": NO_ROUTE_REASON}


def _is_open(state: DestinationState, now: datetime) -> bool:
    """Tell whether the destination may be asked now."""
    return not state.held and (state.due is None or state.due <= now)


def _is_being_sent(tx: Transaction, destination: str) -> bool:
    sending = (_TABLE.c.destination == destination, _TABLE.c.state == DeliveryState.SENDING.value)
    return tx.execute(select(_TABLE.c.id).where(*sending).limit(1)).first() is not None


def _end_overdue(tx: Transaction, destination: str, now: datetime) -> None:
    if queue.ANY_OVERDUE.rows(tx, {"the_destination": destination, "now": now}):
        queue.LEASES.give_back(tx, *queue.lease_ended(destination, now))


def _next(state: DeliveryState, event: Event) -> str:
    return NEXT[state, event].value


def _value(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        instance_id=row.instance_id,
        destination=row.destination,
        state=DeliveryState(row.state),
        tries=row.tries,
        due=row.due,
        created=row.created,
        reason=row.reason,
        status=row.status,
        lease=row.lease,
        lease_ends=row.lease_ends,
        finished=row.finished,
        priority=_PRIORITY_OF[row.priority],
        syntax=row.syntax,
        since=row.since,
    )
