"""ORM^O01: orders as versions up to 2.3.1 send them, with ZDS for the study (IHE RAD-4)."""

from broker.orders.messages.context import Context
from broker.orders.messages.orders_of import order_changes
from broker.orders.model import OrderChange
from hl7.message import Message


def translate(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, in wire order. Raises Refusal for the whole message."""
    return order_changes(message, context)
