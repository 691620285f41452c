"""Sends what is owed to one receiver, in order, one at a time, and records each outcome. Decides by `state.py` alone.

Nothing is sent inside a transaction. A stop between an answer and its record sends the message once more under the
same MSH-10, by which the receiver knows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from broker import failpoints, journal
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.environments.model import Receiver
from broker.journal import log
from broker.leases import new_token
from broker.outbox import state, store
from broker.outbox.connection import Sender
from broker.outbox.model import OutboxMessage
from broker.owed import Again, Decision, Delivered, Park
from hl7.errors import Hl7Error
from hl7.reply import read_acknowledgement

OnEvent = Callable[[Transaction, str, str, str], None]
"""Takes (transaction, event, subject, text) of what a person must see, in the transaction that makes it true."""

PARKED = "outbox.parked"
FAILING = "receiver.failing"

BATCH = 20
_LEAST_LEASE = 300.0


@dataclass(frozen=True, slots=True)
class _Turn:
    """One batch on its way."""

    database: Database
    receiver: Receiver
    sender: Sender
    clock: Clock
    chance: Callable[[], float]
    alert: OnEvent
    token: str
    lease: timedelta


def send_batch(  # noqa: PLR0917 - the composition root hands over what it has built
    database: Database,
    receiver: Receiver,
    sender: Sender,
    clock: Clock,
    chance: Callable[[], float],
    alert: OnEvent,
    *,
    limit: int = BATCH,
) -> int:
    """Send what is due to one receiver, up to `limit`; return how many messages have their outcome.

    Zero means that nothing is due, or that the first message waits: none overtakes it. A receiver that fails is
    recorded, not raised. Raises Unavailable when the database fails; what was leased then is due when the lease ends.
    """
    lease = timedelta(seconds=max(_LEAST_LEASE, 4.0 * receiver.timeout_seconds))
    turn = _Turn(database, receiver, sender, clock, chance, alert, new_token(), lease)
    batch = _lease(turn, limit)
    count = 0
    for message in batch:
        decision = _take(turn, message)
        count += 1
        if decision is None or isinstance(decision, Again):
            break
    if count < len(batch):
        with database.write("outbox") as tx:
            store.release(tx, turn.token)
    return count


def _lease(turn: _Turn, limit: int) -> Sequence[OutboxMessage]:
    now, name = turn.clock.now(), turn.receiver.name
    with turn.database.read() as tx:
        if not store.has_due(tx, name, now):
            return ()
    seconds = turn.lease.total_seconds()
    with turn.database.write("outbox") as tx:
        return store.lease(tx, name, now, limit, token=turn.token, lease_seconds=seconds)


def _take(turn: _Turn, message: OutboxMessage) -> Decision | None:
    """Send one message and record the outcome; None when the lease is another's by now."""
    code, decision = _exchanged(turn, message)
    now = turn.clock.now()
    with turn.database.write("outbox-outcome") as tx:
        mine = store.finish(tx, message.id, turn.token, decision, code, now)
        if mine:
            store.renew(tx, turn.token, now + turn.lease)
            _tell(turn, tx, message, decision)
    if not mine:
        log.warning("outbox.lease-lost", message=message.id, receiver=message.receiver)
        return None
    _log(message, decision)
    return decision


def _exchanged(turn: _Turn, message: OutboxMessage) -> tuple[str, Decision]:
    """Return MSA-1, where there was one, and what follows from it. What is to be sent again gets a new connection."""
    tries = message.tries + 1
    try:
        with failpoints.around("outbox.send"):
            raw = turn.sender.exchange(message.body)
        answer = read_acknowledgement(raw)
    except (OSError, Hl7Error) as error:
        turn.sender.close()  # a late answer must not be taken for the next message's
        return "", state.after_silence(error, tries, turn.clock.now(), turn.chance())
    decision = state.after_answer(answer, message.control_id, tries, turn.clock.now(), turn.chance())
    if isinstance(decision, Again):
        turn.sender.close()
    return answer.code, decision


def _tell(turn: _Turn, tx: Transaction, message: OutboxMessage, decision: Decision) -> None:
    """Record the end in the journal, and say to people what is theirs; the receiver's own words stay in the row."""
    text = f"message {message.id} of order {message.order_id}: {decision.reason}"
    if isinstance(decision, Again):
        if decision.escalate:
            turn.alert(tx, FAILING, message.receiver, f"{text}; {message.tries + 1} tries; what follows waits")
        return
    event = "outbox.delivered" if isinstance(decision, Delivered) else PARKED
    names = {"message": message.id, "receiver": message.receiver, "order": message.order_id}
    journal.record(tx, turn.clock.now(), event, **names, control_id=message.control_id, told=message.event.value)
    if isinstance(decision, Park):
        turn.alert(tx, PARKED, message.receiver, text)


def _log(message: OutboxMessage, decision: Decision) -> None:
    names = {"message": message.id, "receiver": message.receiver, "tries": message.tries + 1}
    match decision:
        case Delivered():
            log.info("outbox.delivered", **names, told=message.event.value)
        case Again(due, reason):
            log.warning("outbox.again", **names, due=due, why=reason)
        case Park(reason):
            log.error("outbox.parked", **names, why=reason)
