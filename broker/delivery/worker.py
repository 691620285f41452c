"""Leases what is owed to one destination, has it sent, and has each outcome recorded. Decides by `state.py` alone.

Nothing is sent inside a transaction. Outcomes are recorded in groups as they come (`groups.MOST`, `groups.SECONDS`),
that of a long instance at once: a stop at any moment loses at most the answers that were not recorded yet, and those
instances are then sent once more.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial

from broker.delivery import destination_store, escalation, pace, state, store
from broker.delivery.deciding import decide
from broker.delivery.desk import Desk
from broker.delivery.escalation import FAILURES
from broker.delivery.groups import Groups
from broker.delivery.http_answers import HttpRefused
from broker.delivery.model import Delivery, DestinationState
from broker.delivery.preparing import prepared
from broker.delivery.recording import Ended, record
from broker.delivery.senders import SENDERS
from broker.delivery.senders.outcome import (
    Answered,
    Batch,
    Enough,
    Listed,
    NoContext,
    NotSent,
    Outcome,
    Outcomes,
    Refused,
    Way,
)
from broker.delivery.senders.stow_peer import StowPeer
from broker.delivery.state import Again
from broker.delivery.turn import Turn, is_open
from broker.dimse.service import Requestor
from broker.environments.model import Destination, Priority, Protocol
from broker.errors import BrokerError, Unavailable
from broker.journal import log
from broker.leases import new_token
from broker.spool.spool import LARGEST

BATCH = 50
LEASE_SECONDS = 300.0


def deliver_batch(
    desk: Desk,
    destination: Destination,
    requestor: Requestor,
    stow: StowPeer | None = None,
    *,
    limit: int = BATCH,
    lease_seconds: float = LEASE_SECONDS,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Send what is due to one destination, up to `limit`; return how many instances were leased.

    Zero means that nothing is due, or that the destination is not to be asked yet, or not at this hour. After
    `stopping` nothing is begun. A destination that fails is recorded, not raised. Raises Unavailable when the
    database fails; what was leased then is due when the lease ends.
    """
    if stopping():
        return 0
    token, until = new_token(desk.node), desk.clock.now() + timedelta(seconds=lease_seconds)
    batch, before = _lease(desk, destination, limit, token, lease_seconds)
    if not batch:
        return 0
    lasts = _lasts(batch, destination, lease_seconds)
    left = {delivery.id: instance for delivery, instance in batch}
    turn = Turn(desk, destination, stopping, token, lasts, before, left, until)
    if lasts > 2 * lease_seconds:
        _renew(turn)
    with closing(Groups[Ended](partial(record, turn))) as groups:
        _send(turn, batch, requestor, stow, groups)
    _conclude(turn)
    return len(batch)


def _lease(
    desk: Desk, destination: Destination, limit: int, token: str, lease_seconds: float
) -> tuple[Batch, DestinationState]:
    now, name = desk.clock.now(), destination.name
    urgent_only = not is_open(desk, destination, Priority.ROUTINE)
    with desk.database.read() as tx:
        before = destination_store.destination_state(tx, name)
        is_due = is_open(desk, destination, Priority.STAT) and store.has_due(tx, name, now, urgent_only=urgent_only)
    if not is_due:
        return [], before
    with desk.database.write("delivery-lease") as tx:
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


def _lasts(batch: Batch, destination: Destination, lease_seconds: float) -> float:
    """Return for how long to lease: as long as the largest instance may take, since each record renews what is left."""
    lengths = [instance.length for _, instance in batch]
    # By STOW-RS many are on their way before one is answered.
    longest = sum(lengths) if destination.protocol is Protocol.STOW else max(lengths)
    return lease_seconds + 2 * pace.seconds_for(longest, destination.bandwidth_kbit)


def _renew(turn: Turn) -> None:
    until = turn.desk.clock.now() + timedelta(seconds=turn.lease_seconds)
    with turn.desk.database.write("delivery-lease") as tx:
        store.renew(tx, turn.token, until)
    turn.until = until


