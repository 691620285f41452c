"""Which tripwire an order, an image or a performed step trips. Pure: what is known of it in, the row's name out.

Accession numbers of two systems may be equal by chance, and a cloned RIS has the other's patients: neither alone sends
anything to the other world, and neither alone stops an order.
"""

from collections.abc import Iterable

from broker.environments.worlds import ListedPatient
from broker.tripwires.model import Kind, Seen

_CHANCE = frozenset({Kind.PATIENT, Kind.ACCESSION})
BEGUN = frozenset({Kind.STUDY, Kind.STEP, Kind.INSTANCE})
"""What is unique in the world: who has it first has begun it."""


def order(seen: Seen) -> str:
    """Return the tripwire of an order, or nothing."""
    if Kind.STUDY in seen.foreign:
        return "order-of-other"
    if Kind.ACCESSION in seen.foreign and Kind.PATIENT in seen.other and Kind.STUDY not in seen.own:
        return "order-of-other"
    if Kind.STUDY in seen.shared or seen.shared >= _CHANCE:
        return "order-of-both"
    return "patient-of-other" if seen.other & _CHANCE else ""


def image(seen: Seen, *, handed_over: bool) -> str:
    """Return the tripwire of an image, or nothing; `handed_over`: by the other world."""
    if seen.other & BEGUN:
        if seen.own & BEGUN:
            return "image-of-both"
        return "handed-back" if handed_over else "image-of-other"
    return "image-by-patient" if seen.foreign & _CHANCE and Kind.STUDY not in seen.own else ""


def step(seen: Seen, *, handed_over: bool) -> str:
    """Return the tripwire of a performed step, or nothing."""
    if seen.other & BEGUN:
        is_ours = bool(seen.own & BEGUN) or handed_over
        return "step-of-both" if is_ours else "step-of-other"
    return "step-by-patient" if seen.foreign & _CHANCE and Kind.STUDY not in seen.own else ""


def is_test_patient(listed: Iterable[ListedPatient], patient_id: str, issuer: str, *, states_issuer: bool) -> bool:
    """Tell whether an identifier is listed; where a device states no authority, by the ID alone."""
    of_id = [one for one in listed if one.patient_id == patient_id]
    return bool(of_id) and (not states_issuer or any(one.issuer == issuer for one in of_id))
