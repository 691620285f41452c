"""The scheduled steps that a performed one may belong to, each with its patient as the performed one names it.

Reads; which of them it belongs to, `linking` decides.
"""

from dataclasses import replace

from broker.database import Transaction
from broker.orders import order_store, patient_store
from broker.procedures.model import PerformedStep
from broker.worklist import store as worklist
from broker.worklist.model import PlannedStep


def of(tx: Transaction, step: PerformedStep) -> list[PlannedStep]:
    """Return every scheduled step of the studies and accession numbers that a performed step states.

    A console that read its worklist before two patients were merged names the former identifier: whose identifiers,
    now or before, include the stated one, is nobody else (B.4).
    """
    items, stated = step.items, step.patient.patient_id
    found = worklist.steps_of(
        tx, [item.study_instance_uid for item in items], [item.accession_number for item in items]
    )
    others = {one.order_id for one in found if stated and one.patient_id not in ("", stated)}
    same = {order_id for order_id in others if stated in _identifiers(tx, order_id)}
    return [replace(one, patient_id=stated) if one.order_id in same else one for one in found]


def _identifiers(tx: Transaction, order_id: int) -> frozenset[str]:
    """Return every PatientID of an order's patient; a started item may still have a former one, the order has not."""
    kept = order_store.by_id(tx, order_id)
    if kept is None or not kept.patient_row:
        return frozenset()
    patients = (patient_store.by_row(tx, kept.patient_row), *patient_store.former(tx, kept.patient_row))
    return frozenset(one.patient.patient_id for one in patients)
