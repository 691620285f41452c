"""`[destinations.correction]`: which attributes a destination gets from the order. Off unless it is there.

Which order, and how a copy is made of it, belongs to delivery.
"""

from dataclasses import dataclass
from enum import StrEnum

from broker.environments.reading import TomlTable, did_you_mean, quoted

PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
ORDER = ("AccessionNumber", "ReferringPhysicianName", "AdmissionID")
CORRECTABLE = (*PATIENT, *ORDER)
"""What an order knows better than a modality, and nothing else refers to."""

_REFERRED_TO = "other instances, reports and storage commitments refer to it, and would lose it"
_NEVER = {
    "StudyInstanceUID": _REFERRED_TO,
    "SeriesInstanceUID": _REFERRED_TO,
    "SOPInstanceUID": _REFERRED_TO,
    "SOPClassUID": "it says what the instance is",
    "StudyDescription": "it says what was done, the order only what was asked for",
}
_WITH = {
    "IssuerOfPatientID": "PatientID",
    "IssuerOfPatientIDQualifiersSequence": "PatientID",
    "IssuerOfAccessionNumberSequence": "AccessionNumber",
    "IssuerOfAdmissionIDSequence": "AdmissionID",
}


class Unsure(StrEnum):
    """What becomes of an instance that is not surely of one order, or of another patient than its order."""

    SEND = "send"  # as it was received
    HOLD = "hold"  # until a person releases it
    CORRECT = "correct"  # all the same; only of another patient's


@dataclass(frozen=True, slots=True)
class CorrectionSettings:
    """What one destination gets from the order. `other_patient` is asked where only the Study Instance UID agrees."""

    attributes: tuple[str, ...]  # keywords
    unmatched: Unsure = Unsure.SEND
    other_patient: Unsure = Unsure.SEND


def read_correction(destination: TomlTable) -> CorrectionSettings | None:
    """Return `correction` of a destination, None where it has none; note each mistake."""
    if not destination.has("correction"):
        destination.table("correction", required=False)
        return None
    table = destination.table("correction")
    attributes = table.texts("attributes")
    for keyword in attributes:
        _check(table, keyword)
    if table.has("attributes") and not attributes:
        table.wrong("attributes", "names no attribute: leave correction out where nothing is corrected")
    unmatched = table.choice("unmatched", Unsure, Unsure.SEND) or Unsure.SEND
    if unmatched is Unsure.CORRECT:
        table.wrong("unmatched", "'correct' is impossible without an order: use 'send' or 'hold'")
    other_patient = table.choice("other_patient", Unsure, unmatched) or unmatched
    _check_whole_patient(table, attributes, other_patient)
    table.finish()
    return CorrectionSettings(attributes, unmatched, other_patient)


def _check(table: TomlTable, keyword: str) -> None:
    if keyword in _NEVER:
        table.wrong("attributes", f"{keyword} is never altered: {_NEVER[keyword]}")
    elif keyword in _WITH:
        table.wrong("attributes", f"{keyword} goes with {_WITH[keyword]}: name that instead")
    elif keyword not in CORRECTABLE:
        table.wrong("attributes", f"{keyword!r} is none of {quoted(CORRECTABLE)}{did_you_mean(keyword, CORRECTABLE)}")


def _check_whole_patient(table: TomlTable, attributes: tuple[str, ...], other_patient: Unsure) -> None:
    lacking = [keyword for keyword in PATIENT if keyword not in attributes]
    if other_patient is Unsure.CORRECT and lacking:
        table.wrong("other_patient", f"'correct' needs {quoted(lacking)} too: a copy must not name two patients")
