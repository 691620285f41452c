"""What one PatientChange (ADT, B.4) does: to the patient, the visit, and the orders that are still to be performed."""

from dataclasses import replace
from datetime import datetime

from broker.database import Transaction
from broker.orders import history, order_steps, order_store, patient_store, patients
from broker.orders.asked import returned
from broker.orders.history import HistoryEntry
from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge import Statement, same_visit
from broker.orders.model import (
    Applied,
    Applying,
    Did,
    Origins,
    PatientAction,
    PatientChange,
    Refusal,
    StoredOrder,
    VisitAction,
)
from broker.orders.order_patient import refreshed
from broker.orders.patients import REFERRING, Kept, StoredPatient, shown

_LIVE_ORDERS = "the patient has orders that are still to be performed: cancel them first"
_STILL_NAMED = "the patient's record stays, since orders or merges refer to it"
_OTHER_VISIT = "AdmissionID is not the known visit's: nothing was dropped"
_UNKNOWN = "the patient is not known: nothing was changed"


def apply_patient(tx: Transaction, change: PatientChange, here: Applying) -> Applied:
    """Do what an ADT event asks for. Raises Refusal before anything is written."""
    if change.patient_action is PatientAction.NOTHING and change.visit_action is VisitAction.NOTHING:
        return Applied(Did.NOTHING)
    identity = change.patient
    if not identity.patient_id:
        raise Refusal("AE", f"{change.location}^3", "101", "PatientID is missing")
    found = patient_store.find(tx, identity.patient_id, identity.issuer_of_patient_id)
    if found is None:
        return _unknown(tx, change, here)
    known = found.survivor
    if change.patient_action is PatientAction.DELETE:
        return _delete(tx, change, known)
    differing = patients.conflicts(identity, known.patient)
    if found.stated is not known and differing and not here.decided:
        raise returned(change.location, differing)
    late = patients.late_text(known, change.effective or change.sent, here.late)
    if late:
        return Applied(Did.LATE, warning=late)
    return _known(tx, change, here, known)


def _unknown(tx: Transaction, change: PatientChange, here: Applying) -> Applied:
    if change.patient_action in (PatientAction.DELETE, PatientAction.NOTHING):
        return Applied(Did.NOTHING, warning=_UNKNOWN)
    visit = {} if change.visit_action is VisitAction.DROP else dict(change.visit)
    new = patients.new_patient(change.patient, visit, change.origins, here.entry_id, _stamp(change))
    patient_store.add(tx, new, here.now)
    return Applied(Did.CREATED)


def _delete(tx: Transaction, change: PatientChange, known: StoredPatient) -> Applied:
    if any(not kept.canceled and order_steps.has_live(kept.order) for kept in order_store.of_patient(tx, known.id)):
        raise Refusal("AE", change.location, UNKNOWN_KEY, _LIVE_ORDERS)
    if patient_store.remove(tx, known.id):
        return Applied(Did.CHANGED)
    return Applied(Did.NOTHING, warning=_STILL_NAMED)


def _known(tx: Transaction, change: PatientChange, here: Applying, known: StoredPatient) -> Applied:
    said = Statement(change.origins, change.cleared, here.entry_id)
    drops = change.visit_action is VisitAction.DROP
    patient, visit = change.patient, {} if drops else change.visit
    if change.patient_action is PatientAction.NOTHING:
        patient = known.patient
    found = patients.with_statement(known, patient, visit, said, _stamp(change))
    if drops:
        found = _dropped(found, change, said)
    if found != known:
        patient_store.change(tx, found, here.now)
    own = _drop_own(tx, change, here, found)
    arrived = _arrive(tx, change, here, found) if change.visit_action is VisitAction.ARRIVE else ()
    orders = _once((*arrived, *own, *refreshed(tx, found, here, said.changed)))
    did = Did.CHANGED if said.changed or own else Did.STATUS if arrived else Did.NOTHING
    return Applied(did, orders, "; ".join(said.said))


def _stamp(change: PatientChange) -> datetime | None:
    return change.effective or change.sent


# --- the visit -------------------------------------------------------------------------------------------------------


def _dropped(known: StoredPatient, change: PatientChange, said: Statement) -> StoredPatient:
    """Return the patient without the visit that an event takes back (A11, A38)."""
    if not same_visit(known.visit, change.visit):
        said.say(_OTHER_VISIT)
        return known
    said.changed.extend(known.visit)
    return replace(known, visit={}, origins=patients.without(known.origins, known.visit))


def _drop_own(
    tx: Transaction, change: PatientChange, here: Applying, patient: StoredPatient
) -> tuple[StoredOrder, ...]:
    """Take off the live orders what they state themselves of a visit, or a value of it, that is taken back.

    Who refers is the order's own.
    """
    nulls = {keyword for number, keyword in change.cleared if not number}
    drops = change.visit_action is VisitAction.DROP
    dropped = []
    for kept in order_store.of_patient(tx, patient.id) if drops or nulls else ():
        own = kept.order.visit
        gone = (set(own) if drops else nulls & set(own)) - {REFERRING}
        if kept.canceled or not gone or not order_steps.has_live(kept.order) or not same_visit(own, change.visit):
            continue
        visit = {keyword: value for keyword, value in own.items() if keyword not in gone}
        origins = patients.without(kept.origins, gone)
        text = "taken back: " + ", ".join(sorted(gone))
        dropped.append(_keep(tx, kept, here, Did.CHANGED, text, visit=visit, origins=origins))
    return tuple(shown(kept, patient) for kept in dropped)


def _arrive(tx: Transaction, change: PatientChange, here: Applying, patient: StoredPatient) -> tuple[StoredOrder, ...]:
    """Let today's steps of the same visit arrive (A10)."""
    found = []
    for kept in order_store.of_patient(tx, patient.id):
        if kept.canceled or not same_visit(kept.order.visit, change.visit):
            continue
        arrived = order_steps.arrived(kept, change.today, here.entry_id)
        if arrived.step_ids:
            now = replace(kept, order=arrived.order, origins=arrived.origins)
            found.append(_keep(tx, now, here, Did.STATUS, f"ARRIVED {order_steps.text_of(arrived)}".strip()))
    return tuple(shown(kept, patient) for kept in found)


def _keep(
    tx: Transaction,
    kept: Kept,
    here: Applying,
    did: Did,
    text: str,
    *,
    visit: dict[str, str] | None = None,
    origins: Origins | None = None,
) -> Kept:
    order = kept.order if visit is None else replace(kept.order, visit=visit)
    origins = kept.origins if origins is None else origins
    history.add(tx, kept.id, HistoryEntry(here.now, here.entry_id, did, text))
    stands = replace(kept, order=order, origins=origins, updated=here.now, entry_id=here.entry_id)
    return order_store.change(tx, stands)


def _once(orders: tuple[StoredOrder, ...]) -> tuple[StoredOrder, ...]:
    """Return each order once, as it stands last: what was written goes before what was only read."""
    return tuple({stored.id: stored for stored in reversed(orders)}.values())
