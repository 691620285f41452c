"""The status messages that tell a receiver how an order stands: what stands in which field. The door to hl7apy.

hl7apy names segments and fields by the version's own tables. It is given texts that are escaped already: it leaves
`\\F\\ \\S\\ \\T\\ \\R\\ \\E\\` as they are and breaks every other sequence. Its groups are not used: ZDS is in none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hl7apy import core
from hl7apy.consts import VALIDATION_LEVEL

from broker.environments.model import OrderEvent, OrderMessage, Receiver, World
from broker.identifiers import is_uid
from broker.orders.model import KEYWORDS, Code, Order, Patient, ScheduledStep, StepStatus, StoredOrder
from hl7.encoding import Delimiters, encode, escape
from hl7.errors import Hl7Error
from hl7.message import Message

UTF_8 = "UNICODE UTF-8"

_DELIMITERS = Delimiters()
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLACED = re.compile(r"OBR-([1-9][0-9]?)(?:\.([1-9]))?")
_STRUCTURED_TYPE = (2, 4)  # from here on MSH-9 has a third component

_KINDS = {  # MSH-9, and the version where the receiver names none
    OrderMessage.ORM: ("ORM", "O01", "2.3.1"),  # IHE RAD-3
    OrderMessage.OMG: ("OMG", "O19", "2.5.1"),  # IHE RAD-3, HL7 2.5.1 option
    OrderMessage.ORU: ("ORU", "R01", "2.5.1"),
}

_LEFT_TO_DO = frozenset(
    {StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.HELD, StepStatus.STARTED}
)

# OBR-25 (table 0123). Empty where no value is true: I says that the procedure is incomplete, X that there is nothing,
# while a discontinued procedure may have left images. S is scheduled and not done. R, stored and not yet verified, is
# what images without a report are; P and F would say that somebody has read them.
_RESULT_STATUS = {OrderEvent.STARTED: "I", OrderEvent.IMAGES_AVAILABLE: "R", OrderEvent.SCHEDULED_AGAIN: "S"}

# Fields of OBR that have a meaning of ours in each message, so that no identifier is put there.
_TAKEN = frozenset({1, 2, 3, 4, 22, 24, 25, 44})

Fields = dict[int, str]
"""A segment as its fields by number, in HL7's own notation."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one message tells: an event of an order's steps, at an instant. No steps means all of them."""

    order: StoredOrder
    event: OrderEvent
    step_ids: tuple[str, ...]
    at: datetime


def build(receiver: Receiver, told: Told, control_id: str) -> bytes:
    """Return the message in the receiver's character set, or in UTF-8 and declared so where that cannot hold it."""
    try:
        return encode(_text(receiver, told, control_id, receiver.character_set), receiver.character_set)
    except Hl7Error:
        return encode(_text(receiver, told, control_id, UTF_8), UTF_8)


def readable(body: bytes) -> str:
    """Return a message as text for people, a segment a line."""
    return Message.read(body).encode().replace("\r", "\n")


def order_status(order: Order, event: OrderEvent) -> str:
    """Return ORC-5 (table 0038): how the order stands, which is over only when nothing of it is left to do.

    A finished step of an order of which more is to come, and images before the procedure is over, are *some, but not
    all, results*: A. So a receiver that knows no steps never closes an order early, and images never reopen one.
    """
    if event is OrderEvent.STARTED:
        return "IP"
    if event is OrderEvent.DISCONTINUED:
        return "DC"
    if event is OrderEvent.SCHEDULED_AGAIN:
        return _order_status_again({step.status for step in order.steps})
    return "A" if any(step.status in _LEFT_TO_DO for step in order.steps) else "CM"


def _order_status_again(statuses: set[StepStatus]) -> str:
    if StepStatus.STARTED in statuses:
        return "IP"
    return "A" if StepStatus.COMPLETED in statuses else "SC"


def _text(receiver: Receiver, told: Told, control_id: str, character_set: str) -> str:
    code, trigger, usual = _KINDS[receiver.message]
    version = receiver.version or usual
    message = core.Message(f"{code}_{trigger}", version=version, validation_level=VALIDATION_LEVEL.TOLERANT)
    for number, text in _msh(receiver, told, control_id, version).items():
        setattr(message.msh, f"msh_{number}", text)
    _fill(message.msh, {18: character_set})
    for name, fields in _body(receiver.message, told):
        _fill(message.add_segment(name), fields)
    return f"{message.to_er7()}\r"


