"""ORM^O01: what its ORC/OBR groups say about each order. Reads no stored order; what a change does is merge.py's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from broker.orders.messages import patient as patients
from broker.orders.messages import procedure
from broker.orders.messages.context import Context
from broker.orders.messages.control import control_of
from broker.orders.messages.fields import Civil, Fields, civil, civil_of
from broker.orders.messages.grouping import OrderGroup, group
from broker.orders.messages.names import Names, completed, derived_step_id, stated_names, step_id
from broker.orders.model import (
    Code,
    Missing,
    Order,
    OrderChange,
    OrderControl,
    Patient,
    Place,
    Refusal,
    ScheduledStep,
)
from hl7.errors import Hl7Error
from hl7.message import Message

_MIDNIGHT = "000000"  # ScheduledProcedureStepStartTime is type 1


@dataclass(frozen=True, slots=True)
class _Asked:
    """One group with what it asks for and what names its order."""

    control: OrderControl
    fields: Fields
    patient: Patient
    names: Names

    @property
    def key(self) -> tuple[object, ...]:
        names = self.names
        return (
            self.control,
            id(self.fields.group.patient.pid),
            names.study_instance_uid,
            names.accession_number,
            names.requested_procedure_id,
        )


def translate(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, in wire order. Raises Refusal for the whole message."""
    groups = group(message)
    if not groups:
        raise Refusal("AE", "ORC^1", "100", "the message has neither ORC nor OBR")
    together: dict[tuple[object, ...], list[_Asked]] = {}
    for found in groups:
        asked = _asked(found, context)
        if asked is not None:
            together.setdefault(asked.key, []).append(asked)
    sent = _sent(message, context)
    return tuple(_change(parts, context, sent) for parts in together.values())


def _asked(found: OrderGroup, context: Context) -> _Asked | None:
    control = control_of(found)
    if control is None:
        return None
    fields = Fields(found, context.timezone)
    patient = patients.patient_of(fields, context.mapping)
    names = completed(stated_names(fields, context.mapping), patient, context.environment)
    return _Asked(control, fields, patient, names)


def _sent(message: Message, context: Context) -> Civil:
    """Return when the message was made, or where MSH-7 does not say so when it came."""
    try:
        stated = civil(message.header.date_time, context.timezone)
    except Hl7Error:
        stated = Civil()
    return stated if stated.date else civil_of(context.now, context.timezone)


def _change(parts: Sequence[_Asked], context: Context, sent: Civil) -> OrderChange:
    first = parts[0]
    location = first.fields.group.location
    if first.control is OrderControl.CANCEL:
        return OrderChange(first.control, first.names.stated, None, location)
    missing = patients.missing_of(first.fields, first.patient) or _missing_modality(parts, context)
    if missing and first.control is OrderControl.NEW:
        raise Refusal("AE", missing.location, "101", missing.text)
    steps, derived, cleared = _steps(parts, context, sent)
    order = _order(parts, steps, context)
    return OrderChange(
        control=first.control,
        keys=first.names.stated,
        order=order,
        location=location,
        derived=derived | _derived_names(first.names),
        cleared=cleared | _cleared(parts, order, context),
        missing=missing,
    )


def _missing_modality(parts: Iterable[_Asked], context: Context) -> Missing | None:
    sources = context.mapping.modality
    for part in parts:
        if not procedure.modality_of(part.fields, context.mapping):
            return Missing(part.fields.place(sources), "Modality is missing and cannot be derived")
    return None


def _order(parts: Sequence[_Asked], steps: tuple[ScheduledStep, ...], context: Context) -> Order:
    names, obrs = parts[0].names, [part.fields.group.obr for part in parts if part.fields.group.obr]
    return Order(
        patient=parts[0].patient,
        placer_order_number=names.stated.placer_order_number,
        filler_order_number=names.stated.filler_order_number,
        accession_number=names.accession_number,
        requested_procedure_id=names.requested_procedure_id,
        study_instance_uid=names.study_instance_uid,
        requested_procedure_description=next(filter(None, map(procedure.requested_description, obrs)), ""),
        requested_procedure_code=next(filter(None, map(procedure.requested_code, obrs)), None),
        steps=steps,
        timezone=context.timezone.key,
        attributes=_attributes(parts, context),
    )


