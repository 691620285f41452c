"""Sends by C-STORE: one association a batch, a presentation context for each SOP class and transfer syntax.

What goes as it was received is hashed as it leaves, and its last fragments only if the hash is the one that was kept;
the next instance is read while the peer thinks of this one. What is corrected is compared first.
"""

from collections.abc import Generator, Iterator

from broker import failpoints
from broker.delivery.content import Content, Slice
from broker.delivery.model import Delivery
from broker.delivery.senders.outcome import (
    Answered,
    Batch,
    Damaged,
    NoContext,
    NotSent,
    Outcome,
    Outcomes,
    Unanswered,
    Uncorrected,
    Way,
    opened,
)
from broker.dimse.service import (
    Altered,
    AssociationRefused,
    ContextRefused,
    OutgoingInstance,
    Peer,
    RequestedAssociation,
    Unreadable,
)
from broker.errors import Misconfigured, Unavailable
from broker.spool.errors import DamagedInstance
from broker.spool.model import SpooledInstance

MAXIMUM_CONTEXTS = 128  # odd identifiers from 1 to 255 (PS3.8 9.3.2.2)


class _CutOff(Exception):
    """A data set turned out to be damaged when part of it was sent: the association is aborted, others may go on."""

    def __init__(self, told: tuple[Delivery, Damaged], left: Batch) -> None:
        super().__init__()
        self.told = told
        self.left = left


def send(batch: Batch, way: Way) -> Outcomes:
    """Send a batch in order; a break of the association ends it after the instance that met it."""
    for calling, part in _associations(batch, way):
        unbroken = yield from _send_part(part, way, _peer(way, calling))
        if not unbroken:
            return


def _send_part(part: Batch, way: Way, peer: Peer) -> Generator[tuple[Delivery, Outcome], None, bool]:
    """Send over one association, and another after each damaged instance; return whether the next part may go."""
    left = part
    while left:
        contexts = dict.fromkeys(_context(instance) for _, instance in left)
        try:
            with way.requestor.associate(peer, contexts) as association:
                unbroken = yield from _store_each(left, way, association)
            return unbroken
        except AssociationRefused as refusal:
            # It answered, so another title or another class may still be welcome.
            yield from ((delivery, _refused(refusal, instance)) for delivery, instance in left)
            return True
        except _CutOff as cut:
            yield cut.told
            left = cut.left
    return True


def _refused(refusal: AssociationRefused, instance: SpooledInstance) -> NotSent | NoContext:
    return NotSent(refusal) if refusal.rejection else NoContext(refusal.contexts.get(_context(instance)))


def _store_each(
    part: Batch, way: Way, association: RequestedAssociation
) -> Generator[tuple[Delivery, Outcome], None, bool]:
    """Return whether the association still stands after the last instance. Raises _CutOff."""
    ahead: OutgoingInstance | None = None
    for number, (delivery, instance) in enumerate(part, 1):
        ready = ahead or _ready(instance, way)
        ahead = _following(part, number, way)
        outcome = _store(association, ready, ahead) if isinstance(ready, OutgoingInstance) else ready
        if isinstance(outcome, Altered):
            damaged = Damaged(DamagedInstance(str(outcome)))
            if outcome.has_begun:
                raise _CutOff((delivery, damaged), part[number:])
            outcome = damaged
        yield delivery, outcome
        if isinstance(outcome, Unanswered):
            return False
    return True


def _ready(instance: SpooledInstance, way: Way) -> OutgoingInstance | Damaged | Uncorrected:
    """Return what is sent of an instance; where it is not what was received, that was compared first."""
    return opened(_outgoing, instance, way) if way.alters(instance) else _as_received(instance, way)


def _following(part: Batch, number: int, way: Way) -> OutgoingInstance | None:
    """Return what may be read ahead: nothing that would have to be compared first."""
    if number == len(part) or way.alters(instance := part[number][1]):
        return None
    return _as_received(instance, way)


def _as_received(instance: SpooledInstance, way: Way) -> OutgoingInstance:
    facts = instance.facts
    path = instance.path
    return OutgoingInstance(
        facts.sop_class_uid,
        facts.sop_instance_uid,
        facts.transfer_syntax,
        path if path.startswith("/") else f"{way.spool.directory}/{path}",  # as `path_of` says: joining it costs 20 µs
        instance.offset,
        instance.length,
        sha256=instance.sha256,
    )


def _store(
    association: RequestedAssociation, outgoing: OutgoingInstance, following: OutgoingInstance | None
) -> Outcome | Altered:
    try:
        with failpoints.around("store.send"):
            answer = association.store(outgoing, following)
    except ContextRefused as refusal:
        return NoContext(refusal.result)
    except Altered as altered:
        return altered
    except Unreadable:
        raise
    except Unavailable as error:
        return Unanswered(error)
    except OSError as error:
        return Unanswered(Unavailable(f"the connection broke: {error.strerror or type(error).__name__}"))
    return Answered(answer.status, answer.error_comment)


def _outgoing(instance: SpooledInstance, content: Content) -> OutgoingInstance:
    facts = instance.facts
    path = str(content.path)
    classes = (facts.sop_class_uid, facts.sop_instance_uid, facts.transfer_syntax)
    match content.parts:
        case (Slice(offset, length),):
            return OutgoingInstance(*classes, path, offset, length)
    parts = tuple(part if isinstance(part, bytes) else (part.offset, part.length) for part in content.parts)
    return OutgoingInstance(*classes, path, 0, content.length, parts)


def _associations(batch: Batch, way: Way) -> Iterator[tuple[str, Batch]]:
    """Cut the batch by the title we call as, and where one association cannot propose all contexts."""
    by_calling: dict[str, list[tuple[Delivery, SpooledInstance]]] = {}
    for delivery, instance in batch:
        by_calling.setdefault(_calling(instance, way), []).append((delivery, instance))
    for calling, items in by_calling.items():
        yield from ((calling, part) for part in _parts(items))


def _parts(items: Batch) -> Iterator[Batch]:
    part: list[tuple[Delivery, SpooledInstance]] = []
    contexts: set[tuple[str, str]] = set()
    for delivery, instance in items:
        context = _context(instance)
        if context not in contexts and len(contexts) == MAXIMUM_CONTEXTS:
            yield part
            part, contexts = [], set()
        contexts.add(context)
        part.append((delivery, instance))
    yield part


def _context(instance: SpooledInstance) -> tuple[str, str]:
    return instance.facts.sop_class_uid, instance.facts.transfer_syntax


def _calling(instance: SpooledInstance, way: Way) -> str:
    match way.destination.calling:
        case "broker":
            return way.own_title
        case "device":
            return instance.facts.calling_ae_title
    return way.destination.calling


def _peer(way: Way, calling: str) -> Peer:
    destination = way.destination
    if destination.ae_title is None:
        raise Misconfigured(f"destination {destination.name!r} has no ae_title")
    return Peer(destination.host, destination.port, destination.ae_title, calling)
