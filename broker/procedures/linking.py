"""Which scheduled steps a performed step belongs to, and how they stand after it (E.5), as tables. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from broker.orders.model import PERFORMED, StepStatus
from broker.procedures.model import Link, PerformedStatus, Rule, ScheduledItem
from broker.worklist.model import PlannedStep

OPEN = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.HELD, StepStatus.STARTED})
"""What may still be performed, or is being performed."""


# --- which -------------------------------------------------------------------------------------------------------


def _same_accession(item: ScheduledItem, step: PlannedStep) -> bool:
    return bool(item.accession_number) and item.accession_number == step.accession_number


def _same_step(item: ScheduledItem, step: PlannedStep) -> bool:
    own = item.scheduled_procedure_step_id
    return bool(own) and own == step.scheduled_procedure_step_id


def _same_study(item: ScheduledItem, step: PlannedStep) -> bool:
    return item.study_instance_uid == step.study_instance_uid


def _study_and_step(item: ScheduledItem, step: PlannedStep) -> bool:
    # Several orders of one group share a Study Instance UID, and each may call its step "1": the accession decides.
    contradicts = item.accession_number and step.accession_number and not _same_accession(item, step)
    return _same_study(item, step) and _same_step(item, step) and not contradicts


def _accession_and_procedure(item: ScheduledItem, step: PlannedStep) -> bool:
    own = item.requested_procedure_id
    return _same_accession(item, step) and bool(own) and own == step.requested_procedure_id


RULES: tuple[tuple[Rule, Callable[[ScheduledItem, PlannedStep], bool]], ...] = (
    (Rule.STUDY_AND_STEP, _study_and_step),
    (Rule.ACCESSION_AND_STEP, lambda item, step: _same_accession(item, step) and _same_step(item, step)),
    (Rule.ACCESSION_AND_PROCEDURE, _accession_and_procedure),
    (Rule.STUDY_AND_STEP_ONLY, lambda item, step: _same_study(item, step) and _same_step(item, step)),
    (Rule.STUDY, _same_study),
)
"""Tried in this order; the first that finds one step, or one that is still open, is taken."""

_BY_STUDY = frozenset({Rule.STUDY_AND_STEP, Rule.STUDY_AND_STEP_ONLY, Rule.STUDY})


def links(items: Sequence[ScheduledItem], candidates: Sequence[PlannedStep], patient_id: str) -> tuple[Link, ...]:
    """Return the scheduled step of each item of a performed step; an item that has none is unscheduled.

    By a number that another hospital may use too, no step of another patient is taken; by a Study Instance UID it
    is, since only our worklist could have given it: `differs` tells of it.
    """
    found: list[Link] = []
    for number, item in enumerate(items):
        for rule, fits in RULES:
            step = _only([one for one in candidates if fits(item, one) and _may_be(rule, one, patient_id)])
            if step is not None:
                found.append(Link(step.order_id, step.scheduled_procedure_step_id, rule, number, step.status))
                break
    return tuple(found)


def differs(candidates: Iterable[PlannedStep], linked: Iterable[Link], patient_id: str) -> bool:
    """Tell whether a linked step is another patient's, as far as identifiers are stated."""
    keys = {(link.order_id, link.step_id) for link in linked}
    theirs = [one for one in candidates if (one.order_id, one.scheduled_procedure_step_id) in keys]
    return any(_is_another(one, patient_id) for one in theirs)


def _only(steps: Sequence[PlannedStep]) -> PlannedStep | None:
    """Return the one step; of several the one that is open, else the one that was performed: more is appended to it."""
    for among in (
        steps,
        [step for step in steps if step.status in OPEN],
        [step for step in steps if step.status in PERFORMED],
    ):
        if len(among) == 1:
            return among[0]
    return None


def _may_be(rule: Rule, step: PlannedStep, patient_id: str) -> bool:
    return rule in _BY_STUDY or not _is_another(step, patient_id)


