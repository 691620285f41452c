"""Whether an image is its order's: PatientID, accession number, Study Instance UID. Pure; alters nothing.

An empty value is no statement: many devices send no accession number, and that contradicts nobody.
"""

from collections.abc import Iterable

from broker.exams.model import Expected, Image
from broker.spool.model import SpooledInstance

EVENT = "exam.identity"

_CHECKED = (
    ("PatientID", "patient_id", "patient_ids"),
    ("AccessionNumber", "accession_number", "accession_numbers"),
    ("StudyInstanceUID", "study_instance_uid", "study_instance_uids"),
)


def disagreements(instance: SpooledInstance | Image, expected: Expected) -> tuple[str, ...]:
    """Return the keywords in which an image contradicts the order it belongs to."""
    found = ((keyword, getattr(instance, own), getattr(expected, theirs)) for keyword, own, theirs in _CHECKED)
    return tuple(keyword for keyword, value, allowed in found if value and allowed and value not in allowed)


def nearest(
    instance: SpooledInstance | Image, candidates: Iterable[Expected]
) -> tuple[Expected | None, tuple[str, ...]]:
    """Return the order that an image contradicts least, with the keywords; None without any candidate.

    Several orders may share a study, each with its accession number: one that agrees is enough.
    """
    judged = [(one, disagreements(instance, one)) for one in candidates]
    return min(judged, key=lambda pair: len(pair[1]), default=(None, ()))


def alert_text(order_id: int, keywords: Iterable[str], *, held: bool) -> str:
    """Return what a person is told: keywords, no value."""
    names = " and ".join(keywords)
    then = "it is held: compare, then `broker delivery release`" if held else "it is forwarded"
    return f"an image disagrees with its order in {names}; {then}; see `broker exam show {order_id}`"


def hold_reason(order_id: int, keywords: Iterable[str]) -> str:
    """Return why a delivery is held."""
    names = tuple(keywords)
    verb = "disagrees" if len(names) == 1 else "disagree"
    what = f"{' and '.join(names)} of the image {verb} with order {order_id}"
    return f"{what}: compare them, then release it or have it sent again"
