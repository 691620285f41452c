"""Leases what is owed to one destination, has it sent, and records each outcome. Decides by `state.py` alone.

Nothing is sent inside a transaction. Each outcome is recorded as soon as it is known, so that a stop at any moment
loses at most the answer to one instance, which is then sent once more.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial

from broker import journal
from broker.audit import store as audit
from broker.audit.model import CLOCK, AuditEntry
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import destination_store, escalation, http_answers, pace, state, store
from broker.delivery.content import CannotCorrect
from broker.delivery.correction import applying
from broker.delivery.correction.model import Corrections, OrdersOf, no_orders
from broker.delivery.escalation import FAILURES, OnEvent
from broker.delivery.http_answers import HttpRefused
from broker.delivery.model import Delivery, DestinationState
from broker.delivery.senders import SENDERS
from broker.delivery.senders.outcome import (
    Answered,
    Batch,
    Damaged,
    Enough,
    Listed,
    NoContext,
    NotSent,
    Outcome,
    Outcomes,
    Refused,
    Unanswered,
    Uncorrected,
    Way,
)
from broker.delivery.senders.stow_peer import StowPeer
from broker.delivery.state import Again, Decision, Delivered, Park
from broker.delivery.transcoding import copies
from broker.delivery.transcoding import rule as transcoding
from broker.delivery.transcoding.copies import Prepared
from broker.dimse.service import Requestor
from broker.environments import schedules
from broker.environments.model import Destination, Priority, Protocol
from broker.errors import BrokerError, Unavailable
from broker.identifiers import AETitle
from broker.journal import log
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

Settle = Callable[[Transaction, Delivery, SpooledInstance], bool]
"""Takes note, in the transaction of the outcome, that a destination has an instance; tells whether its file may go."""

IsOpen = Callable[[Priority], bool]
"""Tells whether the destination's schedule lets it be sent what has this priority, now."""

PARKED = "delivery.parked"
TRANSCODED = "delivery.transcoded"
DAMAGED = "spool.damaged"
UNANSWERED = "delivery.unanswered"

BATCH = 50
LEASE_SECONDS = 300.0
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
    is_open: IsOpen
    stopping: Callable[[], bool]
    stopped: bool = False  # by a person, or by the schedule
    is_told: bool = False  # the sender, that it is enough
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
    zone: tzinfo = UTC,
    stow: StowPeer | None = None,
    orders_of: OrdersOf = no_orders,
    stopping: Callable[[], bool] = lambda: False,
    node: str = "",
) -> int:
    """Send what is due to one destination, up to `limit`; return how many instances were leased.

    Zero means that nothing is due, or that the destination is not to be asked yet, or not at this hour of the site's
    `zone`. `orders_of` finds the orders by which a destination's rule corrects. After `stopping` nothing is begun.
    `node` names the process whose lease it is. A destination that fails is recorded, not raised. Raises Unavailable
    when the database fails; what was leased then is due when the lease ends.
    """
    if stopping():
        return 0
    token = store.new_lease(node)
    is_open = partial(_is_open, destination, clock, zone)
    batch, before = _lease(database, destination, clock, limit, token, lease_seconds, is_open)
    if not batch:
        return 0
    left = {delivery.id: instance for delivery, instance in batch}
    lengths = [instance.length for instance in left.values()]
    # By STOW-RS many are on their way before one is answered.
    longest = sum(lengths) if destination.protocol is Protocol.STOW else max(lengths)
    lasts = lease_seconds + 2 * pace.seconds_for(longest, destination.bandwidth_kbit)
    turn = _Round(
        database, spool, destination, clock, jitter, on_event, token, lasts, before, left, settle, is_open, stopping
    )
    if lasts > 2 * lease_seconds:
        _renew(turn)
    with copies.prepared(spool, batch) as prepared:
        _note_copies(turn, prepared)
        batch = prepared.batch
        corrections = applying.prepare(database, spool, destination, batch, orders_of, own_title, clock.now())
        way = Way(destination, own_title, requestor, spool, stow, corrections)
        _exhaust(turn, _send(_corrected(turn, batch, corrections), way))
    _conclude(turn)
    return len(lengths)


