"""Leases what is owed to one destination, has it sent, and records each outcome. Decides by `state.py` alone.

Nothing is sent inside a transaction. Each outcome is recorded as soon as it is known, so that a stop at any moment
loses at most the answer to one instance, which is then sent once more.
"""

import secrets
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker import journal
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import state, store
from broker.delivery.model import Delivery, DestinationState
from broker.delivery.senders import SENDERS
from broker.delivery.senders.outcome import (
    Answered,
    Batch,
    Damaged,
    NoContext,
    NotSent,
    Outcome,
    Outcomes,
    Unanswered,
    Uncorrected,
    Way,
)
from broker.delivery.state import Again, Decision, Delivered, Park
from broker.dimse.service import Requestor
from broker.environments.model import Destination
from broker.errors import BrokerError, Unavailable
from broker.identifiers import AETitle
from broker.journal import log
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

OnEvent = Callable[[Transaction, str, str, str], None]
"""Takes (transaction, event, subject, text) of what a person must see, in the transaction that makes it true."""

Settle = Callable[[Transaction, Delivery, SpooledInstance], bool]
"""Takes note, in the transaction of the outcome, that a destination has an instance; tells whether its file may go."""

PARKED = "delivery.parked"
DAMAGED = "spool.damaged"
UNANSWERED = "delivery.unanswered"
FAILING = "destination.failing"
ABSENT = "destination.absent"

BATCH = 50
LEASE_SECONDS = 300.0
_FAILING_AFTER = 3  # failures in a row, about a minute: a restart of a PACS wakes nobody
_UNANSWERED_AFTER = 5


@dataclass(slots=True)
class _Round:
    """One batch on its way, and what is known of it so far."""

    database: Database
    spool: FileSpool
    destination: Destination
    clock: Clock
    jitter: Callable[[], float]
    on_event: OnEvent
    token: str
    lease_seconds: float
    before: DestinationState
    left: dict[int, SpooledInstance]  # leased and not spoken of yet
    settle: Settle
    answered: bool = False  # about an instance, so that the destination is well
    pause: str = ""  # why the destination needs time
    failure: BrokerError | None = None  # of the destination


def _settled(tx: Transaction, delivery: Delivery, instance: SpooledInstance) -> bool:
    """Let the file go once every destination has the instance, without a proof."""
    return store.settled(tx, delivery.instance_id)


def deliver_batch(  # noqa: PLR0917 - the composition root hands over what it has built
    database: Database,
    spool: FileSpool,
    destination: Destination,
    own_title: AETitle,
    requestor: Requestor,
    clock: Clock,
    jitter: Callable[[], float],
    on_event: OnEvent,
    *,
    limit: int = BATCH,
    lease_seconds: float = LEASE_SECONDS,
    settle: Settle = _settled,
) -> int:
    """Send what is due to one destination, up to `limit`; return how many instances were leased.

    Zero means that nothing is due, or that the destination is not to be asked yet. A destination that fails is
    recorded, not raised. Raises Unavailable when the database fails; what was leased then is due when the lease ends.
    """
    token = secrets.token_hex(16)
    batch, before = _lease(database, destination.name, clock, limit, token, lease_seconds)
    if not batch:
        return 0
    left = {delivery.id: instance for delivery, instance in batch}
    turn = _Round(database, spool, destination, clock, jitter, on_event, token, lease_seconds, before, left, settle)
    outcomes = _send(batch, Way(destination, own_title, requestor, spool))
    try:
        while (item := _next(turn, outcomes)) is not None:
            _take(turn, *item)
    finally:
        with suppress(BrokerError):  # what was answered stays answered, however the association ends
            outcomes.close()
    _conclude(turn)
    return len(batch)


def note_absent(database: Database, names: Collection[str], clock: Clock, on_event: OnEvent) -> set[str]:
    """Say of each destination that is owed something and that the profile, with `names`, does not have, that it waits.

    Returns their names. They are said once, and again only after the profile had them meanwhile.
    """
    with database.read() as tx:
        missing = {name for name in store.owed_destinations(tx) if name not in names}
        states = [store.destination_state(tx, name) for name in sorted(missing)]
    now = clock.now()
    fresh = [absent for old in states if (absent := state.absent(old, now)).reason != old.reason]
    if fresh:
        with database.write("delivery") as tx:
            for said in fresh:
                store.set_destination_state(tx, said)
                on_event(tx, ABSENT, said.name, said.reason)
    return missing


def _lease(  # noqa: PLR0917 - see store.lease
    database: Database, name: str, clock: Clock, limit: int, token: str, lease_seconds: float
) -> tuple[Batch, DestinationState]:
    now = clock.now()
    with database.read() as tx:
        before = store.destination_state(tx, name)
        if not store.has_due(tx, name, now):
            return [], before
    with database.write("delivery-lease") as tx:
        return store.lease(tx, name, now, limit, token=token, lease_seconds=lease_seconds), before


def _send(batch: Batch, way: Way) -> Outcomes:
    sender = SENDERS.get(way.destination.protocol)
    if sender is None:
        raise Unavailable(f"this version has no sender for protocol {way.destination.protocol}")
    yield from sender(batch, way)


def _next(turn: _Round, outcomes: Outcomes) -> tuple[Delivery, Outcome] | None:
    """Return the next outcome; none when the sender is through, could not go on, or had better not."""
    if turn.pause:
        return None
    try:
        return next(outcomes, None)
    except BrokerError as error:
        turn.failure = error
        return None


