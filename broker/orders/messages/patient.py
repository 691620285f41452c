"""The patient and the visit of a message, by the mapping's rules. Knows no order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.orders.messages.codes import code_sequence
from broker.orders.messages.context import Context
from broker.orders.messages.forms import FORMS
from broker.orders.messages.grouping import PatientGroup
from broker.orders.messages.reading import Reader, Stated, read
from broker.orders.model import Missing, Origin, Patient, Place
from hl7.message import Segment

_TYPED = frozenset({"PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"})


@dataclass(frozen=True, slots=True)
class Person:
    """A patient and the visit as stated, with what was said of each value."""

    patient: Patient
    visit: dict[str, str]
    origins: dict[Place, Origin]
    cleared: frozenset[Place]


def person_of(group: PatientGroup, context: Context, sent: datetime | None) -> Person:
    """Return what the segments of one patient say. Raises Refusal for what its attribute cannot hold."""
    reader = reader_of(group.segments, context, sent)
    patient = read(context.mapping.patient, reader, FORMS)
    visit = read(context.mapping.visit, reader, FORMS)
    return Person(
        patient=Patient(
            patient_id=patient.text("PatientID"),
            issuer_of_patient_id=patient.text("IssuerOfPatientID"),
            patient_name=patient.text("PatientName"),
            patient_birth_date=patient.text("PatientBirthDate"),
            patient_sex=patient.text("PatientSex"),
            attributes=attributes_of(patient, _TYPED),
        ),
        visit=attributes_of(visit, ()),
        origins={(0, keyword): origin for found in (patient, visit) for keyword, origin in found.origins.items()},
        cleared=frozenset((0, keyword) for found in (patient, visit) for keyword in found.cleared),
    )


def reader_of(segments: Mapping[str, list[Segment]], context: Context, sent: datetime | None) -> Reader:
    """Return a reader of these segments with the sender's habits; a message without MSH-7 was made when it came."""
    source, mapping = context.source, context.mapping
    return Reader(
        segments,
        zone=source.timezone,
        site=context.timezone,
        sent=sent or context.now,
        authority=source.patient_authority,
        id_types=mapping.patient_id_types,
        id_authorities=mapping.patient_authorities,
    )


def missing_of(patient: Patient, pid: Segment | None) -> Missing | None:
    """Return what keeps this patient from having an order."""
    place = pid.location() if pid else "PID^1"
    if not patient.patient_id:
        return Missing(f"{place}^3", "PatientID is missing")
    if not patient.patient_name.strip("="):
        return Missing(f"{place}^5", "PatientName is missing")
    return None


def attributes_of(stated: Stated, typed: Iterable[str]) -> dict[str, str]:
    """Return the further attributes as text: a sequence is a JSON list of objects by keyword."""
    return {
        keyword: value if isinstance(value, str) else code_sequence(value)
        for keyword, value in stated.values.items()
        if keyword not in typed
    }