def _exhaust(turn: _Round, outcomes: Outcomes) -> None:
    try:
        while (item := _next(turn, outcomes)) is not None:
            _take(turn, *item)
    finally:
        with suppress(BrokerError):  # what was answered stays answered, however the association ends
            outcomes.close()


def _note_copies(turn: _Round, prepared: Prepared) -> None:
    """Record which instances go in another syntax, before any of them does; park those that cannot."""
    made = [(delivery, instance) for delivery, instance in prepared.batch if delivery.syntax]
    if made:
        now = turn.clock.now()
        with turn.database.write("delivery-outcome") as tx:
            for delivery, instance in made:
                names = {"delivery": delivery.id, "destination": delivery.destination, "instance": instance.id}
                journal.record(tx, now, TRANSCODED, **names, transfer_syntax=delivery.syntax)
            detail: dict[str, object] = {"instances": [instance.id for _, instance in made]}
            audit.record(tx, AuditEntry(now, CLOCK, "instance.transcode", turn.destination.name, detail))
    by_id = {delivery.id: delivery for delivery in prepared.parked}
    for delivery_id, problem in prepared.problems.items():
        _take(turn, by_id[delivery_id], Uncorrected(CannotCorrect(problem)))


def _is_open(destination: Destination, clock: Clock, zone: tzinfo, priority: Priority) -> bool:
    """Tell whether the hour is one in which the destination is sent what has this priority."""
    if priority is Priority.STAT and destination.stat_any_time:
        return True
    return schedules.is_within(destination.schedule, clock.now().astimezone(zone))


def _lease(  # noqa: PLR0917 - see store.lease
    database: Database,
    destination: Destination,
    clock: Clock,
    limit: int,
    token: str,
    lease_seconds: float,
    is_open: IsOpen,
) -> tuple[Batch, DestinationState]:
    now, name = clock.now(), destination.name
    urgent_only = not is_open(Priority.ROUTINE)
    with database.read() as tx:
        before = destination_store.destination_state(tx, name)
        if not is_open(Priority.STAT) or not store.has_due(tx, name, now, urgent_only=urgent_only):
            return [], before
    with database.write("delivery-lease") as tx:
        leased = store.lease(
            tx,
            name,
            now,
            limit,
            token=token,
            lease_seconds=lease_seconds,
            urgent_only=urgent_only,
            sharers=destination.associations,
        )
        return leased, before


def _renew(turn: _Round) -> None:
    """Lease for as long as the largest instance may take: each outcome renews what is left."""
    with turn.database.write("delivery-lease") as tx:
        store.renew(tx, turn.token, turn.clock.now() + timedelta(seconds=turn.lease_seconds))


def _corrected(turn: _Round, batch: Batch, corrections: Corrections) -> Batch:
    """Record what the destination's rule alters and holds, before any of it is sent; return what may be sent."""
    if corrections.recorded or corrections.held:
        with turn.database.write("delivery-outcome") as tx:
            applying.record(tx, corrections, turn.token, turn.clock.now())
            for delivery_id, reason in corrections.held.items():
                turn.on_event(tx, applying.UNCORRECTED, turn.destination.name, f"delivery {delivery_id}: {reason}")
    for delivery_id in corrections.held:
        del turn.left[delivery_id]
    return [one for one in batch if one[0].id in turn.left]


def _send(batch: Batch, way: Way) -> Outcomes:
    sender = SENDERS.get(way.destination.protocol)
    if sender is None:
        raise Unavailable(f"this version has no sender for protocol {way.destination.protocol}")
    yield from sender(batch, way)


def _next(turn: _Round, outcomes: Outcomes) -> tuple[Delivery, Outcome] | None:
    """Return the next outcome; none when the sender is through or could not go on.

    Where it had better not go on, it is told so once, and what it knows already is still taken.
    """
    try:
        if (turn.pause or turn.stopped or turn.stopping()) and not turn.is_told:
            turn.is_told = True
            return outcomes.throw(Enough())
        return next(outcomes, None)
    except (Enough, StopIteration):
        return None
    except BrokerError as error:
        turn.failure = error
        return None


