"""From what was recorded of an exam to the lines of its ledger: one stage a function, gathered in `STAGES`. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from broker.exams import proving, transfers
from broker.exams.limits import Limits, lateness, scheduled
from broker.exams.model import Exam, Line, Mark, Offered, Recorded, Stage, Standing
from broker.orders.model import PERFORMED, Did, StepStatus
from broker.procedures.model import FINAL, PerformedStatus, StoredStep, Unlinked
from broker.worklist.model import WorklistItem
from broker.worklist.store import OFFERED

_TO_BEGIN = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.HELD})


def exam(recorded: Recorded, limits: Limits) -> Exam:
    """Return the exam with its lines, and each of its stages in a word."""
    lines = tuple(_of_canceled(recorded, line) for stage in STAGES for line in stage(recorded, limits))
    stages = {stage: _standing([line for line in lines if line.stage is stage]) for stage in Stage}
    return Exam(recorded.stored, lines, stages)


def _of_canceled(recorded: Recorded, line: Line) -> Line:
    """Return a line, which of a canceled order is not waited for where it has not begun."""
    is_over = recorded.stored.canceled and line.mark is Mark.NOT_YET
    return replace(line, mark=Mark.NOT_ASKED, late="") if is_over else line


# --- ordered -----------------------------------------------------------------------------------------------------


def _ordered(recorded: Recorded, limits: Limits) -> list[Line]:
    first = next((entry for entry in recorded.history if entry.did is Did.CREATED), None)
    others = [entry for entry in recorded.history if entry is not first and entry.did is not Did.CANCELED]
    changes = {entry.entry_id for entry in others if entry.entry_id}
    found = []
    if first is None:
        found.append(Line(Stage.ORDERED, Mark.NOT_YET, "canceled before it was ordered"))
    else:
        text = _message(recorded, first.entry_id)
        more = f"; changed by {len(changes)} more" if changes else ""
        sender = recorded.message.sending_application if recorded.message else ""
        found.append(Line(Stage.ORDERED, Mark.DONE, f"{text}{more}", first.at, sender))
    canceled = [entry for entry in recorded.history if entry.did is Did.CANCELED]
    if recorded.stored.canceled and canceled:
        last = canceled[-1]
        by = f" by message {last.entry_id} of the inbox" if last.entry_id else ""
        found.append(Line(Stage.ORDERED, Mark.DONE, f"canceled{by}", last.at))
    return found


def _message(recorded: Recorded, entry_id: int) -> str:
    if recorded.message is None:
        return f"message {entry_id} of the inbox" if entry_id else "made here"
    message = recorded.message
    source = f" of source {message.source}" if message.source else ""
    return f"{message.message_type} {message.control_id}{source} (message {entry_id} of the inbox)"


# --- offered -----------------------------------------------------------------------------------------------------


def _offered(recorded: Recorded, limits: Limits) -> list[Line]:
    items = {item.id: item for item in recorded.items}
    found = [_offered_line(one, items, len(items) > 1) for one in recorded.offered]
    gone = [item for item in recorded.items if item.id in recorded.withdrawn]
    if expired := [item for item in gone if item.status in OFFERED]:
        found.append(Line(Stage.OFFERED, _gone(found), f"offered no longer: the day of {_steps(expired)} is long over"))
    elif gone and len(gone) == len(items) and not found:
        statuses = " and ".join(sorted({item.status.value for item in gone}))
        found.append(Line(Stage.OFFERED, Mark.NOT_ASKED, f"never answered to a device; now {statuses}"))
    if not items:
        found.append(Line(Stage.OFFERED, Mark.PERSON, "it has no step that could be offered"))
    return found or [Line(Stage.OFFERED, Mark.NOT_YET, "no device has been answered with it yet")]


def _offered_line(one: Offered, items: dict[int, WorklistItem], several: bool) -> Line:
    step = f" (step {items[one.item_id].scheduled_procedure_step_id})" if several else ""
    times = "once" if one.times == 1 else f"{one.times} times"
    return Line(Stage.OFFERED, Mark.DONE, f"answered {times}{step}", one.first, one.device, one.times, last=one.last)


def _gone(found: Sequence[Line]) -> Mark:
    return Mark.DONE if found else Mark.PERSON


def _steps(items: Sequence[WorklistItem]) -> str:
    return "step " + ", ".join(item.scheduled_procedure_step_id for item in items)


# --- started and completed -----------------------------------------------------------------------------------------


def _started(recorded: Recorded, limits: Limits) -> list[Line]:
    return [*map(_taken_back, recorded.unlinked), *_begun(recorded, limits)]


def _taken_back(one: Unlinked) -> Line:
    text = f"not this exam: performed step {one.sop_instance_uid} was unlinked with its images: {one.why}"
    return Line(Stage.STARTED, Mark.NOT_ASKED, text, one.at, one.by)


def _begun(recorded: Recorded, limits: Limits) -> list[Line]:
    begun = [
        (step.created, _began(step), step.step.performed_station_ae_title or step.calling_ae_title)
        for step in recorded.steps
    ]
    begun = begun or _told(recorded) or _seen(recorded)
    due = scheduled(recorded.stored.order, limits.timezone)
    minutes = limits.settings.started_late_minutes
    if not begun:
        open_ = not recorded.stored.canceled and any(item.status in OFFERED for item in recorded.items)
        late = lateness(due, None, minutes, limits.now, "its scheduled start") if open_ else ""
        return [Line(Stage.STARTED, Mark.NOT_YET, _not_begun(recorded, due), due if open_ else None, late=late)]
    first = min(at for at, _, _ in begun)
    late = lateness(due, first, minutes, limits.now, "its scheduled start")
    return [
        Line(Stage.STARTED, Mark.DONE, text, at, about, late=late if at == first else "") for at, text, about in begun
    ]


def _began(known: StoredStep) -> str:
    own = known.step.performed_procedure_step_id
    return f"performed step {own} (MPPS)" if own else "performed step (MPPS)"


def _told(recorded: Recorded) -> list[tuple[datetime, str, str]]:
    """Return who else said that something was performed: the RIS, or a person here. What was taken back is nothing."""
    said = [entry for entry in recorded.history if entry.did is Did.STATUS]
    is_performed = [any(status.value in entry.text for status in PERFORMED) for entry in said]
    since = max((number for number, performed in enumerate(is_performed, 1) if not performed), default=0)
    if since == len(said):
        return []
    entry = said[since]
    by = f"message {entry.entry_id} of the inbox says" if entry.entry_id else "set here:"
    return [(entry.at, f"{by} {entry.text} (no MPPS)", "")]


def _seen(recorded: Recorded) -> list[tuple[datetime, str, str]]:
    if not recorded.images:
        return []
    first = min(recorded.images, key=lambda image: image.received)
    return [(first.received, "no MPPS: taken from the first image", first.device)]


def _not_begun(recorded: Recorded, due: datetime | None) -> str:
    statuses = {item.status for item in recorded.items}
    if recorded.stored.canceled or statuses == {StepStatus.CANCELED}:
        return "canceled"
    if statuses == {StepStatus.HELD}:
        return "held"
    return "no device has begun; its scheduled start stands beside" if due else "no device has begun"


def _completed(recorded: Recorded, limits: Limits) -> list[Line]:
    if recorded.steps:
        return [*map(_ended, recorded.steps), *_left(recorded)]
    over = {StepStatus.COMPLETED, StepStatus.DISCONTINUED}
    statuses = [item.status for item in recorded.items]
    if statuses and set(statuses) <= over:
        entry = next((e for e in reversed(recorded.history) if e.did is Did.STATUS), None)
        text = f"{' and '.join(sorted(set(statuses)))} (no MPPS)"
        return [Line(Stage.COMPLETED, Mark.DONE, text, entry.at if entry else None)]
    if recorded.images:
        return [transfers.quiet(recorded.images, limits)]
    return [Line(Stage.COMPLETED, Mark.NOT_YET, "")]


def _ended(known: StoredStep) -> Line:
    step = known.step
    about = step.performed_station_ae_title or known.calling_ae_title
    numbers = f"{step.images} images in {len(step.series)} series"
    if step.status not in FINAL:
        return Line(Stage.COMPLETED, Mark.PARTLY, f"in progress, {numbers} listed so far", known.updated, about)
    if step.status is PerformedStatus.COMPLETED:
        return Line(Stage.COMPLETED, Mark.DONE, f"completed, {numbers} listed", known.updated, about, step.images)
    reason = step.discontinuation_reason
    why = f": {reason.meaning or reason.value}" if reason else ""
    return Line(Stage.COMPLETED, Mark.DONE, f"discontinued{why}, {numbers} listed", known.updated, about, step.images)


def _left(recorded: Recorded) -> list[Line]:
    """Return a line for the steps that nobody has begun: an exam is over when all of its steps are."""
    left = [item for item in recorded.items if item.status in _TO_BEGIN]
    return [Line(Stage.COMPLETED, Mark.NOT_YET, f"{_steps(left)}: still to be done")] if left else []


# --- together ----------------------------------------------------------------------------------------------------

STAGES: tuple[Callable[[Recorded, Limits], list[Line]], ...] = (
    _ordered,
    _offered,
    _started,
    _completed,
    transfers.received,
    transfers.delivered,
    proving.proven,
    transfers.reported,
)


_BY_DESTINATION = frozenset({Stage.DELIVERED, Stage.PROVEN})
"""Of which the destination that lags behind says how far the stage is."""

_UNTIMED = frozenset({Mark.NOT_YET, Mark.NOT_ASKED})
"""Of which a time says nothing of the stage."""


def _standing(lines: Sequence[Line]) -> Standing:
    """Return a stage in a word: what needs a person before what goes on, that before what is done."""
    marks = {line.mark for line in lines}
    counts = [line.count for line in lines if line.count is not None]
    known = [line.of for line in lines if line.of is not None]
    return Standing(
        mark=_worst(marks),
        at=min((line.at for line in lines if line.at is not None and line.mark not in _UNTIMED), default=None),
        count=min(counts)
        if lines and lines[0].stage in _BY_DESTINATION and counts
        else sum(counts)
        if counts
        else None,
        of=max(known) if known else None,
        late=any(line.late for line in lines),
    )


def _worst(marks: set[Mark]) -> Mark:
    marks = marks - {Mark.NOT_ASKED} or marks
    if Mark.PERSON in marks:
        return Mark.PERSON
    if marks <= {Mark.DONE}:
        return Mark.DONE if marks else Mark.NOT_YET
    if Mark.PARTLY in marks or Mark.DONE in marks:
        return Mark.PARTLY
    return Mark.NOT_YET if Mark.NOT_YET in marks else Mark.NOT_ASKED