def _send(turn: Turn, batch: Batch, requestor: Requestor, stow: StowPeer | None, groups: Groups[Ended]) -> None:
    desk, destination = turn.desk, turn.destination
    with prepared(turn, batch) as (ready, corrections, problems):
        for delivery, problem in problems:
            _take(turn, delivery, problem, groups)
        outcomes = _outcomes(ready, Way(destination, desk.own_title, requestor, desk.spool, stow, corrections))
        try:
            while (item := _next(turn, outcomes)) is not None:
                _take(turn, *item, groups)
        finally:
            with suppress(BrokerError):  # what was answered stays answered, however the association ends
                outcomes.close()


def _outcomes(batch: Batch, way: Way) -> Outcomes:
    sender = SENDERS.get(way.destination.protocol)
    if sender is None:
        raise Unavailable(f"this version has no sender for protocol {way.destination.protocol}")
    yield from sender(batch, way)


def _next(turn: Turn, outcomes: Outcomes) -> tuple[Delivery, Outcome] | None:
    """Return the next outcome; none when the sender is through or could not go on.

    Where it had better not go on, it is told so once, and what it knows already is still taken.
    """
    try:
        if turn.is_enough() and not turn.is_told:
            turn.is_told = True
            return outcomes.throw(Enough())
        return next(outcomes, None)
    except (Enough, StopIteration):
        return None
    except BrokerError as error:
        turn.failure = error
        return None


def _take(turn: Turn, delivery: Delivery, outcome: Outcome, groups: Groups[Ended]) -> None:
    """Decide what becomes of one instance, and have it recorded."""
    if isinstance(outcome, NotSent):
        turn.failure = outcome.error
        return
    desk, now = turn.desk, turn.desk.clock.now()
    instance = turn.left.pop(delivery.id)
    decision = decide(outcome, delivery, instance, now, desk.jitter(), turn.destination.transcode)
    groups.put(Ended(delivery, instance, outcome, decision, now), at_once=instance.length > LARGEST)
    turn.is_over = not is_open(desk, turn.destination, delivery.priority)
    if isinstance(decision, Again) and decision.pause:
        turn.pause = decision.reason
    else:
        turn.answered |= isinstance(outcome, Answered | NoContext | Refused | Listed)


def _conclude(turn: Turn) -> None:
    """Give back what was not sent, and record how the destination stands."""
    if not turn.left and _destination_after(turn, turn.before) == turn.before:
        return
    desk, now = turn.desk, turn.desk.clock.now()
    # Where others were answered, those that were not let in wait a little, so that they do not fill each batch.
    due = now + state.delay(FAILURES, desk.jitter()) if turn.answered and turn.failure else None
    with desk.database.write("delivery-outcome") as tx:
        store.release(tx, turn.left.keys(), turn.token, due)
        after = _destination_after(turn, destination_store.destination_state(tx, turn.destination.name))
        destination_store.set_destination_state(tx, after)
        if after.failures:
            permanent = turn.failure is not None and state.is_permanent(turn.failure)
            escalation.tell(tx, after, permanent, now, desk.on_event)
    if after.failures:
        log.warning("destination.failed", destination=after.name, failures=after.failures, why=after.reason)


def _destination_after(turn: Turn, known: DestinationState) -> DestinationState:
    now, jitter = turn.desk.clock.now(), turn.desk.jitter()
    before = state.recovered(known) if turn.answered else known
    if turn.pause:
        return state.after_pause(before, turn.pause, now, jitter)
    # An HTTP status speaks for all that is sent after it; an association's refusal only for its calling title.
    if turn.failure and turn.left and (not turn.answered or isinstance(turn.failure, HttpRefused)):
        # Several associations at once fail for one reason: that is one failure.
        is_noted = known.failures > turn.before.failures and known.due is not None and known.due > now
        return known if is_noted else state.after_destination_failure(before, turn.failure, now, jitter)
    return before
