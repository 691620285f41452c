"""What the parts of one order say together, as one change: order, steps, origins, nulls, what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.orders import values
from broker.orders.mapping import Rule
from broker.orders.messages.context import Context
from broker.orders.messages.grouping import OrderGroup
from broker.orders.messages.identity import FILLER, PLACER
from broker.orders.messages.patient import Person, attributes_of, missing_of
from broker.orders.messages.reading import Reader, Stated, make
from broker.orders.messages.times import instant
from broker.orders.model import (
    Action,
    Code,
    Missing,
    Order,
    OrderChange,
    OrderKeys,
    Origin,
    Place,
    ScheduledStep,
)

_ORDER_TYPED = frozenset(
    {
        PLACER,
        FILLER,
        "AccessionNumber",
        "RequestedProcedureID",
        "StudyInstanceUID",
        "RequestedProcedureDescription",
        "RequestedProcedureCodeSequence",
    }
)
_STEP_ID = "ScheduledProcedureStepID"
_PROTOCOL = "ScheduledProtocolCodeSequence"
_STEP_TYPED = frozenset(
    {
        _STEP_ID,
        _PROTOCOL,
        "Modality",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepDescription",
        "ScheduledPerformingPhysicianName",
    }
)
_COMMENTS = "RequestedProcedureComments"
_ORDERING = frozenset({Action.NEW, Action.CHILD})
# A parent is not scheduled itself.
_WITHOUT_STEPS = frozenset({Action.PARENT})


@dataclass(slots=True)
class Part:
    """One step of one group: what it asks for and what it says."""

    action: Action
    group: OrderGroup
    person: Person
    reader: Reader
    rules: Sequence[Rule]  # that read the step
    order: Stated
    step: Stated
    keys: OrderKeys
    parent: OrderKeys | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """Parts of equal identity are about one order.

        A stated study is one requested procedure, unless accession numbers or procedure IDs tell orders apart; without
        it the first of accession, filler and placer number does.
        """
        keys = self.keys
        numbers = () if keys.study_instance_uid else (keys.filler_order_number, keys.placer_order_number)
        number = next(filter(None, (keys.accession_number, *numbers)), "")
        return (self.action, id(self.group.patient), keys.study_instance_uid, number, keys.requested_procedure_id)


@dataclass(slots=True)
class _Steps:
    """The steps of one change, by their number from 1."""

    steps: list[ScheduledStep]
    origins: dict[Place, Origin]
    cleared: set[Place]


def change_of(parts: Sequence[Part], context: Context, sent: datetime | None, creates: bool = True) -> OrderChange:
    """Return the change of one order. `sent` is MSH-7, where it says so; `creates` whether it may create the order."""
    first = parts[0]
    said = _order_of(parts)
    steps = _steps_of(parts)
    orc = first.group.first("ORC")
    effective = instant(orc.get(9).strip(), context.source.timezone) if orc and orc.raw(9) else None
    return OrderChange(
        action=first.action,
        keys=first.keys,
        order=_order(first, said, steps, context),
        location=first.group.location,
        step_ids=_step_ids(parts),
        origins=first.person.origins | {(0, word): origin for word, origin in said.origins.items()} | steps.origins,
        cleared=first.person.cleared | {(0, word) for word in said.cleared} | steps.cleared,
        missing=_missing(first, parts, steps.steps),
        effective=effective or sent,
        sent=sent,
        parent=next(filter(None, (part.parent for part in parts)), None),
        creates=creates,
    )


def _order(first: Part, said: Stated, steps: _Steps, context: Context) -> Order:
    return Order(
        patient=first.person.patient,
        placer_order_number=said.text(PLACER),
        filler_order_number=said.text(FILLER),
        accession_number=said.text("AccessionNumber"),
        requested_procedure_id=said.text("RequestedProcedureID"),
        study_instance_uid=said.text("StudyInstanceUID"),
        requested_procedure_description=said.text("RequestedProcedureDescription"),
        requested_procedure_code=next(iter(said.codes("RequestedProcedureCodeSequence")), None),
        steps=tuple(steps.steps),
        timezone=context.timezone.key,
        attributes=attributes_of(said, _ORDER_TYPED),
        visit=first.person.visit,
    )


def _order_of(parts: Sequence[Part]) -> Stated:
    """Return what the parts say of the order: the first that states a value wins, comments are joined."""
    if len(parts) == 1:
        return parts[0].order
    said = Stated()
    for part in reversed(parts):
        said.values |= part.order.values
        said.origins |= part.order.origins
        said.cleared |= part.order.cleared
    said.cleared -= said.values.keys()
    comments = list(dict.fromkeys(filter(None, (part.order.text(_COMMENTS) for part in parts))))
    if len(comments) > 1:
        said.values[_COMMENTS] = values.lines(comments)
    return said


def _step_ids(parts: Iterable[Part]) -> tuple[str, ...]:
    """Return the IDs of the steps that are named, or none where a part is about all of them."""
    named = [part.step.text(_STEP_ID) for part in parts]
    return tuple(dict.fromkeys(named)) if all(named) else ()


def _steps_of(parts: Sequence[Part]) -> _Steps:
    """Return the steps that are stated; equal IDs are one step with several protocols."""
    found = _Steps([], {}, set())
    numbers: dict[str, int] = {}
    protocols: dict[int, dict[Code, None]] = {}
    for part in parts:
        if not part.step.values and part.action not in _ORDERING:
            continue
        make(part.rules, part.reader, part.step)
        own = part.step.text(_STEP_ID)
        if own in numbers:
            first = found.steps[numbers[own] - 1].scheduled_protocol_codes
            together = protocols.setdefault(numbers[own], dict.fromkeys(first))
            together |= dict.fromkeys(part.step.codes(_PROTOCOL))
            continue
        number = len(found.steps) + 1
        if own:
            numbers[own] = number
        found.steps.append(_step(part.step))
        found.origins |= {(number, word): origin for word, origin in part.step.origins.items()}
        found.cleared |= {(number, word) for word in part.step.cleared}
    for number, codes in protocols.items():
        found.steps[number - 1] = replace(found.steps[number - 1], scheduled_protocol_codes=tuple(codes))
    return found


def _step(said: Stated) -> ScheduledStep:
    stations = said.text("ScheduledStationAETitle")
    return ScheduledStep(
        scheduled_procedure_step_id=said.text(_STEP_ID),
        modality=said.text("Modality"),
        scheduled_procedure_step_start_date=said.text("ScheduledProcedureStepStartDate"),
        scheduled_procedure_step_start_time=said.text("ScheduledProcedureStepStartTime"),
        scheduled_station_ae_titles=tuple(stations.split("\\")) if stations else (),
        scheduled_procedure_step_description=said.text("ScheduledProcedureStepDescription"),
        scheduled_protocol_codes=said.codes(_PROTOCOL),
        scheduled_performing_physician_name=said.text("ScheduledPerformingPhysicianName"),
        attributes=attributes_of(said, _STEP_TYPED),
    )


def _missing(first: Part, parts: Sequence[Part], steps: Sequence[ScheduledStep]) -> Missing | None:
    """Return what of type 1 the message lacks to create the order; nothing of it can be made here."""
    lacking = missing_of(first.person.patient, first.group.patient.first("PID"))
    if lacking or first.action in _WITHOUT_STEPS or (steps and all(step.modality for step in steps)):
        return lacking
    part = next((part for part in parts if not part.step.text("Modality")), first)
    rule = next((rule for rule in part.rules if rule.keyword == "Modality"), None)
    place = part.reader.place(rule) if rule else part.group.location
    return Missing(place, "Modality is missing and cannot be derived")
