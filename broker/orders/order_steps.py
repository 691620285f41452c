"""What an action does to the steps of an order, by `state.py`'s table. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from broker.orders.lookup import UNKNOWN_KEY
from broker.orders.merge import Statement
from broker.orders.model import (
    KEYWORDS,
    Action,
    Did,
    Order,
    OrderChange,
    Origin,
    Refusal,
    ScheduledStep,
    StepStatus,
)
from broker.orders.patients import Kept
from broker.orders.state import LIVE, NEXT

CANCELING = frozenset({Action.CANCEL, Action.DISCONTINUE, Action.REPLACE})
DID = {
    Action.CANCEL: Did.CANCELED,
    Action.DISCONTINUE: Did.CANCELED,
    Action.REPLACE: Did.CANCELED,
    Action.HOLD: Did.HELD,
    Action.RELEASE: Did.RELEASED,
}
"""What is told of an action; of others, that a status changed."""

_STATUS = KEYWORDS["status"]
_ASKED = Origin("ORC-1")  # what the action was read from, where the change does not say
_PERFORMED = Origin(rule="what was performed")
_UNKNOWN_STEP = "ScheduledProcedureStepID names no step of this order"


@dataclass(frozen=True, slots=True)
class Stepped:
    """An order with its steps' new statuses, and which of them changed."""

    order: Order
    origins: dict[tuple[str, str], Origin]
    step_ids: tuple[str, ...]


def stepped(known: Kept, change: OrderChange, said: Statement) -> Stepped:
    """Return the order after the action on the stated steps, else on all.

    Raises Refusal AE 204 for a step that the order does not have, and where nothing of what is asked is possible
    since everything has begun.
    """
    stated = _targets(known.order, change.step_ids)
    if stated is None:
        raise Refusal("AE", change.location, UNKNOWN_KEY, _UNKNOWN_STEP)
    following = {step.scheduled_procedure_step_id: NEXT[step.status, change.action] for step in stated}
    open_ = [step for step in stated if step.status is not StepStatus.CANCELED]
    if open_ and all(following[step.scheduled_procedure_step_id].impossible for step in open_):
        text = following[open_[0].scheduled_procedure_step_id].text
        raise Refusal("AE", change.location, UNKNOWN_KEY, text)
    for next_ in following.values():
        said.say(next_.text)
    origin = change.origins.get((0, _STATUS), _ASKED)
    statuses = {own: next_.status for own, next_ in following.items()}
    return _with(known, statuses, Origin(origin.source, origin.rule, said.entry_id))


def performed(known: Kept, step_ids: Iterable[str], status: StepStatus) -> Stepped:
    """Return the order after what was performed, whatever was asked of it: a fact is not refused.

    Raises Refusal AE 204 for a step that the order does not have.
    """
    stated = _targets(known.order, tuple(step_ids))
    if stated is None:
        raise Refusal("AE", "", UNKNOWN_KEY, _UNKNOWN_STEP)
    return _with(known, {step.scheduled_procedure_step_id: status for step in stated}, _PERFORMED)


def arrived(known: Kept, today: str, entry_id: int) -> Stepped:
    """Return the order with today's scheduled steps arrived (A10)."""
    statuses = {
        step.scheduled_procedure_step_id: StepStatus.ARRIVED
        for step in known.order.steps
        if step.status is StepStatus.SCHEDULED and step.scheduled_procedure_step_start_date == today
    }
    return _with(known, statuses, Origin("EVN-1", "", entry_id))


def without_live(order: Order) -> tuple[Order, bool]:
    """Return the order with its live steps canceled, and whether there were any."""
    steps = tuple(replace(step, status=StepStatus.CANCELED) if step.status in LIVE else step for step in order.steps)
    return replace(order, steps=steps), steps != order.steps


def has_live(order: Order) -> bool:
    """Tell whether something of the order is still to be performed."""
    return any(step.status in LIVE for step in order.steps)


def has_others(order: Order) -> bool:
    """Tell whether something of the order is not canceled."""
    return any(step.status is not StepStatus.CANCELED for step in order.steps)


def text_of(found: Stepped) -> str:
    """Return for the history which steps changed, where the order has others too."""
    return "" if len(found.step_ids) == len(found.order.steps) else "steps: " + ", ".join(found.step_ids)


def _targets(order: Order, step_ids: tuple[str, ...]) -> tuple[ScheduledStep, ...] | None:
    if not step_ids:
        return order.steps
    by_id = {step.scheduled_procedure_step_id: step for step in order.steps}
    if any(own not in by_id for own in step_ids):
        return None
    return tuple(by_id[own] for own in dict.fromkeys(step_ids))


def _with(known: Kept, statuses: Mapping[str, StepStatus], origin: Origin) -> Stepped:
    steps, origins, changed = [], dict(known.origins), []
    for step in known.order.steps:
        own = step.scheduled_procedure_step_id
        status = statuses.get(own, step.status)
        if status is not step.status:
            step = replace(step, status=status)  # noqa: PLW2901 - the step as it stands now
            origins[own, _STATUS] = origin
            changed.append(own)
        steps.append(step)
    return Stepped(replace(known.order, steps=tuple(steps)), origins, tuple(changed))
