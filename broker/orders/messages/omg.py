"""OMG^O19: general clinical orders of 2.4 and later, scheduled by TQ1, often with a ZDS for the study."""

from broker.orders.messages.context import Context
from broker.orders.messages.orders_of import order_changes
from broker.orders.model import OrderChange
from hl7.message import Message


def translate(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, in wire order. Raises Refusal for the whole message."""
    return order_changes(message, context)
