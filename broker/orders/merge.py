"""What a change does to a stored order. Pure; the caller has found the order and stores the result."""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TypeVar

from broker.orders.model import Order, OrderChange, OrderControl, Patient, Place, Refusal, ScheduledStep

_T = TypeVar("_T", Patient, ScheduledStep, Order)

_STEP_ID = "scheduled_procedure_step_id"


def merged(stored: Order, change: OrderChange) -> Order:
    """Return the stored order with what the change states; what it does not mention stays.

    A change order speaks of procedure and schedule only: patient and visit stay (IHE RAD-13). Raises Refusal AE 101
    where steps without ID do not tell which stored steps they mean.
    """
    stated = change.order
    if stated is None:
        return stored
    order = _overwritten(stored, stated, change, "")
    patient = stored.patient
    if change.control is OrderControl.NEW:
        patient = _overwritten(stored.patient, stated.patient, change, "")
    return replace(order, patient=patient, steps=_merged_steps(stored, stated.steps, change))


def _overwritten(stored: _T, stated: _T, change: OrderChange, step: str) -> _T:
    """Return `stored` with every text, tuple or code that `stated` gives; null clears, ours never overwrites."""
    updates: dict[str, object] = {}
    for item in fields(stored):
        place = (step, item.name)
        value = getattr(stated, item.name)
        if item.name in ("attributes", "steps", "patient", _STEP_ID):
            continue
        if place in change.cleared:
            updates[item.name] = ""
        elif value and place not in change.derived:
            updates[item.name] = value
    kept = {key: text for key, text in stored.attributes.items() if (step, key) not in change.cleared}
    return replace(stored, **updates, attributes=kept | stated.attributes)  # type: ignore[arg-type]


def _merged_steps(stored: Order, stated: Iterable[ScheduledStep], change: OrderChange) -> tuple[ScheduledStep, ...]:
    steps = {step.scheduled_procedure_step_id: step for step in stored.steps}
    stated = tuple(stated)
    for number, step in enumerate(stated):
        own = step.scheduled_procedure_step_id
        meant = own if own in steps or not _is_ours(own, change) else _by_place(stored, number, len(stated), change)
        if meant in steps:
            steps[meant] = _overwritten(steps[meant], step, change, own)
        else:
            steps[meant] = _completed(step, stored, change)
    return tuple(steps.values())


def _is_ours(own: str, change: OrderChange) -> bool:
    place: Place = (own, _STEP_ID)
    return place in change.derived


def _by_place(stored: Order, number: int, count: int, change: OrderChange) -> str:
    if count != len(stored.steps):
        raise Refusal("AE", change.location, "101", "ScheduledProcedureStepID is missing: which step is meant?")
    return stored.steps[number].scheduled_procedure_step_id


def _completed(step: ScheduledStep, stored: Order, change: OrderChange) -> ScheduledStep:
    """Return a step that is new to a known order; its modality may go without saying."""
    modality = step.modality or (stored.steps[0].modality if stored.steps else "")
    if not modality and change.missing:
        raise Refusal("AE", change.missing.location, "101", change.missing.text)
    return replace(step, modality=modality)
