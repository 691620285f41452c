"""Sends by STOW-RS: several instances a request, and of each what the server states. Asks where it states nothing.

Nothing is taken for stored that the server has not said itself: in its Store Instances Response (PS3.18 I.2), or by
listing the instance (QIDO-RS). A request that fails as a whole is repeated with each instance alone, so that one that
the server cannot digest keeps no other.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

from broker import failpoints
from broker.delivery.content import Content
from broker.delivery.http_answers import Cut, Kind, Unreached, is_success, rule
from broker.delivery.model import Delivery
from broker.delivery.senders import stow_query, stow_response
from broker.delivery.senders.outcome import (
    Answered,
    Batch,
    Enough,
    Listed,
    NoContext,
    Outcome,
    Outcomes,
    Refused,
    Unanswered,
    Way,
    opened,
)
from broker.delivery.senders.stow_body import Body, Part, part
from broker.delivery.senders.stow_http import HttpAnswer
from broker.delivery.senders.stow_peer import StowPeer, refusal
from broker.delivery.senders.stow_response import NOTHING, Statement
from broker.errors import Misconfigured, Unavailable
from broker.spool.model import SpooledInstance

_PROCESSING_FAILURE = 0x0110
_LONGEST_COMMENT = 200
_READABLE = ("text/plain", "application/json", "application/problem+json")
_CLASS, _SYNTAX = 3, 4  # not supported (PS3.8 table 9-18)
_CONTEXT_RESULTS = {0x0122: _CLASS, 0xC122: _SYNTAX}  # by FailureReason (PS3.18 table I.2-2)
_WARNINGS = (0x0000, 0x0001, 0x0107, 0x0111, 0x0116)  # and Bxxx: with these an instance is kept

Items = Sequence["_Item"]
Sending = Generator[tuple[Delivery, Outcome], None, bool]
"""Yields outcomes, and returns whether the destination may be sent more."""


@dataclass(frozen=True, slots=True)
class _Item:
    delivery: Delivery
    instance: SpooledInstance
    part: Part

    @property
    def uid(self) -> str:
        return self.instance.facts.sop_instance_uid


def send(batch: Batch, way: Way) -> Outcomes:
    """Send a batch in order, a request after the other; the first without an answer ends it."""
    peer = way.stow
    if peer is None:
        raise Misconfigured(f"destination {way.destination.name!r} has no STOW-RS settings")
    items: list[_Item] = []
    for delivery, instance in batch:
        found = opened(_part, instance, way)
        if not isinstance(found, Part):
            yield delivery, found
            continue
        item = _Item(delivery, instance, found)
        if items and not _fits(item, items, peer):
            if not (yield from _send(items, peer)):
                return
            items = []
        items.append(item)
    if items:
        yield from _send(items, peer)


def _part(instance: SpooledInstance, content: Content) -> Part:
    return part(instance, content)


def _fits(item: _Item, items: Items, peer: StowPeer) -> bool:
    """Tell whether an instance may go into the same request: an answer names each by its UID, so that none is twice."""
    size = sum(each.part.length for each in items) + item.part.length
    few = len(items) < peer.settings.batch_instances
    return few and size <= peer.most_bytes and all(item.uid != each.uid for each in items)


def _send(items: Items, peer: StowPeer) -> Sending:
    try:
        with failpoints.around("store.send"):
            answer = peer.store(Body([item.part for item in items]))
    except Cut as error:
        return (yield from _after_unknown(items, peer, error, was_alone=len(items) == 1))
    except OSError as error:
        broken = Unavailable(f"the connection broke: {error.strerror or type(error).__name__}")
        return (yield from _after_unknown(items, peer, broken, was_alone=len(items) == 1))
    match rule(answer.status).kind:
        case Kind.STATED:
            return (yield from _after_statement(items, peer, answer))
        case Kind.INSTANCE:
            return (yield from _after_refusal(items, peer, answer))
        case Kind.UNKNOWN:
            return (yield from _after_unknown(items, peer, refusal(answer), was_alone=len(items) == 1))
    raise refusal(answer)


def _each_alone(items: Items, peer: StowPeer) -> Sending:
    for item in items:
        if not (yield from _send([item], peer)):
            return False
    return True


def _after_refusal(items: Items, peer: StowPeer, answer: HttpAnswer) -> Sending:
    """Go on where something in the request is refused."""
    if answer.status == 413:
        peer.note_too_large(sum(item.part.length for item in items))
    if len(items) > 1:
        return (yield from _each_alone(items, peer))
    # It may be the syntax: where another is allowed, it is offered.
    is_syntax = answer.status == 415 and peer.transcodes
    yield items[0].delivery, NoContext(_SYNTAX) if is_syntax else Refused(answer.status, _comment(answer))
    return True


def _after_unknown(items: Items, peer: StowPeer, error: Unavailable, *, was_alone: bool) -> Sending:
    """Go on where any instance may or may not be stored: what is listed is; the others are sent again, each alone."""
    try:
        listed = _listed(items, peer)
    except (Unreached, Cut):
        yield items[0].delivery, Unanswered(error)
        return False
    if not (yield from _told((item.delivery, Listed()) for item in items if item.uid in listed)):
        return False
    left = [item for item in items if item.uid not in listed]
    if not was_alone:
        return (yield from _each_alone(left, peer))
    yield from ((item.delivery, Unanswered(error)) for item in left)
    return not left


def _after_statement(items: Items, peer: StowPeer, answer: HttpAnswer) -> Sending:
    """Give what is stated; go on with what is not stated, or contradicts itself."""
    statement = stow_response.read(answer.body) if answer.is_whole else NOTHING
    stated = {item.uid: outcome for item in items if (outcome := _stated(item.uid, statement, answer, len(items)))}
    known = [(item.delivery, stated[item.uid]) for item in items if item.uid in stated]
    if not (yield from _told(sorted(known, key=lambda one: _urgency(one[1])))):
        return False
    unclear = [item for item in items if item.uid not in stated]
    if not unclear:
        return True
    silent = Unavailable(f"it answered HTTP {answer.status} without a word about the instance")
    if len(items) > 1:
        if is_success(answer.status):
            return (yield from _after_unknown(unclear, peer, silent, was_alone=False))
        return (yield from _each_alone(unclear, peer))
    failure = _unclear_failure(unclear[0], statement, answer)
    if failure is None:
        return (yield from _after_unknown(unclear, peer, silent, was_alone=True))
    yield unclear[0].delivery, Listed() if _listed(unclear, peer) else failure
    return True


def _unclear_failure(item: _Item, statement: Statement, answer: HttpAnswer) -> Outcome | None:
    """Return how an instance failed that was sent alone, unless the server keeps it all the same; None: not said."""
    if item.uid in statement.failed:
        # Some state the reason of a warning, or none: mostly for what they have already.
        reason = statement.failed[item.uid]
        return Answered(_PROCESSING_FAILURE, "" if reason is None else f"failure reason {reason:04X}, which is none")
    return None if is_success(answer.status) else Refused(answer.status, _comment(answer))


def _listed(items: Items, peer: StowPeer) -> set[str]:
    """Return the SOP Instance UIDs that the server lists. Raises Unreached and Cut where it is gone."""
    found: set[str] = set()
    try:
        for item in items:
            if stow_query.lists(peer, item.instance.study_instance_uid, item.uid):
                found.add(item.uid)
    except (Unreached, Cut):
        raise
    except Unavailable:
        return found  # it takes no queries
    return found


def _told(known: Iterable[tuple[Delivery, Outcome]]) -> Sending:
    """Give what is known already, to the end; return False when who takes it has had enough of sending."""
    goes_on = True
    for one in known:
        try:
            yield one
        except Enough:
            goes_on = False
    return goes_on


def _stated(uid: str, statement: Statement, answer: HttpAnswer, count: int) -> Outcome | None:
    """Return what the answer states of an instance; None where it states nothing, or contradicts itself."""
    if uid in statement.stored and uid not in statement.failed and is_success(answer.status):
        warning = statement.stored[uid] or 0x0000
        return Answered(warning) if _is_warning(warning) else None
    if uid in statement.stored:
        return None
    # A failure without a reference is that of the one instance there is.
    unnamed = statement.others[0] if count == 1 and len(statement.others) == 1 else None
    reason = statement.failed.get(uid, unnamed)
    if reason is None or _is_warning(reason):
        return None
    result = _CONTEXT_RESULTS.get(reason)
    return Answered(reason) if result is None else NoContext(result)


def _is_warning(status: int) -> bool:
    return status in _WARNINGS or status & 0xF000 == 0xB000


def _urgency(outcome: Outcome) -> int:
    """What is stored is told first; last what makes the destination pause."""
    if not isinstance(outcome, Answered):
        return 1
    return 0 if _is_warning(outcome.status) else 2 if outcome.status & 0xFF00 == 0xA700 else 1


def _comment(answer: HttpAnswer) -> str:
    """Return the server's own words, which are kept with the delivery and logged nowhere."""
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() not in _READABLE:
        return ""
    text = " ".join(answer.body[: 4 * _LONGEST_COMMENT].decode("utf-8", "replace").split())
    return "".join(character for character in text if character.isprintable())[:_LONGEST_COMMENT]
