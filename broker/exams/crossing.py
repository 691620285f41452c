"""Images and performed steps at the border of the two worlds: which tripwire they trip, and what is then done.

Works inside the caller's transaction, by the rows of `tripwires.table`; what began here is written for the other world
by the caller after its commit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from broker.audit import store as audit
from broker.audit.model import Actor, ActorKind, AuditEntry
from broker.clock import Clock
from broker.database import Transaction
from broker.delivery import store as deliveries
from broker.exams import crossing_store
from broker.procedures.forward import store as forward
from broker.procedures.model import Received, StoredStep
from broker.spool import store as spool_index
from broker.spool.model import SpooledInstance
from broker.tripwires.model import OTHER_WORLD, Identifier, identifiers
from broker.tripwires.table import Response, Tripwire
from broker.tripwires.worlds import Worlds

Alert = Callable[[Transaction, str, str, str], None]
"""Raises an alert: event, subject, text."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking: the rows that tripped, and what began here where none of them keeps it apart."""

    tripped: tuple[Tripwire, ...] = ()
    began: tuple[Identifier, ...] = ()

    @property
    def is_handed_over(self) -> bool:
        """Tell whether it belongs to the other world."""
        return any(row.response is Response.HANDED_OVER for row in self.tripped)

    @property
    def held(self) -> tuple[Tripwire, ...]:
        """The rows that hold it."""
        return tuple(row for row in self.tripped if row.response is Response.HELD)


def image(worlds: Worlds, instance: SpooledInstance) -> Looked:
    """Return what an image trips."""
    own, issuer = _named(instance)
    seen = worlds.seen((*own, *worlds.patient_of(instance.patient_id, issuer)))
    handed_over = worlds.is_other_title(instance.facts.calling_ae_title)
    found = Looked(tuple(worlds.image(seen, instance.patient_id, issuer, handed_over=handed_over)))
    if found.held or found.is_handed_over:
        return found
    stated = identifiers(patient=(instance.patient_id, issuer)) if issuer else ()
    return Looked(found.tripped, (*own, *stated))


def _named(instance: SpooledInstance) -> tuple[tuple[Identifier, ...], str]:
    """Return an image's identifiers but the patient's, and who issued that one."""
    own = identifiers(
        accession=instance.accession_number,
        study=instance.study_instance_uid,
        instance=instance.facts.sop_instance_uid,
    )
    return own, instance.attributes.get("IssuerOfPatientID", "").strip()


def is_of_other(worlds: Worlds, instance: SpooledInstance) -> bool:
    """Tell whether an image that was held is, by what has begun since, the other world's and not ours."""
    own, issuer = _named(instance)
    seen = worlds.seen((*own, *worlds.patient_of(instance.patient_id, issuer)))
    return any(row.response is Response.HANDED_OVER for row in worlds.image(seen, "", "", handed_over=False))


def release(tx: Transaction, worlds: Worlds, instance: SpooledInstance, clock: Clock) -> bool:
    """Owe a held image to the other world, and to nobody here, where it is that one's; tell whether it was."""
    if not worlds.watches or not is_of_other(worlds, instance):
        return False
    crossing_store.drop_held(tx, instance.id)
    deliveries.owe(tx, instance.id, (OTHER_WORLD,), clock.now())
    facts = instance.facts
    note_handed_over(tx, "instance", instance.id, facts.device or facts.calling_ae_title, clock)
    return True


def step(tx: Transaction, worlds: Worlds, received: Received, known: StoredStep | None, calling: str) -> Looked:
    """Return what an N-CREATE or N-SET trips; what was handed over once is so until its end."""
    created = received.created or (known.step if known else None)
    items = created.items if created else ()
    patient = created.patient if created else None
    own = [Identifier(one.kind, one.value) for one in identifiers(step=received.sop_instance_uid)]
    for item in items:
        own += identifiers(study=item.study_instance_uid, accession=item.accession_number)
    patient_id, issuer = (patient.patient_id, patient.issuer_of_patient_id) if patient else ("", "")
    handed_over = worlds.is_other_title(calling)
    seen = worlds.seen((*own, *worlds.patient_of(patient_id, issuer)))
    tripped = worlds.step(seen, patient_id, issuer, handed_over=handed_over)
    if known is not None and not _was_handed_over(tx, known):
        tripped = [row for row in tripped if row.response is not Response.HANDED_OVER]
    elif known is not None:
        tripped = [row for row in worlds.handed_over() if row.response is Response.HANDED_OVER]
    found = Looked(tuple(tripped))
    return found if found.is_handed_over else Looked(found.tripped, tuple(own))


def _was_handed_over(tx: Transaction, known: StoredStep) -> bool:
    return any(one.destination == OTHER_WORLD for one in forward.of_step(tx, known.id))


def hand_over(tx: Transaction, instance: SpooledInstance, clock: Clock) -> None:
    """Index an image that belongs to the other world, owe it there and nowhere else, and audit that."""
    spool_index.add(tx, instance)
    deliveries.owe(tx, instance.id, (OTHER_WORLD,), clock.now())
    facts = instance.facts
    note_handed_over(tx, "instance", instance.id, facts.device or facts.calling_ae_title, clock)


def note_handed_over(tx: Transaction, noun: str, subject: str, sender: str, clock: Clock) -> None:
    """Audit that something was handed over."""
    actor = Actor(ActorKind.DEVICE, sender)
    audit.record(tx, AuditEntry(clock.now(), actor, f"{noun}.hand-over", subject, {"destination": OTHER_WORLD}))


def tell(tx: Transaction, tripped: Iterable[Tripwire], subject: str, alert: Alert) -> None:
    """Say each row that tripped."""
    for row in tripped:
        alert(tx, row.event, subject, row.text)
