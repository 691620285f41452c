"""From an image to the order it belongs to, and what images of an order may carry. Reads; `identity` decides."""

from collections.abc import Sequence

from broker.database import Transaction
from broker.exams import identity, store
from broker.exams.model import Expected
from broker.orders import order_store, patient_store
from broker.orders.model import StoredOrder
from broker.procedures import store as procedures
from broker.procedures.model import Rule, StoredStep
from broker.spool.model import SpooledInstance
from broker.worklist import store as worklist


def found(tx: Transaction, instance: SpooledInstance) -> tuple[int, tuple[str, ...]]:
    """Return the order of an image and the keywords in which it disagrees; (0, ()) where no order is meant.

    It is found by Study Instance UID, else by accession number. One statement where all agrees, as nearly always.
    """
    carried = store.items_carried(tx, instance.study_instance_uid, instance.accession_number)
    quick, keywords = identity.nearest(instance, carried)
    if quick is None or not keywords:
        return (quick.order_id if quick else 0), ()
    orders = [order_store.by_id(tx, order_id) for order_id in dict.fromkeys(one.order_id for one in carried)]
    stored = [order_store.with_patient(tx, kept) for kept in orders if kept is not None]
    nearest, keywords = identity.nearest(instance, [expected(tx, one) for one in stored])
    return (nearest.order_id, keywords) if nearest else (0, ())


def expected(
    tx: Transaction,
    stored: StoredOrder,
    performed: Sequence[StoredStep] | None = None,
) -> Expected:
    """Return what images of an order may carry.

    That is what it says now, what its items say (a started one keeps what the modality took), the identifiers that
    were merged into its patient, and the studies of performed steps that a person has linked to it.
    """
    order = stored.order
    steps = worklist.steps_of(tx, [order.study_instance_uid], [order.accession_number])
    own = [step for step in steps if step.order_id == stored.id]
    performed = procedures.of_order(tx, stored.id) if performed is None else performed
    former = patient_store.former(tx, stored.patient_row) if stored.patient_row else []
    patients = (order.patient.patient_id, *(step.patient_id for step in own), *(p.patient.patient_id for p in former))
    studies = (
        order.study_instance_uid,
        *(step.study_instance_uid for step in own),
        *linked(performed, stored.id, Rule.PERSON),
    )
    numbers = (order.accession_number, *(step.accession_number for step in own))
    return Expected(stored.id, *(frozenset(filter(None, values)) for values in (patients, numbers, studies)))


def linked(performed: Sequence[StoredStep], order_id: int, rule: Rule | None = None) -> tuple[str, ...]:
    """Return the Study Instance UIDs that performed steps name for an order, of one rule or of all."""
    return tuple(
        known.step.items[link.item].study_instance_uid
        for known in performed
        for link in known.links
        if link.order_id == order_id and rule in (None, link.rule) and link.item < len(known.step.items)
    )
