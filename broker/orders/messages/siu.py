"""SIU: appointments booked, moved and canceled, as changes of the orders that they are for. Books nothing itself."""

from broker.environments.model import Appointments
from broker.orders.messages.changes import Part, change_of
from broker.orders.messages.context import Context
from broker.orders.messages.grouping import OrderGroup, PatientGroup, Segments, patient_groups
from broker.orders.messages.orders_of import Reading, part_of
from broker.orders.messages.patient import person_of
from broker.orders.messages.times import instant
from broker.orders.model import Action, OrderChange, Refusal
from hl7.message import Message

EVENTS = ("S12", "S13", "S14", "S15", "S17", "S26")
_OF_RESOURCES = frozenset({"RGS", "AIS", "AIG", "AIL", "AIP"})


def translate(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, none where the source's appointments are ignored.

    Raises Refusal AE 101 without SCH or PID.
    """
    action = context.order_control.appointment(message.header.trigger)
    if context.source.appointments is Appointments.IGNORE or action is Action.NOTHING:
        return ()
    if message.first("SCH") is None:
        raise Refusal("AE", "SCH^1", "100", "the message has no SCH")
    patients = patient_groups(message)
    if not patients:
        raise Refusal("AE", "PID^1", "100", "the message has no PID: whose appointment is it?")
    sent = instant(message.header.date_time, context.source.timezone)
    reading = Reading(context, sent, context.mapping.appointment_order, context.mapping.appointment_step)
    together: dict[tuple[object, ...], list[Part]] = {}
    for patient in patients:
        person = person_of(_without_resources(patient), context, sent)
        for segments in _services(message, patient):
            part = part_of(reading, OrderGroup(patient, segments), segments, action, person)
            together.setdefault(part.identity, []).append(part)
    creates = context.source.appointments is Appointments.CREATE
    return tuple(change_of(parts, context, sent, creates) for parts in together.values())


def _services(message: Message, patient: PatientGroup) -> list[Segments]:
    """Return the segments of each service (AIS), with the resources of its RGS; one where none is named."""
    common = {name: found for name, found in patient.segments.items() if name not in _OF_RESOURCES}
    groups: list[Segments] = []
    for segment in message.segments:
        if segment.name == "RGS" or (segment.name in _OF_RESOURCES and not groups):
            groups.append({})
        if segment.name in _OF_RESOURCES:
            groups[-1].setdefault(segment.name, []).append(segment)
    services = [{**common, **group, "AIS": [service]} for group in groups for service in group.get("AIS", ())]
    return services or [{**common, **(groups[0] if groups else {})}]


def _without_resources(patient: PatientGroup) -> PatientGroup:
    # Notes of an appointment are no comments about the patient.
    return PatientGroup({name: found for name, found in patient.segments.items() if name not in ("NTE", "OBX")})