def _fill(segment: core.Segment, fields: Fields) -> None:
    for number, text in fields.items():
        # Given whole, a repetition would be taken for a character and escaped.
        for repetition in text.split(_DELIMITERS.repetition) if text else ():
            segment.add_field(f"{segment.name}_{number}").value = repetition


def _msh(receiver: Receiver, told: Told, control_id: str, version: str) -> Fields:
    code, trigger, _ = _KINDS[receiver.message]
    structured = tuple(int(part) for part in version.split(".")) >= _STRUCTURED_TYPE
    return {
        3: _leaf(receiver.sending_application),
        4: _leaf(receiver.sending_facility),
        5: _leaf(receiver.receiving_application),
        6: _leaf(receiver.receiving_facility),
        7: _instant(told),
        9: _joined(code, trigger, f"{code}_{trigger}" if structured else ""),
        10: control_id,
        11: "P" if receiver.world is World.PRODUCTION else "T",
        12: version,
    }


def _body(message: OrderMessage, told: Told) -> Iterator[tuple[str, Fields]]:
    order = told.order.order
    yield "PID", _pid(order.patient)
    if order.visit.get("AdmissionID"):
        yield "PV1", _pv1(order.visit)
    for number, step in enumerate(_steps(told), 1):
        yield "ORC", _orc(told)
        yield "OBR", _obr(told, step, number)
        if message is OrderMessage.ORU:
            yield "OBX", _obx(order)
    if message is not OrderMessage.ORU:
        # One for all of the pairs before it (IHE RAD TF-2, RAD-4).
        yield "ZDS", {1: _joined(order.study_instance_uid, "", "Application", "DICOM")}


def _steps(told: Told) -> Sequence[ScheduledStep | None]:
    """Return the steps told of; an order without any is told of once."""
    steps = told.order.order.steps
    named = [s for s in steps if s.scheduled_procedure_step_id in told.step_ids] if told.step_ids else list(steps)
    return named or (None,)


def _pid(patient: Patient) -> Fields:
    return {
        1: "1",
        3: _identifier(
            patient.patient_id,
            _authority(patient.issuer_of_patient_id, patient.attributes.get("IssuerOfPatientIDQualifiersSequence", "")),
        ),
        5: _xpn(patient.patient_name),
        7: _leaf(patient.patient_birth_date),
        8: _leaf(patient.patient_sex),
    }


def _pv1(visit: dict[str, str]) -> Fields:
    return {
        1: "1",
        2: _leaf(visit.get("RouteOfAdmissions") or "U"),  # PV1-2 is required; U is unknown (table 0004)
        19: _identifier(visit["AdmissionID"], _authority("", visit.get("IssuerOfAdmissionIDSequence", ""))),
    }


def _orc(told: Told) -> Fields:
    order = told.order.order
    return {
        1: "SC",
        2: _placer(told.order),
        3: _filler(told.order),
        5: order_status(order, told.event),
        9: _instant(told),
    }


def _obr(told: Told, step: ScheduledStep | None, number: int) -> Fields:
    order = told.order.order
    fields = {
        1: str(number),
        2: _placer(told.order),
        3: _filler(told.order),
        4: _service(order, step),
        22: _instant(told),
        24: _leaf(step.modality) if step else "",
        25: _RESULT_STATUS.get(told.event, ""),
    }
    if _source(told, "", KEYWORDS["requested_procedure_code"]).startswith("OBR-44"):
        fields[44] = _coded(order.requested_procedure_code)
    for field, text in _identifiers(told, step):
        fields.setdefault(field, text)
    return fields


def _identifiers(told: Told, step: ScheduledStep | None) -> Iterator[tuple[int, str]]:
    """Yield accession number, procedure ID and step ID where the order's own message had them, else IHE's way."""
    order = told.order.order
    step_id = step.scheduled_procedure_step_id if step else ""
    for keyword, place, step_key, value in (
        ("AccessionNumber", 18, "", order.accession_number),
        ("RequestedProcedureID", 19, "", order.requested_procedure_id),
        ("ScheduledProcedureStepID", 20, step_id, step_id),
    ):
        found = _PLACED.fullmatch(_source(told, step_key, keyword))
        if found is None or int(found[1]) in _TAKEN - {2, 3}:
            yield place, _leaf(value)
        else:  # in OBR-2 and OBR-3 the order's number is it, and stands there
            yield int(found[1]), "^" * (int(found[2] or 1) - 1) + _leaf(value)


