"""What names an order and its steps where the message does not (we act as order filler, B.3). Pure; stores nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker.identifiers import derived_uid
from broker.orders import values
from broker.orders.model import Order, OrderKeys, Origin, ScheduledStep

_ACCESSION = {
    "filler_order_number": Origin(rule="filler order number, since no accession number is stated"),
    "placer_order_number": Origin(rule="placer order number, since neither accession nor a fitting filler number is"),
}
_PROCEDURE_OF_ACCESSION = Origin(rule="accession number, since no requested procedure ID is stated")
_PROCEDURE_OF_KEY = Origin(rule="derived from study, patient and order numbers, since no number fits 16 characters")
_STUDY = Origin(rule="derived from environment, patient, order numbers and requested procedure")
_STEP_ALONE = Origin(rule="requested procedure ID, since the only step states none")
_STEP_NUMBERED = Origin(rule="requested procedure ID with the step's number, since the step states none")
_STEP_OF_KEY = Origin(rule="derived from requested procedure ID and the step's number, since both exceed 16 characters")


@dataclass(frozen=True, slots=True)
class Named:
    """An order with every identifier it needs, and the origin of those made here, by step's ID and keyword."""

    order: Order
    made_here: dict[tuple[str, str], Origin]


def completed(order: Order, keys: OrderKeys, environment: str, generation: int = 0, *, issuers: bool = False) -> Named:
    """Return the order with the identifiers that it does not state; the same statement always gives the same ones.

    `issuers` makes the issuers of the numbers part of the study's UID: for the case that two systems number alike.
    """
    made: dict[tuple[str, str], Origin] = {}
    accession = order.accession_number or _accession(order, made)
    numbers = (order.placer_order_number, order.filler_order_number, accession)
    key = (environment, order.patient.issuer_of_patient_id, order.patient.patient_id, *numbers)
    procedure = order.requested_procedure_id or _procedure(accession, (*key, order.study_instance_uid), made)
    study = order.study_instance_uid
    if not study:
        # Generation 0 is what earlier versions derived: an order that is sent again keeps its study.
        more = ((str(generation),) if generation else ()) + ((keys.placer_issuer, keys.filler_issuer) * issuers)
        study = derived_uid(*key, procedure, *more)
        made["", "StudyInstanceUID"] = _STUDY
    steps = named_steps(order.steps, procedure, made)
    whole = Order(  # `replace` would cost several times as much, for every message
        order.patient,
        order.placer_order_number,
        order.filler_order_number,
        accession,
        procedure,
        study,
        order.requested_procedure_description,
        order.requested_procedure_code,
        steps,
        order.timezone,
        order.attributes,
        order.visit,
    )
    return Named(whole, made)


def named_steps(
    steps: Sequence[ScheduledStep],
    procedure: str,
    made: dict[tuple[str, str], Origin],
    taken: Sequence[str] = (),
) -> tuple[ScheduledStep, ...]:
    """Return the steps, each with an ID that no other of the study has; `taken` are those of further steps.

    What is made here is added to `made`.
    """
    if all(step.scheduled_procedure_step_id for step in steps):
        return tuple(steps)
    used = {*taken, *(step.scheduled_procedure_step_id for step in steps)}
    found = []
    for number, step in enumerate(steps, len(taken) + 1):
        own = step.scheduled_procedure_step_id
        if not own:
            own, origin = _step_id(procedure, number, used, alone=len(steps) == 1 and not taken)
            used.add(own)
            made[own, "ScheduledProcedureStepID"] = origin
            step = replace(step, scheduled_procedure_step_id=own)  # noqa: PLW2901 - the step with its name
        found.append(step)
    return tuple(found)


def short_id(*key: str) -> str:
    """Return the 16 digits that always belong to this key."""
    return derived_uid(*key)[-values.SH :].replace(".", "0")


def _accession(order: Order, made: dict[tuple[str, str], Origin]) -> str:
    for field, origin in _ACCESSION.items():
        number: str = getattr(order, field)
        if number and values.fits(number):
            made["", "AccessionNumber"] = origin
            return number
    return ""  # type 2: may be empty


def _procedure(accession: str, key: tuple[str, ...], made: dict[tuple[str, str], Origin]) -> str:
    made["", "RequestedProcedureID"] = _PROCEDURE_OF_ACCESSION if accession else _PROCEDURE_OF_KEY
    return accession or short_id(*filter(None, key[6:]), *key[:6])


def _step_id(procedure: str, number: int, used: set[str], *, alone: bool) -> tuple[str, Origin]:
    if alone and procedure not in used:
        return procedure, _STEP_ALONE
    while True:
        numbered = f"{procedure}-{number}"
        name, origin = (
            (numbered, _STEP_NUMBERED)
            if values.fits(numbered)
            else (
                short_id(procedure, str(number)),
                _STEP_OF_KEY,
            )
        )
        if name not in used:
            return name, origin
        number += 1
