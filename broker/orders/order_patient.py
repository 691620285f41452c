"""The patient and visit that an order brings, and which further orders then look different."""

from dataclasses import replace

from broker.database import Transaction
from broker.orders import history, order_steps, order_store, patient_store, patients
from broker.orders.asked import Asked
from broker.orders.history import HistoryEntry
from broker.orders.merge import ORDERING
from broker.orders.model import Applying, Did, StoredOrder
from broker.orders.patients import REFERRING, StoredPatient, shown


def kept_patient(ask: Asked) -> tuple[StoredPatient, tuple[StoredOrder, ...]]:
    """Keep the patient and return it, with further orders that now look different.

    Only an order creates and refreshes demographics and visit; other messages add an unknown patient alone (RAD-13).
    """
    order, tx, here = ask.change.order, ask.tx, ask.here
    # Who refers belongs to the order (PS3.4 table K.6-1): it is no other order's business.
    visit = {keyword: value for keyword, value in order.visit.items() if keyword != REFERRING}
    if ask.whose is None and ask.known is not None and not order.patient.patient_id:
        return patient_store.by_row(tx, ask.known.patient_row), ()  # nobody is stated: the order's own patient stays
    if ask.whose is None:
        new = patients.new_patient(order.patient, visit, ask.change.origins, here.entry_id, ask.stated)
        return patient_store.add(tx, new, here.now), ()
    known = ask.whose
    if ask.change.action not in ORDERING:
        return known, ()
    late = patients.late_text(known, ask.stated, here.late)
    if late:
        ask.said.say(late)
        return known, ()
    said = replace(ask.said, changed=[], said=[], cleared=ask.said.cleared - {(0, REFERRING)})
    found = patients.with_statement(known, order.patient, visit, said, ask.stated)
    if found == known:
        return known, ()
    found = patient_store.change(tx, found, here.now)
    return found, refreshed(tx, found, here, said.changed, but=ask.known.id if ask.known else 0)


def refreshed(
    tx: Transaction, patient: StoredPatient, here: Applying, changed: list[str], but: int = 0
) -> tuple[StoredOrder, ...]:
    """Return a patient's orders that are still to be performed, since their patient or visit changed."""
    if not changed:
        return ()
    text = "patient: " + ", ".join(dict.fromkeys(changed))
    found = [
        kept
        for kept in order_store.of_patient(tx, patient.id)
        if kept.id != but and not kept.canceled and order_steps.has_live(kept.order)
    ]
    for kept in found:
        history.add(tx, kept.id, HistoryEntry(here.now, here.entry_id, Did.CHANGED, text))
    return tuple(shown(kept, patient) for kept in found)
