"""One N-CREATE or N-SET inside the caller's transaction: kept, linked, its orders' steps set, everybody owed word.

Decides by `state` and `linking`. The caller plans the worklist of `Taken.applied` anew, raises `Taken.events` as
alerts, and commits before anything is answered.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.database import Transaction
from broker.environments.model import Receiver
from broker.errors import Refused
from broker.orders import store as orders
from broker.orders.model import Applied, Did, Refusal, ScheduledStep, StepStatus
from broker.outbox import store as outbox
from broker.outbox.model import EVENT_OF_STATUS
from broker.procedures import candidates, linking, state, store
from broker.procedures.forward import store as forward
from broker.procedures.model import (
    FINAL,
    Event,
    Link,
    PerformedStatus,
    PerformedStep,
    Received,
    Rule,
    StepRefused,
    StoredStep,
)
from broker.procedures.retrieved import data_set
from broker.procedures.unlinked import store as unlinks
from broker.worklist.elements import tag_of
from broker.worklist.model import PlannedStep

DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112

UNSCHEDULED = "procedure.unscheduled"
UNMATCHED = "procedure.unmatched"
OTHER_PATIENT = "procedure.other-patient"
CANCELED = "procedure.canceled"
WRONG_ENTRY = "procedure.wrong-entry"
INCOMPLETE = "procedure.incomplete"
STEP_GONE = "procedure.step-gone"
STALE = "procedure.stale"

_LINK_IT = "see `broker procedure list --state unscheduled`, then link or dismiss it"
_TEXTS = {
    UNSCHEDULED: f"an exam was begun without an order: {_LINK_IT}",
    UNMATCHED: f"an exam names an order that is not known, or not one alone: {_LINK_IT}",
    OTHER_PATIENT: "an exam of an order was begun for another patient ID than the order's: compare them",
    CANCELED: "an exam was begun whose order is canceled: tell whoever ordered it",
    WRONG_ENTRY: "an exam was ended since the wrong worklist entry was selected: its images are suspect",
    INCOMPLETE: "an exam ended without any series: nothing says which images belong to it",
    STEP_GONE: "an exam is linked to a step that its order does not have any more: look at the order",
    STALE: "an exam is in progress and nothing was heard of it for long: end it at its device; if that cannot, see"
    " `broker procedure list --state stale`, then `broker order status` for its order and `broker procedure dismiss`",
}


@dataclass(frozen=True, slots=True)
class Taking:
    """Under which circumstances a request is taken. `subject` names the device, or its title, in alerts."""

    association_id: str
    calling_ae_title: str
    subject: str
    now: datetime
    receivers: tuple[Receiver, ...] = ()  # of status messages
    destinations: tuple[str, ...] = ()  # of the MPPS itself


@dataclass(frozen=True, slots=True)
class Taken:
    """What a request did. `ignored` are keywords that it states and that may not be changed."""

    step: StoredStep
    applied: tuple[Applied, ...] = ()
    events: tuple[Event, ...] = ()
    ignored: tuple[str, ...] = ()

    def facts(self) -> dict[str, object]:
        """Return the fields of the log line."""
        return {
            "status": self.step.step.status.value,
            "links": len(self.step.links),
            "unlinked": len(self.step.unlinked),
            "images": self.step.step.images,
            "notes": list(self.step.step.notes),
            "events": [event.name for event in self.events],
        }

    @property
    def ignored_tags(self) -> tuple[int, ...]:
        """The tags of what was ignored, in ascending order."""
        return tuple(sorted(map(tag_of, self.ignored)))


def take(tx: Transaction, received: Received, here: Taking) -> Taken:
    """Take one request. Raises StepRefused, and then has changed nothing."""
    known = store.find(tx, received.sop_instance_uid)
    if received.created is not None:
        return _create(tx, received, received.created, known, here)
    if known is None:
        raise StepRefused(NO_SUCH_INSTANCE, "no such performed procedure step")
    return _set(tx, received, known, here)


def link_by_person(  # noqa: PLR0917 - a person's act in all its parts
    tx: Transaction, known: StoredStep, order_id: int, step_id: str, by: str, here: Taking
) -> Taken:
    """Link a performed step to a scheduled one, as a person says; without a step ID to the only one of the order.

    Raises Refused where that is not possible, Refusal for an order that is not known.
    """
    scheduled = _meant(orders.order(tx, order_id).order.steps, step_id)
    own = scheduled.scheduled_procedure_step_id
    if any((link.order_id, link.step_id) == (order_id, own) for link in known.links):
        raise Refused("it is linked to that step already")
    item = next(iter(known.unlinked), 0)
    link = Link(order_id, own, Rule.PERSON, item, scheduled.status, by)
    store.link(tx, known.id, [link], here.now)
    applied, events = _apply(tx, [link], here)
    return Taken(replace(known, links=(*known.links, link)), applied, events)


def unlink_by_person(  # noqa: PLR0917 - a person's act in all its parts
    tx: Transaction, known: StoredStep, order_id: int, step_id: str, by: str, why: str, here: Taking
) -> Taken:
    """Take back the link of a performed step to a scheduled one; that stands then as if this had not been of it.

    Without a step ID the only one of the order is meant. No rule links those items again. Raises Refused where it is
    not linked so, Refusal for an order that is not known.
    """
    found = [link for link in known.links if link.order_id == order_id and step_id in ("", link.step_id)]
    ids = sorted({link.step_id for link in found})
    if len(ids) != 1:
        raise Refused(f"which step of the order? It is linked to {', '.join(ids)}" if ids else "it is not linked so")
    _, before = store.performances(tx, order_id, ids[0])
    unlinks.take_back(tx, known.id, found, by=by, why=why, now=here.now)
    if before is not None:
        unlinks.begin_with(tx, order_id, ids[0], before)
    applied, events = _apply(tx, [replace(found[0], before=before or found[0].before)], here)
    left = tuple(link for link in known.links if link not in found)
    return Taken(replace(known, links=left), applied, events)


def hand_over(tx: Transaction, received: Received, known: StoredStep | None, here: Taking, destination: str) -> Taken:
    """Keep a request of a step that began in the other world and owe it there; no order of ours is touched.

    Raises StepRefused for an N-CREATE that was taken before, and for what `state` refuses of an N-SET.
    """
    if received.created is not None and known is not None:
        raise StepRefused(DUPLICATE_INSTANCE, "this performed procedure step exists already")
    step = received.created or (known.step if known else _unseen(received.sop_instance_uid))
    ignored: tuple[str, ...] = ()
    if received.update is not None:
        after = state.updated(step, received.update)
        step, ignored = after.step, after.ignored
    if known is None:
        step_id = store.add(tx, step, here.association_id, here.calling_ae_title, here.now)
        unlinks.dismiss(tx, step_id, f"handed over to {destination}", here.now)  # it is the people's there
    else:
        step_id = known.id
        store.change(tx, step_id, step, here.now)
    message_id = store.keep(tx, step_id, received, here.association_id, here.now)
    forward.owe(tx, step_id, message_id, (destination,), here.now)
    stored = StoredStep(step_id, step, (), here.association_id, here.calling_ae_title, here.now, here.now)
    return Taken(stored, ignored=ignored)


def _unseen(sop_instance_uid: str) -> PerformedStep:
    """Return a step whose N-CREATE went to the other world."""
    return PerformedStep(sop_instance_uid, PerformedStatus.IN_PROGRESS, (), "", "")


def note_stale(tx: Transaction, silent_since: datetime, now: datetime) -> tuple[Event, ...]:
    """Return word of each step in progress that nobody heard of since an instant; each is told of once."""
    stale = store.untold_stale(tx, silent_since)
    if stale:
        store.told_stale(tx, [known.id for known in stale], now)
    return tuple(Event(STALE, known.calling_ae_title, _TEXTS[STALE]) for known in stale)


def retrieved(tx: Transaction, sop_instance_uid: str, asked: Sequence[int], transfer_syntax: str) -> bytes:
    """Return the attributes of a step for N-GET, encoded; all where none is asked for. Raises StepRefused 0112."""
    known = store.find(tx, sop_instance_uid)
    if known is None:
        raise StepRefused(NO_SUCH_INSTANCE, "no such performed procedure step")
    requests = [(syntax, data) for _, syntax, data in store.messages(tx, known.id)]
    return data_set(requests, asked, transfer_syntax)


# --- N-CREATE ----------------------------------------------------------------------------------------------------


def _create(tx: Transaction, received: Received, step: PerformedStep, known: StoredStep | None, here: Taking) -> Taken:
    if known is not None:
        # An identical one too (E.4): a console whose answer was lost goes on with N-SET all the same.
        raise StepRefused(DUPLICATE_INSTANCE, "this performed procedure step exists already")
    planned = candidates.of(tx, step)
    found = linking.links(step.items, planned, step.patient.patient_id)
    step_id = store.add(tx, step, here.association_id, here.calling_ae_title, here.now)
    store.link(tx, step_id, found, here.now)
    _keep(tx, step_id, received, here)
    applied, events = _apply(tx, found, here)
    stored = StoredStep(step_id, step, found, here.association_id, here.calling_ae_title, here.now, here.now)
    return Taken(stored, applied, (*_begun(stored, planned, here), *events))


def _begun(stored: StoredStep, planned: Sequence[PlannedStep], here: Taking) -> Iterator[Event]:
    items = stored.step.items
    names = dict.fromkeys(UNMATCHED if items[n].names_something else UNSCHEDULED for n in stored.unlinked)
    return _events([*names, *_doubts(stored.step, stored.links, planned)], here)


def _doubts(step: PerformedStep, found: Sequence[Link], planned: Sequence[PlannedStep]) -> Iterator[str]:
    """Yield what a person must see of new links: another patient's order, a canceled one."""
    if linking.differs(planned, found, step.patient.patient_id):
        yield OTHER_PATIENT
    if any(link.before is StepStatus.CANCELED for link in found):
        yield CANCELED


