"""Which stored order a message means. Pure: the store gives the candidates that share a key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from broker.orders.model import Action, OrderChange, OrderKeys, Refusal

UNKNOWN_KEY = "204"  # table 0357

# The keys in the order in which they are trusted, with their names for people.
KEYS = {
    "study_instance_uid": "StudyInstanceUID",
    "filler_order_number": "FillerOrderNumber",
    "placer_order_number": "PlacerOrderNumber",
    "accession_number": "AccessionNumber",
}
_ISSUERS = {"filler_order_number": "filler_issuer", "placer_order_number": "placer_issuer"}
# A number that several orders may share tells nothing where one of these differs.
_STRONGER = {
    "placer_order_number": ("filler_order_number",),
    "accession_number": ("filler_order_number", "placer_order_number"),
}
_ORDERING = frozenset({Action.NEW, Action.CHILD, Action.PARENT})
_STUDY = "study_instance_uid"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored order as far as it can be told from others. `patient_row` 0: a cancel that came before its order."""

    id: int
    keys: OrderKeys
    patient_row: int
    canceled: bool = False
    generation: int = 0
    procedure_made_here: bool = False


def meant(change: OrderChange, candidates: Iterable[Candidate], patient_row: int | None) -> int | None:
    """Return the id of the order that every key of the change names, or None where none is known.

    `patient_row` is the stated patient's, followed through merges; None where none is stated, 0 where unknown.
    Raises Refusal AE 204 where keys name different orders, several, or another patient's.
    """
    known = tuple(candidates)
    if not known:
        return None
    sharing = {
        key: [c for c in known if _shares(key, change.keys, c.keys)] for key in KEYS if getattr(change.keys, key)
    }
    found: dict[str, list[Candidate]] = {}
    for key, orders in sharing.items():
        # Beside a stronger key that names an order, one that names another contradicts it.
        same = orders if found else [c for c in orders if not _is_stranger(change, c.keys, key)]
        if named := _named(change, same):
            found[key] = named
    if not found:
        _refuse_other_patient(change, sharing, patient_row)
        return None
    common = [c for c in known if all(c in orders for orders in found.values())]
    if len(common) != 1:
        raise _refused(change, f"{_names(found)} name {'several orders' if common else 'different orders'}")
    only = common[0]
    if _differs(change.keys.study_instance_uid, only.keys.study_instance_uid) and not only.canceled:
        raise _refused(change, f"StudyInstanceUID and {_names(found)} name different orders")
    if only.patient_row and _is_other_patient(change, only.patient_row, patient_row, by_study=_STUDY in found):
        raise _refused(change, f"PatientID and {_names(found)} name different patients")
    return only.id


def _named(change: OrderChange, same: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that a key means: of the same procedure, and live before canceled."""
    procedure = change.keys.requested_procedure_id
    exact = [c for c in same if c.keys.requested_procedure_id in ("", procedure) or c.procedure_made_here]
    if exact or (procedure and change.action in _ORDERING):
        same = exact if procedure else same
    return _current(change, same)


def _current(change: OrderChange, named: Sequence[Candidate]) -> list[Candidate]:
    """Return the stated study's order, else the live ones, else of each procedure the canceled one of last."""
    study = change.keys.study_instance_uid
    stated = [c for c in named if study and c.keys.study_instance_uid == study]
    if stated:
        return stated
    live = [c for c in named if not c.canceled]
    if live:
        return live
    last = {c.keys.requested_procedure_id: c for c in sorted(named, key=lambda c: (c.generation, c.id))}
    return list(last.values())


def _is_stranger(change: OrderChange, stored: OrderKeys, key: str) -> bool:
    """Tell whether a candidate shares the key and yet has another number by which orders are told apart."""
    stated = change.keys
    if stated.study_instance_uid and stated.study_instance_uid == stored.study_instance_uid:
        return change.action in _ORDERING and _is_sibling(stated, stored)
    return any(_has_another(name, stated, stored) for name in _STRONGER.get(key, ()))


def _is_sibling(stated: OrderKeys, stored: OrderKeys) -> bool:
    """Tell whether a new order shares but the study: several orders of one study are sent so (B.1)."""
    told_apart = _has_another("filler_order_number", stated, stored)
    return told_apart and not stated.requested_procedure_id and stated.accession_number != stored.accession_number


def _has_another(number: str, stated: OrderKeys, stored: OrderKeys) -> bool:
    """Tell whether a number differs, as far as numbers of these issuers can be compared."""
    issuer = _ISSUERS[number]
    same_issuer = not _differs(getattr(stated, issuer), getattr(stored, issuer))
    return same_issuer and _differs(getattr(stated, number), getattr(stored, number))


def _shares(key: str, stated: OrderKeys, stored: OrderKeys) -> bool:
    issuer = _ISSUERS.get(key)
    same_issuer = issuer is None or not _differs(getattr(stated, issuer), getattr(stored, issuer))
    return same_issuer and getattr(stated, key) == getattr(stored, key)


def _refuse_other_patient(change: OrderChange, sharing: dict[str, list[Candidate]], patient_row: int | None) -> None:
    """Refuse a new order under a study or a number of another patient's order."""
    for key, orders in sharing.items():
        for candidate in orders:
            by_other = patient_row is not None and candidate.patient_row not in (0, patient_row)
            if by_other and (not candidate.canceled or key == _STUDY):
                raise _refused(change, f"PatientID and {KEYS[key]} name different patients")


def _is_other_patient(change: OrderChange, stored: int, stated: int | None, *, by_study: bool) -> bool:
    """Tell whether the message is about another patient than the order.

    An update with the order's Study Instance UID goes by that alone, whatever its PID says (IHE RAD-13).
    """
    if stated is None or (by_study and change.action not in _ORDERING):
        return False
    return stated != stored


def _differs(stated: str, stored: str) -> bool:
    return bool(stated and stored) and stated != stored


def _names(found: Iterable[str]) -> str:
    return " and ".join(KEYS[key] for key in found)


def _refused(change: OrderChange, text: str) -> Refusal:
    return Refusal("AE", change.location, UNKNOWN_KEY, text)
