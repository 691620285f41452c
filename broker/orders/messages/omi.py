"""OMI^O23: imaging orders of 2.5 and later; each IPC is a Scheduled Procedure Step."""

from broker.orders.messages.context import Context
from broker.orders.messages.orders_of import order_changes
from broker.orders.model import OrderChange
from hl7.message import Message


def translate(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, in wire order. Raises Refusal for the whole message."""
    return order_changes(message, context)
