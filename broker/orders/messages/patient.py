"""The patient of an order message: PID, PV1, AL1 and the notes between. Knows no order."""

from collections.abc import Iterable

from broker.orders import values
from broker.orders.mapping import Mapping, sources
from broker.orders.messages.fields import NULL, Attributes, Fields, pn
from broker.orders.model import Missing, Patient, Place
from hl7.datatypes import preferred, timestamp, xpn
from hl7.errors import Hl7Error
from hl7.message import Segment

_PREGNANT = "B6"  # of PV1-15 (table 0009)
_DEFINITELY_PREGNANT = "3"  # PregnancyStatus 0004: (0010,21C0)
_BIRTH_DATE, _SEX = sources("PID-7"), sources("PID-8")


def patient_of(fields: Fields, mapping: Mapping) -> Patient:
    """Return the patient as stated; what is missing is empty (`missing_of` says so).

    Raises Refusal AE 102 for an identifier that its attribute cannot hold.
    """
    pid = fields.group.patient.pid
    if pid is None:
        return Patient("", "", "", attributes=attributes_of(fields, mapping).stated)
    at = _identifier(pid, mapping)
    return Patient(
        patient_id=_patient_id(pid, at),
        issuer_of_patient_id=_issuer(pid, at),
        patient_name=_name(pid),
        patient_birth_date=_birth_date(pid),
        patient_sex=values.patient_sex(pid.get(8)),
        attributes=attributes_of(fields, mapping).stated | _other_ids(pid, at),
    )


def missing_of(fields: Fields, patient: Patient) -> Missing | None:
    """Return what keeps this patient from having an order."""
    pid = fields.group.patient.pid
    place = pid.location() if pid else "PID^1"
    if not patient.patient_id:
        return Missing(f"{place}^3", "PatientID is missing")
    if not patient.patient_name.strip("="):
        return Missing(f"{place}^5", "PatientName is missing")
    return None


def cleared_of(fields: Fields, mapping: Mapping) -> frozenset[Place]:
    """Return the patient's values that were sent as null."""
    typed = {"patient_birth_date": _BIRTH_DATE, "patient_sex": _SEX}
    names = {name for name, field_sources in typed.items() if fields.is_null(field_sources)}
    return frozenset(("", name) for name in names | attributes_of(fields, mapping).cleared)


def attributes_of(fields: Fields, mapping: Mapping) -> Attributes:
    """Return the further attributes of the patient and the visit."""
    ruled = fields.attributes(mapping.patient_rules)
    group = fields.group.patient
    stated = {
        **ruled.stated,
        **_ambulatory(group.pv1),
        "Allergies": values.several(_allergies(group.allergies)),
        "PatientComments": comments(group.notes),
    }
    nulls = {"PregnancyStatus", "SpecialNeeds"} if group.pv1 and group.pv1.is_null(15) else set()
    nulls |= {"PatientComments"} if comments_are_null(group.notes) else set()
    return Attributes({key: value for key, value in stated.items() if value}, ruled.cleared | nulls)


def comments(notes: Iterable[Segment]) -> str:
    """Return the texts of NTE-3, each on a line of its own."""
    texts = (note.get(3, repetition=number) for note in notes for number in range(1, note.repetitions(3) + 1))
    return values.lines(text for text in texts if text != NULL)


def comments_are_null(notes: Iterable[Segment]) -> bool:
    """Tell whether the comment was sent as null."""
    return any(note.is_null(3) for note in notes)


def _identifier(pid: Segment, mapping: Mapping) -> int:
    """Return the repetition of PID-3 to go by: the preferred type, else the first with a value."""
    valued = [number for number in range(1, pid.repetitions(3) + 1) if _value(pid, number)]
    types = {number: pid.get(3, 5, repetition=number).strip().upper() for number in reversed(valued)}
    by_type = {kind: number for number, kind in types.items()}
    wanted = next((by_type[kind] for kind in mapping.patient_id_types if kind in by_type), None)
    return wanted or (valued[0] if valued else 1)


def _value(pid: Segment, repetition: int) -> str:
    text = pid.get(3, repetition=repetition).strip()
    return "" if text == NULL else text


def _patient_id(pid: Segment, repetition: int) -> str:
    return values.identifier(_value(pid, repetition), values.LO, pid.location(3), "PatientID")


def _issuer(pid: Segment, repetition: int) -> str:
    parts = (pid.get(3, 4, part, repetition).strip() for part in (1, 2))
    issuer = next((part for part in parts if part and part != NULL), "")
    return values.identifier(issuer, values.LO, pid.location(3, 4), "IssuerOfPatientID")


def _other_ids(pid: Segment, chosen: int) -> dict[str, str]:
    numbers = (number for number in range(1, pid.repetitions(3) + 1) if number != chosen)
    others = values.several(text for number in numbers if values.fits(text := _value(pid, number), values.LO))
    return {"OtherPatientIDs": others} if others else {}


def _name(pid: Segment) -> str:
    """Return PID-5 as PN: alphabetic, ideographic and phonetic repetitions are its groups (XPN-8)."""
    repetitions = [pid.components(5, number) for number in range(1, pid.repetitions(5) + 1)]
    written = {kind: [r for r in repetitions if len(r) > 7 and r[7].strip().upper() == kind] for kind in ("I", "P")}
    alphabetic = [r for r in repetitions if r not in written["I"] and r not in written["P"]]
    best = [alphabetic[preferred(alphabetic)]] if alphabetic else []
    groups = [pn(xpn(found[0])) if found else "" for found in (best, written["I"], written["P"])]
    return "=".join(groups).rstrip("=")


def _birth_date(pid: Segment) -> str:
    # Never moved by a zone; one that is no date is no reason to refuse the order, since the type is 2.
    try:
        return timestamp(pid.get(7)).date
    except Hl7Error:
        return ""


def _ambulatory(pv1: Segment | None) -> dict[str, str]:
    if pv1 is None:
        return {}
    codes = [pv1.get(15, repetition=number).strip() for number in range(1, pv1.repetitions(15) + 1)]
    others = values.several(values.line(code, values.LO) for code in codes if code not in (_PREGNANT, NULL))
    return {
        "PregnancyStatus": _DEFINITELY_PREGNANT if _PREGNANT in codes else "",
        "SpecialNeeds": values.line(others.replace("\\", " "), values.LO),
    }


def _allergies(segments: Iterable[Segment]) -> Iterable[str]:
    for allergy in segments:
        text = allergy.get(3, 2).strip() or allergy.get(3).strip()
        severity = allergy.get(4).strip()
        shown = f"{text} ({severity})" if text and severity and severity != NULL else text
        yield values.line(shown, values.LO) if shown != NULL else ""
