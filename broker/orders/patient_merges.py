"""What one MergeChange (A40 and kin, B.4) does: the old identifier becomes one of the surviving patient's for ever."""

from dataclasses import replace

from broker.database import Transaction
from broker.orders import history, merge_store, order_store, patient_store, patients
from broker.orders.history import HistoryEntry
from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge import ADMISSION, Statement
from broker.orders.model import (
    Applied,
    Applying,
    Did,
    MergeChange,
    MergeKind,
    Origin,
    Patient,
    Refusal,
)
from broker.orders.order_patient import refreshed
from broker.orders.patient_store import Identified
from broker.orders.patients import Kept, StoredPatient, shown

_MISSING = "PatientID is missing"
_ITSELF = "a patient cannot be merged into itself"
_CIRCLE = "the surviving patient was merged into the old one: the merge would be a circle"
_ELSEWHERE = "the old identifier was merged into another patient already"
_TWO_PEOPLE = "{} of the two patients contradict: are they the same person?"
_NO_VISIT = "no order of the old visit is known: nothing was changed"


def apply_merge(tx: Transaction, change: MergeChange, here: Applying) -> Applied:
    """Do what a merge asks for. Raises Refusal before anything is written."""
    surviving = change.surviving
    if not surviving.patient_id:
        raise Refusal("AE", "PID^1^3", "101", _MISSING)
    if not change.old_patient_id:
        raise Refusal("AE", f"{change.location}^1", "101", _MISSING)
    old = patient_store.find(tx, change.old_patient_id, change.old_issuer)
    survivor = patient_store.find(tx, surviving.patient_id, surviving.issuer_of_patient_id)
    if change.kind is MergeKind.VISIT:
        return _visit(tx, change, here, old, survivor)
    if (change.old_patient_id, change.old_issuer) == (surviving.patient_id, surviving.issuer_of_patient_id):
        raise Refusal("AE", change.location, "205", _ITSELF)
    if old and survivor and old.survivor.id == survivor.survivor.id:
        return _same(tx, change, here, old, survivor)
    if old:
        _refuse_doubtful(change, here, old, survivor)
    return _merge(tx, change, here, old.survivor if old else None, survivor.survivor if survivor else None)


def _same(tx: Transaction, change: MergeChange, here: Applying, old: Identified, survivor: Identified) -> Applied:
    """The two are one patient already: a repeated merge, or one that would turn an earlier one round."""
    if old.stated.id in (patient.id for patient in patient_store.chain(tx, survivor.stated)):
        raise Refusal("AE", change.location, "205", _CIRCLE)
    after, said = _stated(change, here, survivor.survivor)
    if after == survivor.survivor:
        return Applied(Did.NOTHING)
    after = patient_store.change(tx, after, here.now)
    return Applied(Did.CHANGED, refreshed(tx, after, here, said.changed), "; ".join(said.said))


def _refuse_doubtful(change: MergeChange, here: Applying, old: Identified, survivor: Identified | None) -> None:
    """Refuse what a person has to look at: two people's data, an identifier that belongs elsewhere already."""
    if here.decided:
        return
    if old.stated is not old.survivor:
        raise Refusal("AE", change.location, UNKNOWN_KEY, _ELSEWHERE, for_person=True)
    others = [change.surviving, *([survivor.survivor.patient] if survivor else [])]
    found = {keyword: None for other in others for keyword in patients.conflicts(old.survivor.patient, other)}
    if found and not (change.kind is MergeKind.IDENTIFIER and survivor is None):
        raise Refusal("AE", change.location, UNKNOWN_KEY, _TWO_PEOPLE.format(" and ".join(found)), for_person=True)


def _merge(
    tx: Transaction, change: MergeChange, here: Applying, old: StoredPatient | None, survivor: StoredPatient | None
) -> Applied:
    known = survivor or patient_store.add(tx, StoredPatient(0, _identity(change.surviving)), here.now)
    old = old or patient_store.add(tx, StoredPatient(0, _old_identity(change)), here.now)
    stated, said = _stated(change, here, known)
    after = patient_store.change(tx, _with_gaps_filled(stated, old), here.now)
    gone = patient_store.change(tx, replace(old, merged_into=after.id), here.now)
    own = order_store.of_patient(tx, after.id)
    moved = [replace(kept, patient_row=after.id) for kept in order_store.of_patient(tx, old.id)]
    order_store.move(tx, [kept.id for kept in moved], after.id)
    merge_store.add(
        tx,
        merge_store.Record(
            change.kind, here.now, here.entry_id, old, gone, known, after, tuple(kept.id for kept in moved), {}
        ),
    )
    _tell(tx, here, moved, "the patient was merged")
    changed = said.changed or (after.patient, after.visit) != (known.patient, known.visit)
    others = [shown(kept, after) for kept in own if not kept.canceled] if changed else []
    return Applied(Did.MOVED, (*(shown(kept, after) for kept in moved), *others), "; ".join(said.said))


