"""What one OrderChange does: to its order, and to the patient where it orders. `lookup`, `merge`, `state` decide."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from broker.database import Transaction
from broker.environments.model import LateStatements
from broker.orders import history, names, order_steps, order_store, patients
from broker.orders.asked import CREATING, Asked, asked
from broker.orders.history import HistoryEntry
from broker.orders.lookup import UNKNOWN_KEY, meant
from broker.orders.merge import ORDERING, merged, order_origins
from broker.orders.model import (
    Action,
    Applied,
    Applying,
    Did,
    Order,
    OrderChange,
    OrderKeys,
    Origin,
    Patient,
    Refusal,
    ScheduledStep,
    StepStatus,
    StoredOrder,
)
from broker.orders.order_patient import kept_patient
from broker.orders.patients import Kept, is_older, newest, shown
from broker.orders.state import NEXT

_NOBODY = Patient()
_LATE = "the message is older than what is known of the order and was left unapplied"
_CANCELED_SINCE = "the order was canceled by a newer message and stays canceled"
_NUMBERS_OF_ITS_OWN = "the order was canceled; a new one needs a study of its own"
_TOMBSTONE = "no order has these keys: the cancel is remembered, should its order come later"
_REPEATED = "another order of the same StudyInstanceUID has this {}"
_NO_STEP = "nothing of a scheduled procedure step is stated"
_OTHER = (
    "the message states another {} than is known of this patient: that was left unapplied, "
    "only an order or ADT^A08 changes a patient"
)
_DATA = ORDERING | {Action.CHANGE}


def apply_order(tx: Transaction, change: OrderChange, here: Applying) -> Applied:
    """Do what a change asks for. Raises Refusal before anything is written."""
    if change.action is Action.NOTHING:
        return Applied(Did.NOTHING)
    if change.action is Action.PERSON:
        raise Refusal("AE", change.location, "103", "a person has to decide what this asks for", for_person=True)
    ask = asked(tx, change, here)
    _say_what_differs(ask)
    return _unknown(ask) if ask.known is None else _known(ask, ask.known)


def _say_what_differs(ask: Asked) -> None:
    """Say which demographics are left unapplied (RAD-13): another person may be meant, or this one's data mended."""
    if ask.whose is not None and ask.change.action not in ORDERING:
        differing = patients.unapplied(ask.change.order.patient, ask.whose.patient)
        if differing:
            ask.said.say(_OTHER.format(" and ".join(differing)))


def _known(ask: Asked, known: Kept) -> Applied:
    change = ask.change
    if change.action is Action.UNABLE:
        return _noted(ask, known)
    if known.canceled:
        return _canceled(ask, known)
    if ask.here.late is LateStatements.ALL and is_older(change.effective, known.effective):
        return _late(ask, known, _LATE)
    if change.action is Action.NUMBER:
        return _number(ask, known)
    return (_change if change.action in _DATA else _steps)(ask, known)


# --- orders that are not known ---------------------------------------------------------------------------------------


def _unknown(ask: Asked) -> Applied:
    change = ask.change
    if change.action is Action.UNABLE:
        return Applied(Did.NOTHING)
    if change.action in order_steps.CANCELING:
        return _tombstone(ask)
    creates = change.action in CREATING and change.creates
    if not creates or (change.missing and change.action not in _DATA):
        raise Refusal("AE", change.location, UNKNOWN_KEY, "no order has these keys")
    return _create(ask, 0)


def _tombstone(ask: Asked) -> Applied:
    """Remember a cancel that came before its order, so that the late order does not revive it (A.4)."""
    change, keys, now = ask.change, ask.change.keys, ask.here.now
    order = Order(
        _NOBODY,
        placer_order_number=keys.placer_order_number,
        filler_order_number=keys.filler_order_number,
        accession_number=keys.accession_number,
        requested_procedure_id=keys.requested_procedure_id,
        study_instance_uid=keys.study_instance_uid,
        steps=_canceled_steps(change.step_ids),
    )
    tombstone = _new(ask, order, {}, 0)
    tombstone = replace(tombstone, canceled=True, canceled_sent=change.sent or now, created_entry=None)
    own = order_store.add(ask.tx, tombstone)
    _tell(ask, own, Did.TOMBSTONE, "")
    ask.said.say(_TOMBSTONE)
    # Steps of which only the ID is known cannot be shown.
    return ask.applied(Did.TOMBSTONE, *(() if order.steps else (shown(tombstone, None, own),)))


