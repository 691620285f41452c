"""Sends what is owed to one destination, in order, and records each outcome. Decides by `state.py` alone.

Nothing is sent inside a transaction, and each data set is sent as it came; where a destination does not take its
transfer syntax, in the default one. A stop between an answer and its record
sends the request once more, which the destination answers as one that it had already.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Protocol

from broker import failpoints, journal
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.message import CommandField
from broker.dimse.service import AssociationRefused, ContextRefused, NormalizedAnswer, NormalizedRequest, Peer
from broker.environments.model import Destination
from broker.errors import Misconfigured, Unavailable
from broker.identifiers import AETitle
from broker.journal import log
from broker.leases import new_token
from broker.owed import Again, Decision, Delivered, Park
from broker.procedures import attributes
from broker.procedures.forward import state, store
from broker.procedures.forward.model import Forward
from broker.procedures.model import SOP_CLASS, Operation
from broker.worklist import elements
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN

OnEvent = Callable[[Transaction, str, str, str], None]
"""Takes (transaction, event, subject, text) of what a person must see, in the transaction that makes it true."""

PARKED = "mpps.parked"
FAILING = "mpps.failing"

BATCH = 20
LEASE_SECONDS = 300.0
_COMMANDS = {Operation.CREATE: CommandField.N_CREATE_RQ, Operation.SET: CommandField.N_SET_RQ}


class Association(Protocol):
    """An association over which DIMSE-N requests can be sent."""

    def request(self, request: NormalizedRequest) -> NormalizedAnswer:
        """Send a request and return the answer. Raises ContextRefused, Unavailable."""
        ...


class Caller(Protocol):
    """What opens associations for us (`dimse.requestor.EngineRequestor`)."""

    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> AbstractContextManager[Association]:
        """Open an association, and release it at the end of the block. Raises AssociationRefused, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Turn:
    """One batch on its way."""

    database: Database
    destination: Destination
    own_title: AETitle
    caller: Caller
    clock: Clock
    chance: Callable[[], float]
    alert: OnEvent
    token: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one request on the wire; `sent` tells whether the destination may have it."""

    decision: Decision
    status: int | None = None
    sent: bool = False


def send_batch(  # noqa: PLR0917 - the composition root hands over what it has built
    database: Database,
    destination: Destination,
    own_title: AETitle,
    caller: Caller,
    clock: Clock,
    chance: Callable[[], float],
    alert: OnEvent,
    *,
    limit: int = BATCH,
) -> int:
    """Send what is due to one destination, up to `limit`; return how many requests have their outcome.

    Zero means that nothing is due, or that the first request waits: none overtakes it. A destination that fails is
    recorded, not raised. Raises Unavailable when the database fails; what was leased then is due when the lease ends.
    """
    turn = _Turn(database, destination, own_title, caller, clock, chance, alert, new_token())
    batch = _lease(turn, limit)
    count = 0
    with closing(_outcomes(turn, batch)) as outcomes:
        for forward, outcome in outcomes:
            count += 1
            if not _record(turn, forward, outcome):
                break
    if count < len(batch):
        with database.write("mpps-lease") as tx:
            store.release(tx, turn.token)
    return count


def _lease(turn: _Turn, limit: int) -> Sequence[Forward]:
    now, name = turn.clock.now(), turn.destination.name
    with turn.database.read() as tx:
        if not store.has_due(tx, name, now):
            return ()
    with turn.database.write("mpps-lease") as tx:
        return store.lease(tx, name, now, limit, token=turn.token, lease_seconds=LEASE_SECONDS)


def _outcomes(turn: _Turn, batch: Sequence[Forward]) -> Generator[tuple[Forward, _Outcome], None, None]:
    """Send in order, an association for each run of one title and transfer syntax; end with what is to be repeated."""
    parked: set[int] = set()  # steps of which nothing more is sent
    for (syntax, calling), run in groupby(batch, lambda forward: (forward.transfer_syntax, _calling(turn, forward))):
        part, established = list(run), False
        try:
            with _associated(turn, calling, syntax) as (association, spoken):
                established = True
                for forward in part:
                    if forward.performed_step in parked:
                        continue
                    outcome = _sent(turn, forward, association, spoken)
                    yield forward, outcome
                    if isinstance(outcome.decision, Park):
                        parked.add(forward.performed_step)
                    if isinstance(outcome.decision, Again):
                        return
        except Unavailable as error:
            if not established:
                yield part[0], _unsent(turn, part[0], error)
            return  # every answer has come by the end: how the association ends is nobody's failure


@contextmanager
def _associated(turn: _Turn, calling: str, syntax: str) -> Iterator[tuple[Association, str]]:
    """Open an association in the syntax of what is to be sent, or in the one that every provider must take."""
    peer = _peer(turn, calling)
    with ExitStack() as stack:
        try:
            association = stack.enter_context(turn.caller.associate(peer, [(SOP_CLASS, syntax)]))
        except AssociationRefused as refused:
            if refused.rejection is not None or syntax == IMPLICIT_LITTLE_ENDIAN:
                raise
            syntax = IMPLICIT_LITTLE_ENDIAN  # PS3.5 10.1: the default
            association = stack.enter_context(turn.caller.associate(peer, [(SOP_CLASS, syntax)]))
        yield association, syntax


def _sent(turn: _Turn, forward: Forward, association: Association, syntax: str) -> _Outcome:
    request = NormalizedRequest(
        command=_COMMANDS[forward.operation],
        sop_class_uid=SOP_CLASS,
        sop_instance_uid=forward.sop_instance_uid,
        transfer_syntax=syntax,
        data_set=_data_set(forward, syntax),
    )
    tries, now, chance = forward.tries + 1, turn.clock.now(), turn.chance()
    try:
        with failpoints.around("mpps.send"):
            answer = association.request(request)
    except ContextRefused:
        return _Outcome(state.after_context_refused(forward.transfer_syntax))
    except Unavailable as error:
        return _Outcome(state.after_silence(error, tries, now, chance), sent=True)
    except OSError as error:
        broken = Unavailable(f"the connection broke: {error.strerror or type(error).__name__}")
        return _Outcome(state.after_silence(broken, tries, now, chance), sent=True)
    decision = state.after_answer(forward.operation, answer.status, tries, forward.unanswered, now, chance)
    return _Outcome(decision, answer.status, sent=True)


def _data_set(forward: Forward, syntax: str) -> bytes:
    """Return the data set as it came, or every element of it written in another syntax."""
    if syntax == forward.transfer_syntax:
        return forward.data
    return elements.write(attributes.read_elements(forward.data, forward.transfer_syntax), syntax)


def _unsent(turn: _Turn, forward: Forward, error: Unavailable) -> _Outcome:
    if isinstance(error, AssociationRefused) and error.rejection is None:  # it let us in, and takes no such context
        return _Outcome(state.after_context_refused(forward.transfer_syntax))
    return _Outcome(state.after_silence(error, forward.tries + 1, turn.clock.now(), turn.chance()))


def _record(turn: _Turn, forward: Forward, outcome: _Outcome) -> bool:
    """Record one outcome; tell False where the lease is another's by now."""
    now = turn.clock.now()
    with turn.database.write("mpps-outcome") as tx:
        mine = store.finish(tx, forward, turn.token, outcome.decision, outcome.status, outcome.sent, now)
        if mine:
            store.renew(tx, turn.token, now + timedelta(seconds=LEASE_SECONDS))
            _tell(turn, tx, forward, outcome)
    if not mine:
        log.warning("mpps.lease-lost", forward=forward.id, destination=forward.destination)
        return False
    _log(forward, outcome.decision)
    return True


