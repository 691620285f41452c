"""ADT: what an event says about a patient and the visit. Merges and moves of identifiers are merges.py's."""

from broker.orders.messages.context import Context
from broker.orders.messages.grouping import PatientGroup, patient_groups
from broker.orders.messages.patient import person_of
from broker.orders.messages.times import civil_of, instant
from broker.orders.model import PatientAction, PatientChange, Refusal, VisitAction
from hl7.message import Message

_P, _V = PatientAction, VisitAction

EVENTS: dict[str, tuple[PatientAction, VisitAction] | None] = {
    "A01": (_P.UPSERT, _V.UPDATE),  # admit
    "A02": (_P.UPDATE, _V.UPDATE),  # transfer
    "A03": (_P.NOTHING, _V.DISCHARGE),  # discharge
    "A04": (_P.UPSERT, _V.UPDATE),  # register
    "A05": (_P.UPSERT, _V.UPDATE),  # preadmit
    "A06": (_P.UPDATE, _V.UPDATE),  # outpatient to inpatient
    "A07": (_P.UPDATE, _V.UPDATE),  # inpatient to outpatient
    "A08": (_P.UPDATE, _V.UPDATE),  # update
    "A10": (_P.NOTHING, _V.ARRIVE),  # arriving
    "A11": (_P.NOTHING, _V.DROP),  # cancel admit
    "A12": (_P.UPDATE, _V.UPDATE),  # cancel transfer
    "A13": (_P.UPDATE, _V.REOPEN),  # cancel discharge
    "A23": (_P.DELETE, _V.NOTHING),  # delete
    "A24": None,  # link: the two records stay two
    "A28": (_P.UPSERT, _V.NOTHING),  # add person
    "A31": (_P.UPDATE, _V.NOTHING),  # update person
    "A37": None,  # unlink
    "A38": (_P.NOTHING, _V.DROP),  # cancel preadmit
}
"""What each event asks for; None: acknowledged, and nothing changes."""


def translate(message: Message, context: Context) -> tuple[PatientChange, ...]:
    """Return one change for each PID. Raises Refusal AE 101 for a patient without identifier."""
    asked = EVENTS[message.header.trigger]
    if asked is None:
        return ()
    groups = patient_groups(message)
    if not groups:
        raise Refusal("AE", "PID^1", "100", "the message has no PID")
    return tuple(_change(group, asked, message, context) for group in groups)


def _change(
    group: PatientGroup, asked: tuple[PatientAction, VisitAction], message: Message, context: Context
) -> PatientChange:
    zone = context.source.timezone
    sent = instant(message.header.date_time, zone)
    person = person_of(group, context, sent)
    pid = group.first("PID")
    location = pid.location() if pid else "PID^1"
    if not person.patient.patient_id:
        raise Refusal("AE", f"{location}^3", "101", "PatientID is missing")
    event = group.first("EVN")
    return PatientChange(
        patient_action=asked[0],
        visit_action=asked[1],
        patient=person.patient,
        visit=person.visit,
        location=location,
        origins=person.origins,
        cleared=person.cleared,
        effective=(instant(event.get(2).strip(), zone) if event else None) or sent,
        sent=sent,
        today=civil_of(context.now, context.timezone).date,
    )
