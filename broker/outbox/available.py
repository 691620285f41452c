"""When images of an order count as available, and to whom that is told. Finds neither studies nor orders itself."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from broker.database import Transaction
from broker.environments.model import OrderEvent, Receiver
from broker.orders.model import StoredOrder
from broker.outbox import store, studies
from broker.outbox.studies import AwaitedStudy

BATCH = 10
"""Studies at once: building a message takes some 12 ms, while nothing else is written."""

_ASK_AGAIN = timedelta(hours=1)
_GIVE_UP = timedelta(days=7)

Find = Callable[[Transaction, str], Iterable[StoredOrder]]
"""Takes a Study Instance UID, returns the orders that it may name."""


def wanting(receivers: Iterable[Receiver]) -> tuple[Receiver, ...]:
    """Return the receivers that are told when images are available."""
    return tuple(receiver for receiver in receivers if OrderEvent.IMAGES_AVAILABLE in receiver.events)


def quiet_since(receiver: Receiver, now: datetime) -> datetime:
    """Return since when a study must have got no further instance."""
    return now - timedelta(seconds=receiver.quiet_seconds)


def orders_to_tell(study_instance_uid: str, found: Iterable[StoredOrder]) -> list[StoredOrder]:
    """Return the orders of this study. A canceled one is left alone: A would reopen it."""
    return [o for o in found if o.order.study_instance_uid == study_instance_uid and not o.canceled]


def ask_again(study: AwaitedStudy, now: datetime) -> datetime | None:
    """Return when a study without an order is looked at again; None when no order has come for a week."""
    return now + _ASK_AGAIN if now - study.newest < _GIVE_UP else None


def put_forward(tx: Transaction, now: datetime) -> None:
    """Await no study for longer than we ever wait: the clock was set back."""
    studies.put_forward(tx, now + _ASK_AGAIN, now)


def tell(tx: Transaction, receiver: Receiver, settled: Sequence[AwaitedStudy], find: Find, now: datetime) -> int:
    """Owe the receiver a message for each order of settled studies; return how many were owed.

    An order is told of once: images that come later change nothing for the receiver.
    """
    count = 0
    for study in settled:
        orders = orders_to_tell(study.study_instance_uid, find(tx, study.study_instance_uid))
        later = None if orders else ask_again(study, now)
        if later:
            studies.ask_later(tx, study, later)
        else:
            studies.forget_study(tx, study)
        for order in orders:
            count += store.owe(tx, (receiver,), order, OrderEvent.IMAGES_AVAILABLE, (), now)
    return count