def _tell(turn: _Turn, tx: Transaction, forward: Forward, outcome: _Outcome) -> None:
    decision = outcome.decision
    text = f"{forward.operation} {forward.id} of step {forward.sop_instance_uid}: {decision.reason}"
    if isinstance(decision, Again):
        if decision.escalate:
            turn.alert(tx, FAILING, forward.destination, f"{text}; {forward.tries + 1} tries; what follows waits")
        return
    event = "mpps.delivered" if isinstance(decision, Delivered) else PARKED
    names = {"forward": forward.id, "destination": forward.destination, "operation": forward.operation.value}
    journal.record(
        tx, turn.clock.now(), event, **names, sop_instance_uid=forward.sop_instance_uid, status=outcome.status
    )
    if isinstance(decision, Park):
        turn.alert(tx, PARKED, forward.destination, text)


def _log(forward: Forward, decision: Decision) -> None:
    names = {"forward": forward.id, "destination": forward.destination, "tries": forward.tries + 1}
    match decision:
        case Delivered(reason):
            log.info("mpps.delivered", **names, operation=forward.operation.value, warning=reason)
        case Again(due, reason):
            log.warning("mpps.again", **names, due=due, why=reason)
        case Park(reason):
            log.error("mpps.parked", **names, why=reason)


def _calling(turn: _Turn, forward: Forward) -> str:
    match turn.destination.calling:
        case "broker":
            return turn.own_title
        case "device":
            return forward.calling_ae_title
    return turn.destination.calling


def _peer(turn: _Turn, calling: str) -> Peer:
    destination = turn.destination
    if destination.ae_title is None:
        raise Misconfigured(f"destination {destination.name!r} has no ae_title")
    return Peer(destination.host, destination.port, destination.ae_title, calling)
