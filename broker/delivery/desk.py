"""What batches are sent with: built once by the composition root, the same for every destination. Decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo

from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import store
from broker.delivery.correction.model import OrdersOf, no_orders
from broker.delivery.escalation import OnEvent
from broker.delivery.model import Delivery
from broker.identifiers import AETitle
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

Settle = Callable[[Transaction, Delivery, SpooledInstance], bool]
"""Takes note, in the transaction of the outcome, that a destination has an instance; tells whether its file may go."""


def settled(tx: Transaction, delivery: Delivery, _instance: SpooledInstance) -> bool:
    """Let the file go once every destination has the instance, without a proof."""
    return store.settled(tx, delivery.instance_id)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where deliveries are recorded, what lies in the spool, and whom to ask and to tell.

    `orders_of` finds the orders by which a destination's rule corrects. `node` names the process whose leases these
    are, where several share a database.
    """

    database: Database
    spool: FileSpool
    own_title: AETitle
    clock: Clock
    jitter: Callable[[], float]
    on_event: OnEvent
    settle: Settle = settled
    zone: tzinfo = UTC  # of the site, for the hours of a destination
    orders_of: OrdersOf = no_orders
    node: str = ""