# --- N-SET -------------------------------------------------------------------------------------------------------


def _set(tx: Transaction, received: Received, known: StoredStep, here: Taking) -> Taken:
    assert received.update is not None
    after = state.updated(known.step, received.update)
    store.change(tx, known.id, after.step, here.now)
    _keep(tx, known.id, received, here)
    late, doubts = _late_links(tx, known, here)
    stored = replace(known, step=after.step, links=(*known.links, *late), updated=here.now)
    has_moved = after.step.status is not known.step.status
    applied, events = _apply(tx, stored.links if has_moved else late, here)
    ended = _ended(after.step, here) if has_moved else ()
    return Taken(stored, applied, (*doubts, *ended, *events), after.ignored)


def _late_links(tx: Transaction, known: StoredStep, here: Taking) -> tuple[tuple[Link, ...], tuple[Event, ...]]:
    """Link what no order was known for at the N-CREATE: the order may have come since."""
    free = set(known.unlinked) - unlinks.items_left_to_people(tx, known.id) if known.unlinked else set()
    if not free:
        return (), ()
    step, planned = known.step, candidates.of(tx, known.step)
    found = linking.links(step.items, planned, step.patient.patient_id)
    late = tuple(link for link in found if link.item in free)
    store.link(tx, known.id, late, here.now)
    return late, tuple(_events(_doubts(step, late, planned), here))