def _attributes(parts: Sequence[_Asked], context: Context) -> dict[str, str]:
    """Return the order's further attributes: the first group that states one wins, comments are joined."""
    stated = [procedure.attributes_of(part.fields, context.mapping).stated for part in parts]
    merged = {key: value for found in reversed(stated) for key, value in found.items()}
    comments = list(dict.fromkeys(filter(None, (found.get("RequestedProcedureComments") for found in stated))))
    return merged | ({"RequestedProcedureComments": "\r\n".join(comments)[:10240]} if comments else {})


def _derived_names(names: Names) -> frozenset[Place]:
    ours = {
        "accession_number": names.stated.accession_number,
        "requested_procedure_id": names.stated.requested_procedure_id,
        "study_instance_uid": names.stated.study_instance_uid,
    }
    return frozenset(("", name) for name, stated in ours.items() if not stated)


def _cleared(parts: Sequence[_Asked], order: Order, context: Context) -> frozenset[Place]:
    """Return what of patient and order was sent as null and is stated by no other group."""
    found = patients.cleared_of(parts[0].fields, context.mapping)
    for part in parts:
        nulls = procedure.attributes_of(part.fields, context.mapping).cleared
        found |= {("", keyword) for keyword in nulls if keyword not in order.attributes}
    return found


def _steps(
    parts: Sequence[_Asked], context: Context, sent: Civil
) -> tuple[tuple[ScheduledStep, ...], frozenset[Place], frozenset[Place]]:
    """Return the steps with what of them is derived and cleared; equal IDs are one step with several protocols."""
    steps: dict[str, ScheduledStep] = {}
    derived: set[Place] = set()
    cleared: set[Place] = set()
    for number, part in enumerate(parts, 1):
        stated = step_id(part.fields, context.mapping)
        own = stated or derived_step_id(part.names.requested_procedure_id, number, len(parts))
        step, ours = _step(part.fields, own, context, sent)
        if own in steps:
            steps[own] = _with_protocol(steps[own], step.scheduled_protocol_codes)
            continue
        steps[own] = step
        derived |= {(own, name) for name in (*ours, *(() if stated else ("scheduled_procedure_step_id",)))}
        cleared |= {(own, "scheduled_performing_physician_name")} if procedure.performer_is_null(part.fields) else set()
    return tuple(steps.values()), frozenset(derived), frozenset(cleared)


def _step(fields: Fields, own: str, context: Context, sent: Civil) -> tuple[ScheduledStep, tuple[str, ...]]:
    obr = fields.group.obr
    start = fields.start(context.mapping.start)
    code = procedure.protocol_code(obr) if obr else None
    step = ScheduledStep(
        scheduled_procedure_step_id=own,
        modality=procedure.modality_of(fields, context.mapping),
        scheduled_procedure_step_start_date=start.date or sent.date,
        scheduled_procedure_step_start_time=(start.time if start.date else sent.time) or _MIDNIGHT,
        scheduled_station_ae_titles=procedure.stations_of(fields, context.mapping),
        scheduled_procedure_step_description=procedure.step_description(obr) if obr else "",
        scheduled_protocol_codes=(code,) if code else (),
        scheduled_performing_physician_name=procedure.performer_of(fields),
    )
    unstated = ("scheduled_procedure_step_start_date", "scheduled_procedure_step_start_time")
    return step, () if start.date else unstated


def _with_protocol(step: ScheduledStep, codes: tuple[Code, ...]) -> ScheduledStep:
    added = tuple(code for code in codes if code not in step.scheduled_protocol_codes)
    return replace(step, scheduled_protocol_codes=step.scheduled_protocol_codes + added)