def _canceled_steps(step_ids: Iterable[str]) -> tuple[ScheduledStep, ...]:
    return tuple(ScheduledStep(own, status=StepStatus.CANCELED) for own in dict.fromkeys(step_ids))


def _create(ask: Asked, generation: int, canceled: Collection[str] = ()) -> Applied:
    """Add an order; the steps `canceled` were canceled before it came."""
    order, made = _named(ask, generation)
    _refuse_incomplete(ask, order)
    steps = tuple([_first(step, ask.change.action) for step in order.steps])
    if canceled:
        steps = tuple(_off(step) if step.scheduled_procedure_step_id in canceled else step for step in steps)
    if steps != order.steps:
        order = replace(order, steps=steps)
    _refuse_repeated(ask, order)
    parent = _parent(ask)
    patient, others = kept_patient(ask)
    origins = order_origins(ask.change, steps, ask.here.entry_id)
    for place, origin in made.items():
        origins[place] = Origin("", origin.rule, ask.here.entry_id)
    kept = _new(ask, order, origins, patient.id, generation=generation, parent=parent)
    own = order_store.add(ask.tx, kept)
    return ask.applied(Did.CREATED, shown(kept, patient, own), *_superseded(ask, parent), *others)


def _named(ask: Asked, generation: int) -> tuple[Order, dict[tuple[str, str], Origin]]:
    if generation or ask.named is None:
        named = names.completed(ask.change.order, ask.change.keys, ask.here.environment, generation)
    else:
        named = ask.named
    order = named.order
    if ask.change.action is Action.PARENT:  # its children are scheduled, not itself
        order = replace(order, steps=())
    return order, named.made_here


def _refuse_incomplete(ask: Asked, order: Order) -> None:
    change = ask.change
    parent = change.action is Action.PARENT
    if change.missing and not (parent and order.patient.patient_id):
        raise Refusal("AE", change.missing.location, "101", change.missing.text)
    if not order.patient.patient_id:
        raise Refusal("AE", "PID^1^3", "101", "PatientID is missing")
    if not order.steps and not parent:
        raise Refusal("AE", change.location, "101", _NO_STEP)


def _refuse_repeated(ask: Asked, order: Order) -> None:
    """Refuse a procedure's or step's ID that another order of the study has: no modality could tell the two apart."""
    own = {step.scheduled_procedure_step_id for step in order.steps}
    siblings = [kept for kept in ask.siblings if kept.order.study_instance_uid == order.study_instance_uid]
    for kept in siblings:
        if kept.order.requested_procedure_id == order.requested_procedure_id:
            raise Refusal("AE", ask.change.location, "205", _REPEATED.format("RequestedProcedureID"))
        if any(step.scheduled_procedure_step_id in own for step in kept.order.steps):
            raise Refusal("AE", ask.change.location, "205", _REPEATED.format("ScheduledProcedureStepID"))


def _first(step: ScheduledStep, action: Action) -> ScheduledStep:
    status = NEXT[step.status, action].status
    return step if status is step.status else replace(step, status=status)


def _off(step: ScheduledStep) -> ScheduledStep:
    return replace(step, status=StepStatus.CANCELED)


