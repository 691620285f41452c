"""What a statement does to stored values, and whose each value then is. Pure; the caller has found what is meant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from broker.orders import names
from broker.orders.model import (
    KEYWORDS,
    PERFORMED,
    Action,
    Code,
    Order,
    OrderChange,
    Origin,
    Patient,
    Place,
    Refusal,
    ScheduledStep,
)
from broker.orders.state import NEXT

_T = TypeVar("_T", Patient, ScheduledStep, Order)

ADMISSION = "AdmissionID"
_DESCRIPTIVE = ("requested_procedure_description", "requested_procedure_code")
_NUMBERS = ("placer_order_number", "filler_order_number")
_ORDER = (*_NUMBERS, "accession_number", "requested_procedure_id", "study_instance_uid", *_DESCRIPTIVE)
_STEP = (
    "modality",
    "scheduled_procedure_step_start_date",
    "scheduled_procedure_step_start_time",
    "scheduled_station_ae_titles",
    "scheduled_procedure_step_description",
    "scheduled_protocol_codes",
    "scheduled_performing_physician_name",
)
_START = (KEYWORDS["scheduled_procedure_step_start_date"], KEYWORDS["scheduled_procedure_step_start_time"])
PATIENT = ("patient_name", "patient_birth_date", "patient_sex")
PATIENT_KEYWORDS = frozenset(KEYWORDS[name] for name in ("patient_id", "issuer_of_patient_id", *PATIENT))
ORDERING = frozenset({Action.NEW, Action.CHILD, Action.PARENT})
"""What creates and refreshes patient and visit; a change order speaks of procedure and schedule only (RAD-13)."""

_STATUS = KEYWORDS["status"]
_STEP_ID = KEYWORDS["scheduled_procedure_step_id"]
_CANCELED = "the step was canceled by a newer message"
_WHICH = "ScheduledProcedureStepID is missing: which step is meant?"


@dataclass(slots=True)
class Statement:
    """What a message says of where its values come from, and a tally of what it changed."""

    origins: Mapping[Place, Origin]
    cleared: frozenset[Place]
    entry_id: int
    changed: list[str] = field(default_factory=list)  # keywords
    said: list[str] = field(default_factory=list)  # for the sender

    def overrides(self, place: Place, known: object) -> bool:
        """Tell whether a stated value replaces what is known: one made here only fills a gap."""
        origin = self.origins.get(place)
        return not known or origin is None or not origin.made_here

    def note(self, place: Place, kept: dict[tuple[str, str], Origin], step: str) -> None:
        """Remember that a value changed and where it now comes from."""
        self.changed.append(place[1])
        origin = self.origins.get(place)
        if origin is None:
            kept.pop((step, place[1]), None)
        else:
            kept[step, place[1]] = Origin(origin.source, origin.rule, self.entry_id)

    def say(self, text: str) -> None:
        """Tell the sender once."""
        if text and text not in self.said:
            self.said.append(text)


@dataclass(frozen=True, slots=True)
class Merged:
    """An order after a statement; its `visit` is what the order itself states."""

    order: Order
    origins: dict[tuple[str, str], Origin]


def merged(
    stored: Order, origins: Mapping[tuple[str, str], Origin], change: OrderChange, said: Statement, *, revived: bool
) -> Merged:
    """Return the stored order with what the change states; what it does not mention stays.

    What has begun keeps what the modality took: of such an order only the description changes. A canceled step is
    scheduled again only where `revived`: the statement is newer than the cancel. Raises Refusal AE 101 where steps
    without ID do not tell which stored steps they mean.
    """
    kept = dict(origins)
    stated = change.order
    begun = any(step.status in PERFORMED for step in stored.steps)
    fields: tuple[str, ...] = _ORDER
    if begun:
        fields = (*_DESCRIPTIVE, *(name for name in _NUMBERS if not getattr(stored, name)))
    order = overwritten(stored, stated, fields, (0, ""), said, kept=kept)
    attributes = with_stated(stored.attributes, stated.attributes, (0, ""), said, kept)
    visit = stored.visit
    if change.action in ORDERING:
        base = stored.visit if same_visit(stored.visit, stated.visit) else {}
        visit = with_stated(base, stated.visit, (0, ""), said, kept)
    steps = () if change.action is Action.PARENT else stated.steps
    merged_steps = _merged_steps(order, steps, change, said, kept, revived=revived)
    timezone = stated.timezone if _states_start(change) and stated.timezone else order.timezone
    order = replace(order, attributes=attributes, visit=visit, steps=merged_steps, timezone=timezone)
    return Merged(order, kept)


def overwritten(
    stored: _T,
    stated: _T,
    fields: Iterable[str],
    place: tuple[int, str],
    said: Statement,
    *,
    kept: dict[tuple[str, str], Origin],
) -> _T:
    """Return `stored` with each field that `stated` gives; null clears. `place`: the number stated, the ID stored."""
    updates: dict[str, object] = {}
    for name in fields:
        where = (place[0], KEYWORDS[name])
        value, known = getattr(stated, name), getattr(stored, name)
        if where in said.cleared:
            if known:
                updates[name] = None if isinstance(known, Code) else type(known)()
                said.note(where, kept, place[1])
        elif value and value != known and said.overrides(where, known):
            updates[name] = value
            said.note(where, kept, place[1])
    return replace(stored, **updates) if updates else stored  # type: ignore[arg-type]


def with_stated(
    stored: dict[str, str],
    stated: Mapping[str, str],
    place: tuple[int, str],
    said: Statement,
    kept: dict[tuple[str, str], Origin],
) -> dict[str, str]:
    """Return attributes by keyword with those that are stated; null removes."""
    number, step = place
    found = dict(stored)
    for keyword, value in stated.items():
        if value and value != found.get(keyword) and said.overrides((number, keyword), found.get(keyword)):
            found[keyword] = value
            said.note((number, keyword), kept, step)
    for cleared, keyword in said.cleared:
        if cleared == number and keyword in stored and not stated.get(keyword):
            del found[keyword]
            said.note((number, keyword), kept, step)
    return found


def order_origins(change: OrderChange, steps: Sequence[ScheduledStep], entry_id: int) -> dict[tuple[str, str], Origin]:
    """Return the origins of a new order's values, without the patient's."""
    patients = change.order.patient.attributes
    ids = ("", *(step.scheduled_procedure_step_id for step in steps))
    count = len(ids)
    new = tuple.__new__  # what `Origin(…)` comes to, without its own call: every value of every message has one
    return {
        (ids[number], keyword): new(Origin, (source, rule, entry_id))
        for (number, keyword), (source, rule, _) in change.origins.items()
        if number < count and (number or (keyword not in PATIENT_KEYWORDS and keyword not in patients))
    }


def same_visit(known: Mapping[str, str], stated: Mapping[str, str]) -> bool:
    """Tell whether two statements may be about one visit: their AdmissionIDs do not differ."""
    one, other = known.get(ADMISSION), stated.get(ADMISSION)
    return not (one and other) or one == other


def _states_start(change: OrderChange) -> bool:
    for number, step in enumerate(change.order.steps, 1):
        origin = change.origins.get((number, _START[0]))
        if step.scheduled_procedure_step_start_date and not (origin and origin.made_here):
            return True
    return False


def _merged_steps(
    order: Order,
    stated: Sequence[ScheduledStep],
    change: OrderChange,
    said: Statement,
    kept: dict[tuple[str, str], Origin],
    *,
    revived: bool,
) -> tuple[ScheduledStep, ...]:
    steps = {step.scheduled_procedure_step_id: step for step in order.steps}
    added: list[tuple[int, ScheduledStep]] = []
    for number, step in enumerate(stated, 1):
        meant = _meant(order, number, step, change, kept)
        if meant is None:
            added.append((number, step))
            continue
        known = steps[meant]
        next_ = NEXT[known.status, change.action]
        again = next_.status is not known.status  # ordered anew after its cancel
        said.say(next_.text or ("" if revived or not again else _CANCELED))
        if next_.text or (again and not revived):
            continue
        steps[meant] = _merged_step(known, step, number, said, kept)
    found = tuple(steps.values())
    return found + _added(order, found, added, change, said, kept=kept)


def _merged_step(
    known: ScheduledStep, step: ScheduledStep, number: int, said: Statement, kept: dict[tuple[str, str], Origin]
) -> ScheduledStep:
    own = known.scheduled_procedure_step_id
    found = overwritten(known, step, _STEP, (number, own), said, kept=kept)
    attributes = with_stated(known.attributes, step.attributes, (number, own), said, kept)
    renamed = step.scheduled_procedure_step_id or own
    status = NEXT[known.status, Action.NEW].status
    if status is not known.status:
        said.note((number, _STATUS), kept, own)
    if renamed != own:
        for place in [place for place in kept if place[0] == own]:
            kept[renamed, place[1]] = kept.pop(place)
        said.note((number, _STEP_ID), kept, renamed)
    return replace(found, attributes=attributes, status=status, scheduled_procedure_step_id=renamed)


def _meant(
    order: Order,
    number: int,
    step: ScheduledStep,
    change: OrderChange,
    kept: Mapping[tuple[str, str], Origin],
) -> str | None:
    """Return the ID of the stored step that a stated one means, None for one that is new to the order."""
    known = [stored.scheduled_procedure_step_id for stored in order.steps]
    own = step.scheduled_procedure_step_id
    if own in known or not known:
        return own if own in known else None
    by_place = known[number - 1] if len(change.order.steps) == len(known) else None
    if own:
        return by_place if by_place and _may_be_renamed(order.steps[number - 1], kept) else None
    if by_place is None:
        raise Refusal("AE", change.location, "101", _WHICH)
    return by_place


def _may_be_renamed(step: ScheduledStep, kept: Mapping[tuple[str, str], Origin]) -> bool:
    """Tell whether a step's ID was made here and no modality has taken the step: then a stated ID replaces it."""
    origin = kept.get((step.scheduled_procedure_step_id, _STEP_ID))
    return origin is not None and origin.made_here and step.status not in PERFORMED


def _added(
    order: Order,
    known: Sequence[ScheduledStep],
    added: Sequence[tuple[int, ScheduledStep]],
    change: OrderChange,
    said: Statement,
    *,
    kept: dict[tuple[str, str], Origin],
) -> tuple[ScheduledStep, ...]:
    """Return the steps that are new to a known order, named; their modality may go without saying."""
    if not added:
        return ()
    made: dict[tuple[str, str], Origin] = {}
    taken = [step.scheduled_procedure_step_id for step in known]
    named = names.named_steps([step for _, step in added], order.requested_procedure_id, made, taken)
    kept.update({place: origin._replace(entry_id=said.entry_id) for place, origin in made.items()})
    found = []
    for (number, _), step in zip(added, named, strict=True):
        own = step.scheduled_procedure_step_id
        for place in [place for place in change.origins if place[0] == number]:
            said.note(place, kept, own)
        said.changed.append(_STEP_ID)
        modality = step.modality or (known[0].modality if known else "")
        if not modality and change.missing:
            raise Refusal("AE", change.missing.location, "101", change.missing.text)
        found.append(replace(step, modality=modality))
    return tuple(found)
