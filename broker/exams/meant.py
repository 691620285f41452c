"""The order that an image surely belongs to, for whoever would alter it by that order. Reads; alters nothing.

Stricter than `checking`, which only flags: to correct by the wrong order would move an image to another patient. A
person's link counts before all; a Study Instance UID counts, since only our worklist can have brought it about; an
accession number counts only where the patient agrees too; and neither where the other names another order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from broker.database import Transaction
from broker.delivery.correction.model import Doubt, Meant
from broker.exams import checking, store
from broker.exams.model import Expected
from broker.orders import order_store, patient_store
from broker.orders.model import StoredOrder
from broker.orders.patients import StoredPatient
from broker.procedures import store as procedures
from broker.procedures.linking import INCORRECT_WORKLIST_ENTRY
from broker.procedures.model import Rule, StoredStep
from broker.procedures.unlinked import store as unlinked
from broker.spool.model import SpooledInstance

_ISSUER = "IssuerOfPatientID"


@dataclass(frozen=True, slots=True)
class _Performed:
    """What was performed of an order, and what is known not to have been, with the reason."""

    steps: Sequence[StoredStep] = ()
    disavowed: Sequence[tuple[Doubt, StoredStep]] = ()


_NOTHING = _Performed()


def orders_of(tx: Transaction, instances: Sequence[SpooledInstance]) -> dict[str, Meant]:
    """Return the order of each image by its id, and what makes that unsure. Images of one exam are asked for once."""
    found: dict[str, Meant] = {}
    known: dict[tuple[str, ...], tuple[Meant, _Performed]] = {}
    for instance in instances:
        key = (
            instance.study_instance_uid,
            instance.accession_number,
            instance.patient_id,
            instance.attributes.get(_ISSUER, ""),
        )
        if key not in known:
            known[key] = _meant(tx, instance)
        meant, performed = known[key]
        doubt = None if meant.by_person else _doubt_of(instance, performed)
        found[instance.id] = replace(meant, doubt=doubt) if doubt else meant
    return found


def _meant(tx: Transaction, instance: SpooledInstance) -> tuple[Meant, _Performed]:
    study, number = instance.study_instance_uid, instance.accession_number
    linked = _linked_by_person(procedures.of_study(tx, study), study) if study else frozenset()
    by_study = linked or _ids(store.items_carried(tx, study, "") if study else ())
    by_number = _ids(store.items_carried(tx, "", number) if number else ())
    candidates = by_study or by_number
    if len(candidates) > 1 or (by_study and by_number and not linked):
        candidates &= by_number  # of several orders of one study the accession number tells
        if len(candidates) != 1:
            return Meant(doubt=Doubt.SEVERAL), _NOTHING
    stored = _stored(tx, next(iter(candidates), 0))
    if stored is None:
        return Meant(), _NOTHING
    performed = procedures.of_order(tx, stored.id)
    is_patient = bool(linked) or _is_patient(
        tx, instance, stored, checking.expected(tx, stored, performed), may_be_silent=bool(by_study)
    )
    doubt = Doubt.CANCELED if stored.canceled else None if is_patient else Doubt.OTHER_PATIENT
    return Meant(stored, doubt, by_study=bool(by_study), by_person=bool(linked)), _Performed(
        performed, _disavowed(tx, stored.id, performed)
    )


def _is_patient(
    tx: Transaction, instance: SpooledInstance, stored: StoredOrder, expected: Expected, *, may_be_silent: bool
) -> bool:
    """Tell whether it names the order's patient, by an identifier of now or before, of no other authority."""
    if not instance.patient_id:
        return may_be_silent
    if instance.patient_id not in expected.patient_ids:
        return False
    issuer = instance.attributes.get(_ISSUER, "")
    known = [stored.order.patient, *(one.patient for one in _former(tx, stored))]
    issuers = {one.issuer_of_patient_id for one in known if one.patient_id == instance.patient_id} - {""}
    return not issuer or not issuers or issuer in issuers


def _former(tx: Transaction, stored: StoredOrder) -> Sequence[StoredPatient]:
    return patient_store.former(tx, stored.patient_row) if stored.patient_row else ()


def _disavowed(tx: Transaction, order_id: int, performed: Sequence[StoredStep]) -> list[tuple[Doubt, StoredStep]]:
    """Return the performed steps that are known not to be of their order, and why."""
    taken_back = {one.sop_instance_uid for one in unlinked.of_order(tx, order_id)}
    taken_back -= {known.step.sop_instance_uid for known in performed}
    steps = [found for uid in sorted(taken_back) if (found := procedures.find(tx, uid)) is not None]
    wrong = [known for known in performed if _is_wrong_entry(known)]
    return [*((Doubt.WRONG_ENTRY, known) for known in wrong), *((Doubt.UNLINKED, known) for known in steps)]


def _is_wrong_entry(known: StoredStep) -> bool:
    reason = known.step.discontinuation_reason  # PS3.16 CID 9300
    return reason is not None and reason.value == INCORRECT_WORKLIST_ENTRY


def _doubt_of(instance: SpooledInstance, performed: _Performed) -> Doubt | None:
    """Return why an image is not of the order that its identifiers name; what lists nothing may have made it."""
    uid = instance.facts.sop_instance_uid
    wrong = {known.id for _, known in performed.disavowed}
    if any(uid in _listed(known) for known in performed.steps if known.id not in wrong):
        return None
    doubts = (doubt for doubt, known in performed.disavowed if uid in _listed(known) or not known.step.images)
    return next(doubts, None)


def _listed(known: StoredStep) -> frozenset[str]:
    return frozenset(one.sop_instance_uid for series in known.step.series for one in series.instances)


def _linked_by_person(steps: Iterable[StoredStep], study_instance_uid: str) -> frozenset[int]:
    return frozenset(
        link.order_id
        for known in steps
        for link in known.links
        if link.rule is Rule.PERSON
        and link.item < len(known.step.items)
        and known.step.items[link.item].study_instance_uid == study_instance_uid
    )


def _ids(carried: Iterable[Expected]) -> frozenset[int]:
    return frozenset(one.order_id for one in carried)


def _stored(tx: Transaction, order_id: int) -> StoredOrder | None:
    kept = order_store.by_id(tx, order_id) if order_id else None
    return None if kept is None else order_store.with_patient(tx, kept)