def _take(turn: _Round, delivery: Delivery, outcome: Outcome) -> None:
    if isinstance(outcome, NotSent):
        turn.failure = outcome.error
        return
    now = turn.clock.now()
    instance = turn.left.pop(delivery.id)
    decision = _decide(outcome, delivery, instance, now, turn.jitter())
    with turn.database.write("delivery-outcome") as tx:
        may_go = _record(turn, tx, delivery, instance, outcome, decision)
    _log(delivery, decision)
    if isinstance(decision, Again) and decision.pause:
        turn.pause = decision.reason
    else:
        turn.answered |= isinstance(outcome, Answered | NoContext)
    if may_go:
        _remove_file(turn.spool, instance)


def _decide(outcome: Outcome, delivery: Delivery, instance: SpooledInstance, now: datetime, jitter: float) -> Decision:
    tries = delivery.tries + 1
    match outcome:
        case Answered(status):
            return state.after_answer(status, tries, now, jitter)
        case NoContext(result):
            return state.after_context_refused(result, instance.facts.sop_class_uid, instance.facts.transfer_syntax)
        case Damaged(error):
            return state.after_damage(error)
        case Uncorrected(error):
            return Park(f"not sent: {error}")
        case Unanswered(error) | NotSent(error):
            return state.after_unknown(error, tries, now, jitter)


def _record(  # noqa: PLR0917 - one outcome in all its parts
    turn: _Round,
    tx: Transaction,
    delivery: Delivery,
    instance: SpooledInstance,
    outcome: Outcome,
    decision: Decision,
) -> bool:
    """Record one outcome; return whether the instance's file may go."""
    now = turn.clock.now()
    status, comment = (outcome.status, outcome.comment) if isinstance(outcome, Answered) else (None, "")
    mine = store.finish(tx, delivery.id, turn.token, decision, status=status, comment=comment, now=now)
    if not mine:
        log.warning("delivery.lease-lost", delivery=delivery.id, destination=delivery.destination)
        return False
    store.renew(tx, turn.token, now + timedelta(seconds=turn.lease_seconds))
    _tell(turn, tx, delivery, outcome, decision)
    if isinstance(decision, Again):
        return False
    event = "delivery.delivered" if isinstance(decision, Delivered) else PARKED
    names = {"delivery": delivery.id, "destination": delivery.destination, "instance": instance.id}
    uid = instance.facts.sop_instance_uid
    journal.record(tx, now, event, **names, sop_instance_uid=uid, status=status)
    if not isinstance(decision, Delivered) or not turn.settle(tx, delivery, instance):
        return False
    if not spool_store.forget(tx, instance.id, now):
        return False
    journal.record(tx, now, "instance.forgotten", instance=instance.id, sop_instance_uid=uid)
    return True


def _tell(turn: _Round, tx: Transaction, delivery: Delivery, outcome: Outcome, decision: Decision) -> None:
    text = "" if isinstance(decision, Delivered) else f"delivery {delivery.id}: {decision.reason}"
    if isinstance(outcome, Damaged):
        turn.on_event(tx, DAMAGED, delivery.instance_id, text)
    elif isinstance(decision, Park):
        turn.on_event(tx, PARKED, delivery.destination, text)
    elif isinstance(outcome, Unanswered) and delivery.tries + 1 >= _UNANSWERED_AFTER:
        turn.on_event(tx, UNANSWERED, delivery.destination, text)


def _conclude(turn: _Round) -> None:
    """Give back what was not sent, and record how the destination stands."""
    after = _destination_after(turn)
    if not turn.left and after == turn.before:
        return
    now = turn.clock.now()
    # Where others were answered, those that were not let in wait a little, so that they do not fill each batch.
    due = now + state.delay(_FAILING_AFTER, turn.jitter()) if turn.answered and turn.failure else None
    with turn.database.write("delivery-outcome") as tx:
        store.release(tx, turn.left.keys(), turn.token, due)
        store.set_destination_state(tx, after)
        if after.failures >= _FAILING_AFTER or (turn.failure and state.is_permanent(turn.failure)):
            why = state.cause_of(turn.failure) if turn.failure else after.reason
            turn.on_event(tx, FAILING, after.name, why)
    if after.failures:
        log.warning("destination.failed", destination=after.name, failures=after.failures, why=after.reason)


def _destination_after(turn: _Round) -> DestinationState:
    now, jitter = turn.clock.now(), turn.jitter()
    before = state.well(turn.before.name) if turn.answered else turn.before
    if turn.pause:
        return state.after_pause(before, turn.pause, now, jitter)
    if turn.failure and not turn.answered and turn.left:
        return state.after_destination_failure(before, turn.failure, now, jitter)
    return before


def _log(delivery: Delivery, decision: Decision) -> None:
    names = {"delivery": delivery.id, "destination": delivery.destination, "tries": delivery.tries + 1}
    match decision:
        case Delivered(warning):
            log.info("delivery.delivered", **names, warning=warning)
        case Again(due, reason):
            log.warning("delivery.again", **names, due=due, why=reason)
        case Park(reason):
            log.error("delivery.parked", **names, why=reason)


def _remove_file(spool: FileSpool, instance: SpooledInstance) -> None:
    try:
        spool.forget(instance)
    except Unavailable as error:
        # The index has let it go: the next start removes it.
        log.warning("spool.file-stays", instance=instance.id, why=str(error))
