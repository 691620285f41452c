"""What a tripwire held, and is now found to be the other world's. Write under the label of who releases it."""

from sqlalchemy import delete

from broker.database import Transaction
from broker.delivery.model import DeliveryState
from broker.exams.store import DELIVERY


def drop_held(tx: Transaction, instance_id: str) -> int:
    """Owe an instance no longer to whom it was held back from; return how many destinations that were."""
    held = (DELIVERY.c.instance_id == instance_id, DELIVERY.c.state == DeliveryState.HELD.value)
    return tx.execute(delete(DELIVERY).where(*held)).rowcount