def _stated(change: MergeChange, here: Applying, known: StoredPatient) -> tuple[StoredPatient, Statement]:
    """Return the survivor with the demographics of the merge's PID, unless newer ones are known."""
    said = Statement(change.origins, change.cleared, here.entry_id)
    stamp = change.effective or change.sent
    late = patients.late_text(known, stamp, here.late)
    if late:
        said.say(late)
        return known, said
    origins = dict(known.origins)
    for keyword in ("PatientID", "IssuerOfPatientID"):
        origin = change.origins.get((0, keyword))
        if origin and ("", keyword) not in origins:
            origins["", keyword] = Origin(origin.source, origin.rule, here.entry_id)
    visit = change.visit if change.kind is not MergeKind.VISIT else {}
    return patients.with_statement(replace(known, origins=origins), change.surviving, visit, said, stamp), said


def _with_gaps_filled(survivor: StoredPatient, old: StoredPatient) -> StoredPatient:
    """Return the survivor with what only the old record knows: allergies are not lost by a merge."""
    one, other = survivor.patient, old.patient
    patient = replace(
        one,
        patient_name=one.patient_name or other.patient_name,
        patient_birth_date=one.patient_birth_date or other.patient_birth_date,
        patient_sex=one.patient_sex or other.patient_sex,
        attributes=other.attributes | one.attributes,
    )
    identity = {"PatientID", "IssuerOfPatientID"}
    known = {place: origin for place, origin in old.origins.items() if place[1] not in identity}
    visit = survivor.visit or old.visit
    return replace(survivor, patient=patient, visit=visit, origins=known | dict(survivor.origins))


def _identity(patient: Patient) -> Patient:
    return Patient(patient.patient_id, patient.issuer_of_patient_id)


def _old_identity(change: MergeChange) -> Patient:
    return Patient(change.old_patient_id, change.old_issuer)


# --- visits ----------------------------------------------------------------------------------------------------------


def _visit(
    tx: Transaction, change: MergeChange, here: Applying, old: Identified | None, survivor: Identified | None
) -> Applied:
    """Give the old visit's orders the surviving visit's AdmissionID, and its patient where that is another."""
    new = change.visit.get(ADMISSION, "")
    orders = order_store.of_patient(tx, old.survivor.id) if old and new and change.old_admission_id else []
    known = old.survivor if old else None
    of_visit = [kept for kept in orders if _admission(kept, known) == change.old_admission_id]
    if known is None or not of_visit:
        return Applied(Did.NOTHING, warning=_NO_VISIT)
    target = survivor.survivor if survivor else None
    target = target or patient_store.add(tx, StoredPatient(0, change.surviving), here.now)
    before = {kept.id: kept.order.visit.get(ADMISSION, "") for kept in of_visit}
    moved = [_readmitted(tx, kept, target.id, change, here) for kept in of_visit]
    after, gone = _visit_moved(tx, known, target, change, here)
    merge_store.add(
        tx,
        merge_store.Record(change.kind, here.now, here.entry_id, known, gone, target, after, tuple(before), before),
    )
    _tell(tx, here, moved, "the visit was merged: AdmissionID")
    return Applied(Did.MOVED, tuple(shown(kept, after) for kept in moved))


def _visit_moved(
    tx: Transaction, old: StoredPatient, target: StoredPatient, change: MergeChange, here: Applying
) -> tuple[StoredPatient, StoredPatient]:
    """Return survivor and old patient after the known visit of either has got its new AdmissionID."""
    if old.visit.get(ADMISSION) == change.old_admission_id and old.id == target.id:
        target = patient_store.change(tx, replace(target, visit={**old.visit, **change.visit}), here.now)
        return target, target
    if old.visit.get(ADMISSION) == change.old_admission_id:
        old = patient_store.change(tx, replace(old, visit={}), here.now)
    return target, old


def _admission(kept: Kept, known: StoredPatient | None) -> str:
    return kept.order.visit.get(ADMISSION) or (known.visit.get(ADMISSION, "") if known else "")


def _readmitted(tx: Transaction, kept: Kept, row_id: int, change: MergeChange, here: Applying) -> Kept:
    origin = change.origins.get((0, ADMISSION), Origin(change.location))
    order = replace(kept.order, visit={**kept.order.visit, ADMISSION: change.visit[ADMISSION]})
    origins = {**kept.origins, ("", ADMISSION): Origin(origin.source, origin.rule, here.entry_id)}
    now = replace(kept, order=order, origins=origins, patient_row=row_id, updated=here.now, entry_id=here.entry_id)
    return order_store.change(tx, now)


def _tell(tx: Transaction, here: Applying, moved: list[Kept], text: str) -> None:
    for kept in moved:
        history.add(tx, kept.id, HistoryEntry(here.now, here.entry_id, Did.MOVED, text))