def _take(turn: _Round, delivery: Delivery, outcome: Outcome) -> None:
    if isinstance(outcome, NotSent):
        turn.failure = outcome.error
        return
    now = turn.clock.now()
    instance = turn.left.pop(delivery.id)
    decision = _decide(outcome, delivery, instance, now, turn.jitter(), turn.destination.transcode)
    with turn.database.write("delivery-outcome") as tx:
        may_go = _record(turn, tx, delivery, instance, outcome, decision)
    _log(delivery, decision)
    if isinstance(decision, Again) and decision.pause:
        turn.pause = decision.reason
    else:
        turn.answered |= isinstance(outcome, Answered | NoContext | Refused | Listed)
    if may_go:
        _remove_file(turn.spool, instance)


def _decide(  # noqa: PLR0917 - one outcome and all that it depends on
    outcome: Outcome, delivery: Delivery, instance: SpooledInstance, now: datetime, jitter: float, transcodes: bool
) -> Decision:
    tries = delivery.tries + 1
    match outcome:
        case Answered(status):
            return state.after_answer(status, tries, now, jitter, delivery.since)
        case NoContext(result):
            return transcoding.decide(result, delivery, instance, now, transcodes=transcodes)
        case Damaged(error):
            return state.after_damage(error)
        case Uncorrected() | Refused() | Listed():
            return _plain(outcome)
        case Unanswered(error) | NotSent(error):
            return state.after_unknown(error, tries, now, jitter)


def _plain(outcome: Uncorrected | Refused | Listed) -> Decision:
    """Decide where neither time nor tries play a part."""
    match outcome:
        case Uncorrected(error):
            return Park(f"not sent: {error}")
        case Refused(status):
            return Park(http_answers.refusal_text(status))
        case Listed():
            return Delivered(http_answers.LISTED_TEXT)


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
    status = outcome.status if isinstance(outcome, Answered) else None
    comment = outcome.comment if isinstance(outcome, Answered | Refused) else ""
    mine = store.finish(tx, delivery.id, turn.token, decision, status=status, comment=comment, now=now)
    if not mine:
        log.warning("delivery.lease-lost", delivery=delivery.id, destination=delivery.destination)
        return False
    store.renew(tx, turn.token, now + timedelta(seconds=turn.lease_seconds))
    turn.stopped = bool(destination_store.held(tx, delivery.destination)) or not turn.is_open(delivery.priority)
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
    if not turn.left and _destination_after(turn, turn.before) == turn.before:
        return
    now = turn.clock.now()
    # Where others were answered, those that were not let in wait a little, so that they do not fill each batch.
    due = now + state.delay(FAILURES, turn.jitter()) if turn.answered and turn.failure else None
    with turn.database.write("delivery-outcome") as tx:
        store.release(tx, turn.left.keys(), turn.token, due)
        after = _destination_after(turn, destination_store.destination_state(tx, turn.destination.name))
        destination_store.set_destination_state(tx, after)
        if after.failures:
            permanent = turn.failure is not None and state.is_permanent(turn.failure)
            escalation.tell(tx, after, permanent, now, turn.on_event)
    if after.failures:
        log.warning("destination.failed", destination=after.name, failures=after.failures, why=after.reason)


def _destination_after(turn: _Round, known: DestinationState) -> DestinationState:
    now, jitter = turn.clock.now(), turn.jitter()
    before = state.recovered(known) if turn.answered else known
    if turn.pause:
        return state.after_pause(before, turn.pause, now, jitter)
    # An HTTP status speaks for all that is sent after it; an association's refusal only for its calling title.
    if turn.failure and turn.left and (not turn.answered or isinstance(turn.failure, HttpRefused)):
        # Several associations at once fail for one reason: that is one failure.
        is_noted = known.failures > turn.before.failures and known.due is not None and known.due > now
        return known if is_noted else state.after_destination_failure(before, turn.failure, now, jitter)
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