def _new(
    ask: Asked,
    order: Order,
    origins: dict[tuple[str, str], Origin],
    patient_row: int,
    *,
    generation: int = 0,
    parent: Kept | None = None,
) -> Kept:
    keys, here = ask.change.keys, ask.here
    return Kept(
        id=0,
        order=order,
        origins=origins,
        patient_row=patient_row,
        filler_issuer=keys.filler_issuer,
        placer_issuer=keys.placer_issuer,
        canceled=False,
        generation=generation,
        parent=parent.id if parent else 0,
        canceled_sent=None,
        effective=ask.change.effective,
        created=here.now,
        updated=here.now,
        entry_id=here.entry_id,
        created_entry=here.entry_id,
    )


def _parent(ask: Asked) -> Kept | None:
    """Return the parent that a child names; an unknown or doubtful one is no reason to refuse the child."""
    keys = ask.change.parent
    if keys is None or ask.change.action is not Action.CHILD:
        return None
    sharing = order_store.sharing(ask.tx, keys)
    try:
        found = meant(replace(ask.change, keys=keys, action=Action.NOTHING), map(order_store.candidate, sharing), None)
    except Refusal:
        return None
    return next((kept for kept in sharing if kept.id == found), None)


def _superseded(ask: Asked, parent: Kept | None) -> tuple[StoredOrder, ...]:
    """Take the parent's own steps off: its children are scheduled in their place (B.2, PA)."""
    if parent is None or parent.canceled:
        return ()
    order, changed = order_steps.without_live(parent.order)
    if not changed:
        return ()
    kept = order_store.change(ask.tx, _touched(ask, parent, order, dict(parent.origins)))
    _tell(ask, kept.id, Did.CANCELED, "its children are scheduled in its place")
    return (order_store.with_patient(ask.tx, kept),)


# --- orders that are known -------------------------------------------------------------------------------------------


def _change(ask: Asked, known: Kept) -> Applied:
    change = ask.change
    revived = not (change.sent and known.canceled_sent and change.sent <= known.canceled_sent)
    found = merged(known.order, known.origins, change, ask.said, revived=revived)
    _refuse_repeated(ask, found.order)
    parent = _parent(ask)
    patient, others = kept_patient(ask) if change.action in ORDERING else (None, ())
    kept = _touched(ask, known, found.order, found.origins, parent)
    changed = bool(ask.said.changed) or kept.parent != known.parent
    if changed or kept.effective != known.effective:
        order_store.change(ask.tx, kept if changed else replace(known, effective=kept.effective))
    stored = shown(kept, patient) if patient else order_store.with_patient(ask.tx, kept)
    extra = (*_superseded(ask, parent), *others)
    if not changed:
        return ask.applied(Did.CHANGED if extra else Did.NOTHING, stored, *extra)
    _tell(ask, kept.id, Did.CHANGED, ", ".join(dict.fromkeys(ask.said.changed)))
    return ask.applied(Did.CHANGED, stored, *extra)


def _steps(ask: Asked, known: Kept) -> Applied:
    """Hold, release, cancel and the like: the status of steps, nothing else."""
    change = ask.change
    found = order_steps.stepped(known, change, ask.said)
    cancels = change.action in order_steps.CANCELING
    kept = _touched(ask, known, found.order, found.origins)
    if cancels:
        sent = newest(known.canceled_sent, change.sent or ask.here.now)
        kept = replace(kept, canceled=not order_steps.has_others(found.order), canceled_sent=sent)
    if not found.step_ids and kept.canceled == known.canceled:
        return ask.applied(Did.NOTHING, order_store.with_patient(ask.tx, known))
    order_store.change(ask.tx, kept)
    did = order_steps.DID.get(change.action, Did.STATUS)
    _tell(ask, kept.id, did, order_steps.text_of(found))
    return ask.applied(did, order_store.with_patient(ask.tx, kept))


