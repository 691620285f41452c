"""Asks a destination by storage commitment: N-ACTION for what is due, and its report on the same association.

A report that comes later, on an association that the destination opens, is taken by `reports` in the same way.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from broker import failpoints
from broker.commitment import dataset
from broker.commitment.model import MOST_REFERENCES, REQUEST, SOP_CLASS, SOP_INSTANCE, SYNTAXES, Request
from broker.commitment.proof import reports, state, store
from broker.commitment.proof.model import Proof, ProofState, ProverState
from broker.commitment.proof.outcome import UNREPORTED, Asked, let_go, trouble, well
from broker.database import Transaction
from broker.dimse.items import Role
from broker.dimse.message import CommandField
from broker.dimse.service import ContextRefused, NormalizedAnswer, NormalizedRequest, Peer
from broker.errors import BrokerError, Unavailable
from broker.identifiers import UID_ROOT
from broker.journal import log

_SLICE = 0.5  # seconds: how often it is looked whether we are stopping
_WARNINGS = frozenset({0x0107, 0x0116})


class Association(Protocol):
    """An association on which a request can be sent and a report awaited."""

    @property
    def accepted(self) -> dict[tuple[str, str], int]:
        """The accepted contexts: (SOP class, transfer syntax) to its number."""
        ...

    def request(self, request: NormalizedRequest) -> NormalizedAnswer:
        """Send a request and return the answer. Raises ContextRefused, Unavailable."""
        ...

    def await_report(self, seconds: float) -> bool:
        """Wait for one request of the peer and answer it. Raises Unavailable."""
        ...


class Caller(Protocol):
    """What opens associations for us (`dimse.requestor.EngineRequestor`)."""

    def associate(
        self,
        peer: Peer,
        contexts: Iterable[tuple[str, str]],
        roles: Iterable[Role] = (),
        reports: Callable[[NormalizedRequest], NormalizedAnswer] | None = None,
    ) -> AbstractContextManager[Association]:
        """Open an association, and release it at the end of the block. Raises AssociationRefused, Unavailable."""
        ...


def ask(asked: Asked, caller: Caller) -> int:
    """Send one request for what is due; return how many instances it names, 0 where nothing is due."""
    now = asked.desk.clock.now()
    uid = f"{UID_ROOT}.{uuid.uuid4().int}"
    with asked.desk.database.read() as tx:
        if not _due(tx, asked, now):
            return 0
    with asked.desk.database.write("proof") as tx:
        proofs = _due(tx, asked, now)
        if not proofs:
            return 0
        _tell_overdue(tx, asked, proofs)
        store.ask(tx, uid, proofs, now + state.LEASE, now)
    _send(asked, caller, uid, proofs)
    return len(proofs)


def _due(tx: Transaction, asked: Asked, now: datetime) -> list[Proof]:
    """Return what one request may name: an instance once, though several versions of it may have been sent."""
    found = store.due(tx, asked.destination.name, now, MOST_REFERENCES)
    return list({proof.reference.sop_instance_uid: proof for proof in reversed(found)}.values())[::-1]


def _tell_overdue(tx: Transaction, asked: Asked, proofs: Sequence[Proof]) -> None:
    overdue = [proof for proof in proofs if proof.state is ProofState.ASKED and proof.tries >= state.ALERT_AFTER]
    if overdue:
        text = (
            f"it took {overdue[0].tries} requests for delivery {overdue[0].delivery_id} and reported on none:"
            f" does it know {asked.own_title!r} with our host and port?"
        )
        asked.desk.on_event(tx, UNREPORTED, asked.destination.name, text)


def _send(asked: Asked, caller: Caller, uid: str, proofs: Sequence[Proof]) -> None:
    """Send the request, and wait a little for its report."""
    progress = _Progress()
    try:
        _talk(asked, caller, uid, proofs, progress)
    except (Unavailable, ContextRefused) as error:
        _ended(asked, uid, error, progress)
    except OSError as error:
        broken = Unavailable(f"the connection broke: {error.strerror or type(error).__name__}")
        _ended(asked, uid, broken, progress)


@dataclass(slots=True)
class _Progress:
    """How far a request came."""

    let_in: bool = False
    answered: bool = False


def _talk(asked: Asked, caller: Caller, uid: str, proofs: Sequence[Proof], progress: _Progress) -> None:
    take = partial(reports.take, asked.desk, asked.destination.ae_title or "")
    with caller.associate(asked.peer, [(SOP_CLASS, s) for s in SYNTAXES], (), take) as association:
        progress.let_in = True
        with failpoints.around("commitment.ask"):
            answer = association.request(_request(association, uid, proofs))
        progress.answered = True
        if _is_taken(asked, uid, answer):
            _await(asked, uid, association)


def _ended(asked: Asked, uid: str, error: BrokerError, progress: _Progress) -> None:
    if progress.answered:
        return  # it ended while we waited: the report comes later
    after = state.after_silence if progress.let_in and isinstance(error, Unavailable) else state.after_refused
    _not_taken(asked, uid, None, partial(after, error=error))


def _request(association: Association, uid: str, proofs: Sequence[Proof]) -> NormalizedRequest:
    syntax = next((syntax for sop_class, syntax in association.accepted if sop_class == SOP_CLASS), SYNTAXES[0])
    data = dataset.write_request(Request(uid, tuple(proof.reference for proof in proofs)), syntax)
    return NormalizedRequest(CommandField.N_ACTION_RQ, SOP_CLASS, SOP_INSTANCE, syntax, type_id=REQUEST, data_set=data)


def _is_taken(asked: Asked, uid: str, answer: NormalizedAnswer) -> bool:
    """Record the answer to a request; tell whether a report will come."""
    names = {"destination": asked.destination.name, "transaction": uid, "status": f"{answer.status:04X}"}
    if answer.status not in _WARNINGS and answer.status:
        log.warning("commitment.refused", **names)
        _not_taken(asked, uid, answer.status, partial(state.after_status, status=answer.status))
        return False
    overdue = asked.desk.clock.now() + timedelta(minutes=asked.destination.proof.minutes)
    with asked.desk.database.write("proof") as tx:
        store.answered(tx, uid, answer.status, overdue)
    well(asked)
    log.info("commitment.asked", **names)
    return True


def _not_taken(asked: Asked, uid: str, status: int | None, after: Callable[..., ProverState]) -> None:
    desk, by = asked.desk, asked.destination.proof.by
    now = desk.clock.now()
    with desk.database.write("proof") as tx:
        before = store.prover(tx, asked.destination.name)
        next_ = after(before, by, now=now, jitter=desk.jitter())
        store.unanswered(tx, uid, status, next_.due or now, next_.reason)
        settled = trouble(tx, asked, next_)
    let_go(desk, settled)


def _await(asked: Asked, uid: str, association: Association) -> None:
    """Stay for the report, as long as the profile says; a destination that ends the association has not failed."""
    until = time.monotonic() + asked.wait_seconds
    with suppress(Unavailable):
        while (left := until - time.monotonic()) > 0 and not asked.is_stopping():
            association.await_report(min(left, _SLICE))
            if _is_reported(asked, uid):  # here, or on an association of its own
                return


def _is_reported(asked: Asked, uid: str) -> bool:
    with asked.desk.database.read() as tx:
        found = store.asking(tx, uid)
    return found is None or found.reported is not None
