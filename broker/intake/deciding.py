"""What the intake decides, purely: how a message stands, whom a change is about, what is known since it was applied."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from broker.inbox.model import ACCEPTED, NO_ANSWER, EntryState, HeaderFacts, Outcome
from broker.orders.model import (
    Applied,
    Change,
    Did,
    MergeChange,
    OrderChange,
    Patient,
    PatientChange,
    Refusal,
    StoredOrder,
)
from broker.tripwires.model import Identifier, identifiers

_NUMBERS = frozenset(
    {"PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "AccessionNumber"}
)


def taken(applied: Sequence[Applied]) -> tuple[EntryState, Outcome]:
    """Decide how a message that was taken stands: late where nothing of it counted, warned where something is odd."""
    warnings = "; ".join(dict.fromkeys(one.warning for one in applied if one.warning))
    late = bool(applied) and all(one.did is Did.LATE for one in applied)
    outcome = replace(ACCEPTED, text=warnings) if warnings else ACCEPTED
    return (EntryState.LATE if late else EntryState.APPLIED), outcome


def refused(facts: HeaderFacts, refusal: Refusal) -> tuple[EntryState, Outcome]:
    """Decide what becomes of a message that changes nothing: an acknowledgement and noise get no answer (A.3)."""
    if not facts.readable:
        return EntryState.UNREADABLE, NO_ANSWER
    if facts.acknowledgement:
        return EntryState.IGNORED, NO_ANSWER
    state = EntryState.PERSON if refusal.for_person else EntryState.REFUSED
    return state, Outcome(refusal.answer, refusal.location, refusal.code, refusal.text)


def patients_of(change: Change) -> tuple[Patient, ...]:
    """Return whom a change is about; of a merge the surviving one first, then the one who is no more."""
    if isinstance(change, MergeChange) and change.old_patient_id:
        return (change.surviving, Patient(change.old_patient_id, change.old_issuer))
    return (_patient_of(change),)


def _patient_of(change: Change) -> Patient:
    return change.order.patient if isinstance(change, OrderChange) else _stated(change)


def _stated(change: PatientChange | MergeChange) -> Patient:
    return change.surviving if isinstance(change, MergeChange) else change.patient


def identifiers_of(stored: StoredOrder) -> tuple[Identifier, ...]:
    """Return by what an order is known."""
    patient = stored.order.patient
    return identifiers(
        patient=(patient.patient_id, patient.issuer_of_patient_id),
        accession=stored.order.accession_number,
        study=stored.order.study_instance_uid,
    )


def begun(changes: Iterable[Change], applied: Iterable[Applied]) -> Iterator[Identifier]:
    """Yield what is known here since these were applied."""
    for change in changes:
        patient = _patient_of(change)
        yield from identifiers(patient=(patient.patient_id, patient.issuer_of_patient_id))
    for one in applied:
        for stored in one.orders:
            yield from identifiers_of(stored)


def ordered_by(stored: StoredOrder) -> int:
    """Return the inbox entry of the message that ordered: its numbers come from it, whatever came later."""
    numbers = ((place, origin) for place, origin in stored.origins.items() if place[1] in _NUMBERS)
    return next((origin.entry_id for _, origin in numbers if origin.entry_id), stored.entry_id)
