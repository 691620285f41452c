"""ADT events with MRG: identifiers merged, replaced and moved. MRG holds the old identifier, PID the surviving one."""

from broker.orders import values
from broker.orders.messages.context import Context
from broker.orders.messages.grouping import PatientGroup, patient_groups
from broker.orders.messages.patient import person_of, reader_of
from broker.orders.messages.people import chosen
from broker.orders.messages.reading import NULL
from broker.orders.messages.times import instant
from broker.orders.model import MergeChange, MergeKind, Refusal
from hl7.message import Message, Segment

_K = MergeKind

EVENTS: dict[str, MergeKind] = {
    "A18": _K.MERGE,  # merge patients, until 2.3
    "A30": _K.MERGE,  # merge persons
    "A34": _K.MERGE,  # merge patients, by identifier only
    "A35": _K.VISIT,  # merge accounts
    "A36": _K.MERGE,  # merge patients and accounts
    "A39": _K.MERGE,  # merge persons, by external identifier
    "A40": _K.MERGE,  # merge patients, by identifier list
    "A41": _K.VISIT,  # merge accounts
    "A42": _K.VISIT,  # merge visits
    "A43": _K.VISIT,  # move an identifier list
    "A44": _K.VISIT,  # move an account
    "A45": _K.VISIT,  # move a visit
    "A46": _K.IDENTIFIER,  # change the external identifier
    "A47": _K.IDENTIFIER,  # change the identifier list
    "A49": _K.VISIT,  # change the account number
    "A50": _K.VISIT,  # change the visit number
}
"""What becomes of the old identifier (B.4)."""


def translate(message: Message, context: Context) -> tuple[MergeChange, ...]:
    """Return one change for each MRG. Raises Refusal AE 100 without MRG or PID, AE 101 without an identifier."""
    groups = patient_groups(message)
    if not groups:
        raise Refusal("AE", "PID^1", "100", "the message has no PID")
    kind = EVENTS[message.header.trigger]
    return tuple(change for group in groups for change in _changes(group, kind, message, context))


def _changes(group: PatientGroup, kind: MergeKind, message: Message, context: Context) -> list[MergeChange]:
    merges = group.segments.get("MRG")
    if not merges:
        raise Refusal("AE", "MRG^1", "100", "a PID without MRG: what is merged into it?")
    visits = group.segments.get("PV1", [])
    paired = len(visits) == len(merges)
    found = []
    for number, merge in enumerate(merges):
        # A45: several MRG/PV1 pairs, each visit with its old one.
        segments = {**group.segments, "MRG": [merge]} | ({"PV1": [visits[number]]} if paired else {})
        found.append(_change(PatientGroup(segments), merge, kind, message, context))
    return found


def _change(group: PatientGroup, merge: Segment, kind: MergeKind, message: Message, context: Context) -> MergeChange:
    zone = context.source.timezone
    sent = instant(message.header.date_time, zone)
    person = person_of(group, context, sent)
    pid, event = group.first("PID"), group.first("EVN")
    if not person.patient.patient_id:
        raise Refusal("AE", f"{pid.location() if pid else 'PID^1'}^3", "101", "PatientID, which survives, is missing")
    old_id, old_issuer = _old_identifier(group, merge, kind, context)
    return MergeChange(
        kind=kind,
        surviving=person.patient,
        old_patient_id=old_id,
        old_issuer=old_issuer,
        location=merge.location(),
        origins=person.origins,
        cleared=person.cleared,
        effective=(instant(event.get(2).strip(), zone) if event else None) or sent,
        sent=sent,
        visit=person.visit,
        old_admission_id=_old_admission(merge),
    )


def _old_identifier(group: PatientGroup, merge: Segment, kind: MergeKind, context: Context) -> tuple[str, str]:
    """Return MRG-1, else MRG-4 (the external identifier of older versions), and its authority."""
    reader = reader_of(group.segments, context, None)
    for field in (1, 4):
        old = chosen(reader, merge, field)
        if old.text:
            issuer = old.authority or context.source.patient_authority
            return (
                values.identifier(old.text, values.LO, merge.location(field), "the old PatientID"),
                values.identifier(issuer, values.LO, merge.location(field, 4), "IssuerOfPatientID"),
            )
    if kind is MergeKind.VISIT:
        return "", ""
    raise Refusal("AE", merge.location(1), "101", "the old PatientID is missing")


def _old_admission(merge: Segment) -> str:
    """Return the old visit number (MRG-5), else the old account number (MRG-3)."""
    for field in (5, 3):
        text = merge.get(field).strip()
        if text and text != NULL:
            return values.identifier(text, values.LO, merge.location(field), "the old AdmissionID")
    return ""