def _number(ask: Asked, known: Kept) -> Applied:
    """Attach the number that the placer assigned to an order of the filler's (NA)."""
    keys = ask.change.keys
    if not keys.placer_order_number:
        raise Refusal("AE", ask.change.location, "101", "PlacerOrderNumber is missing: which number was assigned?")
    if keys.placer_order_number == known.order.placer_order_number:
        return ask.applied(Did.NOTHING, order_store.with_patient(ask.tx, known))
    origins = dict(known.origins)
    ask.said.note((0, "PlacerOrderNumberImagingServiceRequest"), origins, "")
    order = replace(known.order, placer_order_number=keys.placer_order_number)
    kept = replace(_touched(ask, known, order, origins), placer_issuer=keys.placer_issuer or known.placer_issuer)
    order_store.change(ask.tx, kept)
    _tell(ask, kept.id, Did.LINKED, "PlacerOrderNumberImagingServiceRequest")
    return ask.applied(Did.LINKED, order_store.with_patient(ask.tx, kept))


def _canceled(ask: Asked, known: Kept) -> Applied:
    """Decide on a message for a canceled order: older ones change nothing, a newer order is another generation."""
    change = ask.change
    if change.action in order_steps.CANCELING:
        return _canceled_again(ask, known)
    if not known.patient_row and known.order.steps:
        return _after_steps(ask, known)
    if change.sent and known.canceled_sent and change.sent <= known.canceled_sent:
        return _late(ask, known, _CANCELED_SINCE)
    study = change.keys.study_instance_uid
    if change.action not in ORDERING or (study and study == known.order.study_instance_uid):
        raise Refusal("AE", change.location, "205", _NUMBERS_OF_ITS_OWN)
    return _create(ask, known.generation + 1)


def _canceled_again(ask: Asked, known: Kept) -> Applied:
    """Remember the newest cancel, and of a tombstone for some steps which others it names now."""
    change = ask.change
    kept = replace(known, canceled_sent=newest(known.canceled_sent, change.sent)) if change.sent else known
    if not known.patient_row and known.order.steps:
        before = [step.scheduled_procedure_step_id for step in known.order.steps]
        named = [*before, *change.step_ids] if change.step_ids else []
        kept = replace(kept, order=replace(known.order, steps=_canceled_steps(named)))
    if kept != known:
        order_store.change(ask.tx, kept)
    return ask.applied(Did.NOTHING, *([order_store.with_patient(ask.tx, known)] if known.patient_row else []))


def _after_steps(ask: Asked, known: Kept) -> Applied:
    """Decide on the order of which some steps were canceled before it came: those stay off, unless it is newer."""
    change = ask.change
    if change.action not in CREATING or not change.creates:
        raise Refusal("AE", change.location, UNKNOWN_KEY, "no order has these keys")
    if not (change.sent and known.canceled_sent and change.sent <= known.canceled_sent):
        return _create(ask, known.generation + 1)
    ask.said.say(_CANCELED_SINCE)
    return _create(ask, known.generation + 1, {step.scheduled_procedure_step_id for step in known.order.steps})


def _late(ask: Asked, known: Kept, text: str) -> Applied:
    ask.said.say(text)
    _tell(ask, known.id, Did.LATE, "")
    return ask.applied(Did.LATE, order_store.with_patient(ask.tx, known))


def _noted(ask: Asked, known: Kept) -> Applied:
    _tell(ask, known.id, Did.NOTED, "the other side could not do what was asked")
    return ask.applied(Did.NOTED, order_store.with_patient(ask.tx, known))


def _touched(
    ask: Asked, known: Kept, order: Order, origins: dict[tuple[str, str], Origin], parent: Kept | None = None
) -> Kept:
    keys: OrderKeys = ask.change.keys
    return replace(
        known,
        order=order,
        origins=origins,
        filler_issuer=known.filler_issuer or keys.filler_issuer,
        placer_issuer=known.placer_issuer or keys.placer_issuer,
        parent=parent.id if parent else known.parent,
        effective=newest(known.effective, ask.change.effective),
        updated=ask.here.now,
        entry_id=ask.here.entry_id,
    )


def _tell(ask: Asked, order_id: int, did: Did, text: str) -> None:
    history.add(ask.tx, order_id, HistoryEntry(ask.here.now, ask.here.entry_id, did, text))