def _source(told: Told, step_id: str, keyword: str) -> str:
    origin = told.order.origins.get((step_id, keyword))
    return origin.source if origin else ""


def _service(order: Order, step: ScheduledStep | None) -> str:
    """Return OBR-4: the procedure in components 1 to 3 and the step's protocol in 4 to 6."""
    protocol = step.scheduled_protocol_codes[0] if step and step.scheduled_protocol_codes else None
    procedure = order.requested_procedure_code or protocol
    coded = _coded(procedure) if procedure else _joined("", order.requested_procedure_description)
    if not coded and step:
        coded = _joined("", step.scheduled_procedure_step_description)
    if protocol is None or protocol is procedure:
        return coded
    return f"{coded}{'^' * (3 - coded.count('^'))}{_coded(protocol)}"


def _obx(order: Order) -> Fields:
    # DCM 113014 names the study; R, since nobody has read it.
    uid = _leaf(order.study_instance_uid)
    return {1: "1", 2: "HD", 3: _joined("113014", "DICOM Study", "DCM"), 5: uid, 11: "R"}


def _instant(told: Told) -> str:
    return told.at.astimezone(ZoneInfo(told.order.order.timezone or "UTC")).strftime("%Y%m%d%H%M%S%z")


def _placer(stored: StoredOrder) -> str:
    item = stored.order.attributes.get("OrderPlacerIdentifierSequence", "")
    return _entity(stored.order.placer_order_number, _authority(stored.placer_issuer, item))


def _filler(stored: StoredOrder) -> str:
    item = stored.order.attributes.get("OrderFillerIdentifierSequence", "")
    return _entity(stored.order.filler_order_number, _authority(stored.filler_issuer, item))


def _authority(issuer: str, sequence: str) -> tuple[str, str, str]:
    """Return namespace, universal ID and its type (HD), of an issuer and the sequence that says more of it."""
    item: dict[str, str] = json.loads(sequence)[0] if sequence else {}
    universal, kind = item.get("UniversalEntityID", ""), item.get("UniversalEntityIDType", "")
    if not universal and is_uid(issuer):
        return "", issuer, "ISO"
    return item.get("LocalNamespaceEntityID") or ("" if issuer == universal else issuer), universal, kind


def _entity(number: str, authority: tuple[str, str, str]) -> str:
    """Return EI."""
    return _joined(number, *authority) if number else ""


def _identifier(number: str, authority: tuple[str, str, str]) -> str:
    """Return CX, in which the authority is one component."""
    designated = _DELIMITERS.subcomponent.join(map(_leaf, authority)).rstrip(_DELIMITERS.subcomponent)
    return _trimmed((_leaf(number), "", "", designated)) if number else ""


def _coded(code: Code | None) -> str:
    return _joined(code.value, code.meaning, code.scheme) if code else ""


def _xpn(name: str) -> str:
    """Return a PN as XPN: prefix and suffix change places, and each group says how it is written (XPN.8)."""
    groups = name.split("=")[:3]
    if len(groups) == 1:
        return _xpn_group(groups[0])
    written = ((group, kind) for group, kind in zip(groups, "AIP", strict=False) if group.strip("^"))
    return "~".join(f"{(found := _xpn_group(group))}{'^' * (6 - found.count('^'))}L^{kind}" for group, kind in written)


def _xpn_group(group: str) -> str:
    family, given, middle, prefix, suffix = (group.split("^") + [""] * 5)[:5]
    return _joined(family, given, middle, suffix, prefix)


def _joined(*texts: str) -> str:
    return _trimmed(_leaf(text) for text in texts)


def _trimmed(parts: Iterable[str]) -> str:
    return _DELIMITERS.component.join(parts).rstrip(_DELIMITERS.component)


def _leaf(text: str) -> str:
    """Return a text that may stand in a field: a control is a blank, since hl7apy cannot write its escape."""
    return escape(_CONTROL.sub(" ", text), _DELIMITERS)
