"""Which stored order a message means. Pure: the store gives the candidates that share a key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from broker.orders.model import OrderChange, OrderControl, OrderKeys, Refusal

UNKNOWN_KEY = "204"  # table 0357

# The keys in the order in which they are trusted, with their names for people.
KEYS = {
    "study_instance_uid": "StudyInstanceUID",
    "filler_order_number": "FillerOrderNumber",
    "placer_order_number": "PlacerOrderNumber",
    "accession_number": "AccessionNumber",
}
_ISSUERS = {"filler_order_number": "filler_issuer", "placer_order_number": "placer_issuer"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored order as far as it can be told from others."""

    id: int
    keys: OrderKeys
    patient_id: str
    issuer_of_patient_id: str


def meant(change: OrderChange, candidates: Iterable[Candidate]) -> int | None:
    """Return the id of the order that every key of the change names, or None where none is known.

    Raises Refusal AE 204 where keys name different orders, several, or another patient's.
    """
    known = tuple(candidates)
    named = {key: _named(change, key, known) for key in KEYS if getattr(change.keys, key)}
    found = {key: orders for key, orders in named.items() if orders}
    if not found:
        return None
    common = [c for c in known if all(c in orders for orders in found.values())]
    if len(common) != 1:
        raise _refused(change, f"{_names(found)} name {'several orders' if common else 'different orders'}")
    only = common[0]
    if _differs(change.keys.study_instance_uid, only.keys.study_instance_uid):
        raise _refused(change, f"StudyInstanceUID and {_names(found)} name different orders")
    if _is_other_patient(change, only, found):
        raise _refused(change, f"PatientID and {_names(found)} name different patients")
    return only.id


def _named(change: OrderChange, key: str, known: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that share a key; one order may have several procedures, told apart by their ID."""
    sharing = [candidate for candidate in known if _shares(key, change.keys, candidate.keys)]
    procedure = change.keys.requested_procedure_id
    exact = [candidate for candidate in sharing if candidate.keys.requested_procedure_id == procedure]
    if exact or (procedure and change.control is OrderControl.NEW):
        return exact
    return sharing


def _shares(key: str, stated: OrderKeys, stored: OrderKeys) -> bool:
    issuer = _ISSUERS.get(key)
    same_issuer = issuer is None or not _differs(getattr(stated, issuer), getattr(stored, issuer))
    return same_issuer and getattr(stated, key) == getattr(stored, key)


def _is_other_patient(change: OrderChange, candidate: Candidate, found: Mapping[str, object]) -> bool:
    """Tell whether the message is about another patient than the order.

    A procedure update with the order's Study Instance UID goes by that alone, whatever its PID says (IHE RAD-13).
    """
    if change.order is None or (change.control is OrderControl.CHANGE and "study_instance_uid" in found):
        return False
    patient = change.order.patient
    return _differs(patient.patient_id, candidate.patient_id) or _differs(
        patient.issuer_of_patient_id, candidate.issuer_of_patient_id
    )


def _differs(stated: str, stored: str) -> bool:
    return bool(stated and stored) and stated != stored


def _names(found: Iterable[str]) -> str:
    return " and ".join(KEYS[key] for key in found)


def _refused(change: OrderChange, text: str) -> Refusal:
    return Refusal("AE", change.location, UNKNOWN_KEY, text)
