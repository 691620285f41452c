"""Order groups into order changes: what ORM, OMI and OMG have in common. Reads no stored order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.orders.mapping import Rule
from broker.orders.messages.changes import Part, change_of
from broker.orders.messages.context import Context
from broker.orders.messages.forms import FORMS
from broker.orders.messages.grouping import OrderGroup, Segments, order_groups
from broker.orders.messages.identity import keys_of, parent_of
from broker.orders.messages.patient import Person, person_of, reader_of
from broker.orders.messages.reading import read
from broker.orders.messages.times import instant
from broker.orders.model import Action, OrderChange, Refusal
from hl7.message import Message

_STATUSES = frozenset({Action.ARRIVE, Action.START, Action.COMPLETE, Action.HOLD})
# Of the patient where they stand before the order, of the order else.
_OF_EITHER = ("NTE", "OBX", "DG1")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the segments of one message are read: by which rules, from whom, made when (MSH-7, where it says so)."""

    context: Context
    sent: datetime | None
    order: Sequence[Rule]
    step: Sequence[Rule]


def order_changes(message: Message, context: Context) -> tuple[OrderChange, ...]:
    """Return one change for each order, in wire order. Raises Refusal for the whole message."""
    groups = order_groups(message)
    if not groups:
        raise Refusal("AE", "ORC^1", "100", "the message has neither ORC nor OBR")
    sent = instant(message.header.date_time, context.source.timezone)
    reading = Reading(context, sent, context.mapping.order, context.mapping.step)
    persons: dict[int, Person] = {}
    together: dict[tuple[object, ...], list[Part]] = {}
    for group in groups:
        action = _action(group, context)
        if action is Action.NOTHING:
            continue
        owner = id(group.patient)
        if owner not in persons:
            persons[owner] = person_of(group.patient, context, sent)
        for segments in _steps_of(group):
            part = part_of(reading, group, segments, action, persons[owner])
            together.setdefault(part.identity, []).append(part)
    changes = [change for parts in together.values() for change in _asked(parts, context, sent)]
    return _with_replaced(changes)


def _asked(parts: Sequence[Part], context: Context, sent: datetime | None) -> Iterator[OrderChange]:
    """Yield what the parts of one order ask for; a change that names a status too (XO with IP) is both."""
    change = change_of(parts, context, sent)
    orc = parts[0].group.first("ORC")
    if change.action in _STATUSES and orc is not None:
        alone = context.order_control.action_of(orc.get(1).strip().upper(), "", "", orc.location())
        if alone is Action.CHANGE:
            yield replace(change, action=alone)
    yield change


def part_of(reading: Reading, group: OrderGroup, segments: Segments, action: Action, person: Person) -> Part:
    """Return what some segments say of an order and of one step. Raises Refusal AE 101 where nothing names it."""
    reader = reader_of(segments, reading.context, reading.sent)
    order = read(reading.order, reader, FORMS)
    step = read(reading.step, reader, FORMS)
    return Part(
        action=action,
        group=group,
        person=person,
        reader=reader,
        rules=reading.step,
        order=order,
        step=step,
        keys=keys_of(order, group),
        parent=parent_of(group) if action is Action.CHILD else None,
    )


def _action(group: OrderGroup, context: Context) -> Action:
    orc, obr = group.first("ORC"), group.first("OBR")
    if orc is None:
        raise Refusal("AE", "ORC^1^1", "101", "an OBR without ORC: the order control is missing")
    asked, status = orc.get(1).strip().upper(), orc.get(5).strip().upper()
    result = obr.get(25).strip().upper() if obr else ""
    return context.order_control.action_of(asked, status, result, orc.location())


def _steps_of(group: OrderGroup) -> Iterator[Segments]:
    """Yield the segments of each step: one for each IPC (OMI^O23), else those of the group."""
    merged = {**group.patient.segments, **group.segments}
    for name in _OF_EITHER:
        if name in merged and name not in group.segments:
            del merged[name]
    procedures = group.segments.get("IPC")
    if procedures is None or len(procedures) == 1:
        yield merged
        return
    for procedure in procedures:
        yield {**merged, "IPC": [procedure]}


def _with_replaced(changes: list[OrderChange]) -> tuple[OrderChange, ...]:
    """Return the changes; one that follows the old order of a replacement (RP, then RO) names that as its parent."""
    for number in range(1, len(changes)):
        old, new = changes[number - 1], changes[number]
        if old.action is Action.REPLACE and new.action is Action.NEW:
            changes[number] = replace(new, parent=old.keys)
    return tuple(changes)