def _is_another(step: PlannedStep, patient_id: str) -> bool:
    return bool(patient_id and step.patient_id) and patient_id != step.patient_id


# --- how they stand then -----------------------------------------------------------------------------------------


class Ending(Enum):
    """What a discontinued performed step means for its scheduled steps."""

    OVER = auto()  # DISCONTINUED
    AGAIN = auto()  # back to SCHEDULED: to be performed another time
    UNLESS_IMAGES = auto()  # AGAIN where nothing was made, else OVER
    NEVER = auto()  # as if it had not been: the wrong entry of the worklist was selected


INCORRECT_WORKLIST_ENTRY = "110514"

ENDINGS: dict[str, Ending] = {  # PS3.16 CID 9300
    "110500": Ending.OVER,  # doctor canceled procedure
    "110501": Ending.UNLESS_IMAGES,  # equipment failure
    "110502": Ending.OVER,  # incorrect procedure ordered
    "110503": Ending.OVER,  # patient allergic to media or contrast
    "110504": Ending.OVER,  # patient died
    "110505": Ending.OVER,  # patient refused to continue procedure
    "110506": Ending.UNLESS_IMAGES,  # patient taken for treatment or surgery
    "110507": Ending.OVER,  # patient did not arrive
    "110508": Ending.OVER,  # patient pregnant
    "110509": Ending.OVER,  # change of procedure for correct charging
    "110510": Ending.OVER,  # duplicate order
    "110511": Ending.OVER,  # nursing unit cancel
    "110512": Ending.OVER,  # incorrect side ordered
    "110513": Ending.UNLESS_IMAGES,  # discontinued for unspecified reason
    INCORRECT_WORKLIST_ENTRY: Ending.NEVER,
    "110515": Ending.UNLESS_IMAGES,  # patient condition prevented continuing
    "110516": Ending.UNLESS_IMAGES,  # equipment change
    "110518": Ending.UNLESS_IMAGES,  # patient movement
    "110519": Ending.UNLESS_IMAGES,  # operator error
    "110526": Ending.UNLESS_IMAGES,  # resource pre-emption
    "110527": Ending.UNLESS_IMAGES,  # resource inadequate
    "110528": Ending.AGAIN,  # discontinued procedure step rescheduled
    "110529": Ending.AGAIN,  # discontinued procedure step rescheduling recommended
}
"""By discontinuation reason (DCM). A reason that is not here, or none, is an unspecified one (110513)."""

# Whoever set these had a reason that a performed step which never was does not change.
_STAYS = frozenset({StepStatus.CANCELED, StepStatus.HELD, StepStatus.COMPLETED, StepStatus.DISCONTINUED})


@dataclass(frozen=True, slots=True)
class Performance:
    """One performed step of a scheduled step: how it stands, why it was discontinued, and what it made."""

    status: PerformedStatus
    reason: str  # Code Value
    images: int


def status_after(performances: Sequence[Performance], before: StepStatus) -> StepStatus:
    """Return how a scheduled step stands after all that was performed of it, in the order of its beginnings.

    `before` is how it stood before any of it. Something in progress makes it STARTED, else something completed
    COMPLETED; of discontinued ones the last counts.
    """
    statuses = {performance.status for performance in performances}
    if PerformedStatus.IN_PROGRESS in statuses:
        return StepStatus.STARTED
    if PerformedStatus.COMPLETED in statuses:
        return StepStatus.COMPLETED
    endings = [ending for performance in performances if (ending := _ending(performance)) is not Ending.NEVER]
    if endings:
        return StepStatus.SCHEDULED if endings[-1] is Ending.AGAIN else StepStatus.DISCONTINUED
    return before if before in _STAYS else StepStatus.SCHEDULED


def _ending(performance: Performance) -> Ending:
    ending = ENDINGS.get(performance.reason, Ending.UNLESS_IMAGES)
    if ending is Ending.UNLESS_IMAGES:
        return Ending.OVER if performance.images else Ending.AGAIN
    return ending
