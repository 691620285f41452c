"""What became of instances that were sent: recorded in groups, then logged, and their files removed. Sends nothing.

Of a group that was not recorded nothing is known to have been answered: a start sends those instances once more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker import journal
from broker.database import Transaction
from broker.delivery import destination_store, store
from broker.delivery.model import Delivery
from broker.delivery.senders.outcome import Answered, Damaged, Outcome, Refused, Unanswered
from broker.delivery.state import Again, Decision, Delivered, Park
from broker.delivery.turn import Turn
from broker.errors import Unavailable
from broker.journal import log
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

PARKED = "delivery.parked"
DAMAGED = "spool.damaged"
UNANSWERED = "delivery.unanswered"

_UNANSWERED_AFTER = 5
_PLAIN = Delivered()


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one delivery, and when that was known."""

    delivery: Delivery
    instance: SpooledInstance
    outcome: Outcome
    decision: Decision
    at: datetime


def record(turn: Turn, group: Sequence[Ended]) -> None:
    """Record a group in one transaction, which renews the lease on what is left. Raises Unavailable."""
    desk = turn.desk
    until = desk.clock.now() + timedelta(seconds=turn.lease_seconds)
    with desk.database.write("delivery-outcome") as tx:
        mine = [ended for ended in group if _finish(tx, turn.token, ended)]
        store.renew(tx, turn.token, until)
        is_held = bool(destination_store.held(tx, turn.destination.name))
        gone = [ended.instance for ended in mine if _note(turn, tx, ended)]
    turn.is_held, turn.until = is_held, until
    _say(group, {ended.delivery.id for ended in mine})
    for instance in gone:
        _remove_file(desk.spool, instance)


def _finish(tx: Transaction, token: str, ended: Ended) -> bool:
    """Record the end of a delivery; tell False where the lease is another's by now."""
    outcome = ended.outcome
    status = outcome.status if isinstance(outcome, Answered) else None
    comment = outcome.comment if isinstance(outcome, Answered | Refused) else ""
    return store.finish(tx, ended.delivery.id, token, ended.decision, status=status, comment=comment, now=ended.at)


def _note(turn: Turn, tx: Transaction, ended: Ended) -> bool:
    """Say to people and to the journal what they must know; return whether the instance's file may go."""
    _tell(turn, tx, ended)
    if isinstance(ended.decision, Again):
        return False
    is_delivered = isinstance(ended.decision, Delivered)
    delivery, instance = ended.delivery, ended.instance
    names = {"delivery": delivery.id, "destination": delivery.destination, "instance": instance.id}
    status = ended.outcome.status if isinstance(ended.outcome, Answered) else None
    uid = instance.facts.sop_instance_uid
    event = "delivery.delivered" if is_delivered else PARKED
    journal.record(tx, ended.at, event, **names, sop_instance_uid=uid, status=status)
    if not is_delivered or not turn.desk.settle(tx, delivery, instance):
        return False
    if not spool_store.forget(tx, instance.id, ended.at):
        return False
    journal.record(tx, ended.at, "instance.forgotten", instance=instance.id, sop_instance_uid=uid)
    return True


def _tell(turn: Turn, tx: Transaction, ended: Ended) -> None:
    delivery, decision, on_event = ended.delivery, ended.decision, turn.desk.on_event
    text = "" if isinstance(decision, Delivered) else f"delivery {delivery.id}: {decision.reason}"
    if isinstance(ended.outcome, Damaged):
        on_event(tx, DAMAGED, delivery.instance_id, text)
    elif isinstance(decision, Park):
        on_event(tx, PARKED, delivery.destination, text)
    elif isinstance(ended.outcome, Unanswered) and delivery.tries + 1 >= _UNANSWERED_AFTER:
        on_event(tx, UNANSWERED, delivery.destination, text)


def _say(group: Sequence[Ended], mine: Collection[int]) -> None:
    """Write a line for what was delivered without a word, which is most, and one for each other delivery."""
    plain = [each for each in group if each.decision == _PLAIN and each.delivery.id in mine]
    if plain:
        ids = [each.delivery.id for each in plain]
        name = plain[0].delivery.destination  # of a turn, all are to one
        log.info("deliveries.delivered", destination=name, count=len(ids), deliveries=ids)
    for each in group:
        if each.decision != _PLAIN or each.delivery.id not in mine:
            _log(each, is_mine=each.delivery.id in mine)


def _log(ended: Ended, *, is_mine: bool) -> None:
    delivery, decision = ended.delivery, ended.decision
    if not is_mine:
        log.warning("delivery.lease-lost", delivery=delivery.id, destination=delivery.destination)
        return
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
