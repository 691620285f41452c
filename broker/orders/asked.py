"""A change beside what is known of everything it names: read once, before anything is written. Decides nothing else."""

from dataclasses import dataclass, replace
from datetime import datetime

from broker.database import Transaction
from broker.orders import names, order_store, patient_store, patients
from broker.orders.lookup import UNKNOWN_KEY, meant
from broker.orders.merge import ORDERING, Statement
from broker.orders.model import Action, Applied, Applying, Did, OrderChange, Refusal, StoredOrder
from broker.orders.patients import Kept, StoredPatient

CREATING = ORDERING | {Action.CHANGE, Action.HOLD, Action.ARRIVE, Action.START, Action.COMPLETE}
"""What makes an order that is not known, where it states a whole one: messages come out of order (A.4)."""

_FORMER = "a former identifier of a merged patient came back with another {}: is it the same person?"


@dataclass(frozen=True, slots=True)
class Asked:
    """One change, its circumstances, and what is known."""

    tx: Transaction
    change: OrderChange
    here: Applying
    said: Statement
    whose: StoredPatient | None  # the stated patient, followed through merges
    known: Kept | None  # the order that it means
    named: names.Named | None  # the order as it would be created
    siblings: tuple[Kept, ...] = ()  # other orders of the same study

    @property
    def stated(self) -> datetime | None:
        """When patient and visit were stated."""
        return self.change.sent or self.change.effective

    @property
    def warning(self) -> str:
        """What there is to tell the sender."""
        return "; ".join(self.said.said)

    def applied(self, did: Did, *orders: StoredOrder) -> Applied:
        """Return the answer, with what there is to tell the sender."""
        return Applied(did, orders, self.warning)


def asked(tx: Transaction, change: OrderChange, here: Applying) -> Asked:
    """Return the change with what is known of what it names. Raises Refusal AE 204 where its keys contradict."""
    stated = change.order.patient
    named = names.completed(change.order, change.keys, here.environment) if change.action in CREATING else None
    keys = change.keys
    if named and not keys.study_instance_uid:
        keys = replace(keys, study_instance_uid=named.order.study_instance_uid)
    # Most new orders are of a new patient too: one statement tells. Other messages mean what is known.
    patient_is_known, order_is_known = order_store.exist(tx, stated, keys) if named else (True, True)
    whose, row = None, 0 if stated.patient_id else None
    found = None
    if stated.patient_id and patient_is_known:
        found = patient_store.find(tx, stated.patient_id, stated.issuer_of_patient_id)
    if found:
        whose, row = found.survivor, found.survivor.id
        if found.stated is not found.survivor and change.action in ORDERING:
            refuse_returned(found.survivor, change, here)
    sharing = order_store.sharing(tx, keys) if order_is_known else []
    known = None
    if sharing:
        order_id = meant(change, map(order_store.candidate, sharing), row)
        known = next((kept for kept in sharing if kept.id == order_id), None)
        if (
            known is None
            and named
            and not change.keys.study_instance_uid
            and any(_is_of(kept, keys.study_instance_uid) for kept in sharing)
        ):
            named = names.completed(change.order, change.keys, here.environment, issuers=True)
    said = Statement(change.origins, change.cleared, here.entry_id)
    study = named.order.study_instance_uid if named else change.keys.study_instance_uid
    siblings = tuple(kept for kept in sharing if kept is not known and _is_of(kept, study))
    return Asked(tx, change, here, said, whose, known, named, siblings)


def refuse_returned(survivor: StoredPatient, change: OrderChange, here: Applying) -> None:
    """Refuse a former identifier that comes with another birth date or sex than the surviving patient's."""
    differing = patients.conflicts(change.order.patient, survivor.patient)
    if differing and not here.decided:
        raise returned("PID^1", differing)


def returned(location: str, differing: tuple[str, ...]) -> Refusal:
    """Return the refusal of a former identifier that may be another person's."""
    return Refusal("AE", location, UNKNOWN_KEY, _FORMER.format(" and ".join(differing)), for_person=True)


def _is_of(kept: Kept, study_instance_uid: str) -> bool:
    return bool(study_instance_uid) and kept.order.study_instance_uid == study_instance_uid