def _ended(step: PerformedStep, here: Taking) -> Iterator[Event]:
    names = []
    reason = step.discontinuation_reason
    if reason is not None and reason.value == linking.INCORRECT_WORKLIST_ENTRY:
        names.append(WRONG_ENTRY)
    elif step.status in FINAL and not step.series:
        names.append(INCOMPLETE)
    return _events(names, here)


# --- both --------------------------------------------------------------------------------------------------------


def _keep(tx: Transaction, step_id: int, received: Received, here: Taking) -> None:
    message_id = store.keep(tx, step_id, received, here.association_id, here.now)
    forward.owe(tx, step_id, message_id, here.destinations, here.now)


def _apply(tx: Transaction, links: Iterable[Link], here: Taking) -> tuple[tuple[Applied, ...], tuple[Event, ...]]:
    """Set the scheduled steps to how they stand now, and owe word of what changed."""
    done: list[Applied] = []
    gone = False
    for (order_id, status), step_ids in _standing(tx, links).items():
        try:
            applied = orders.perform(tx, order_id, step_ids, status, here.now)
        except Refusal:
            gone = True
            continue
        done.append(applied)
        if applied.did is Did.STATUS and status in EVENT_OF_STATUS:
            for order in applied.orders:
                outbox.owe(tx, here.receivers, order, EVENT_OF_STATUS[status], step_ids, here.now)
    return tuple(done), tuple(_events([STEP_GONE] if gone else [], here))


def _standing(tx: Transaction, links: Iterable[Link]) -> dict[tuple[int, StepStatus], tuple[str, ...]]:
    """Return by order and status the scheduled steps that stand so after all that was performed of them."""
    found: dict[tuple[int, StepStatus], tuple[str, ...]] = {}
    for (order_id, step_id), before_this in {(link.order_id, link.step_id): link.before for link in links}.items():
        performances, before = store.performances(tx, order_id, step_id)
        status = linking.status_after(performances, before or before_this)
        found[order_id, status] = (*found.get((order_id, status), ()), step_id)
    return found


def _meant(steps: Sequence[ScheduledStep], step_id: str) -> ScheduledStep:
    found = [step for step in steps if step_id in ("", step.scheduled_procedure_step_id)]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(step.scheduled_procedure_step_id for step in steps)
    raise Refused(f"which step of the order? It has {ids}")


def _events(names: Iterable[str], here: Taking) -> Iterator[Event]:
    return (Event(name, here.subject, _TEXTS[name]) for name in names)
