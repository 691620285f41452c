"""What happens to a proof next. Pure: results, errors and instants in, decisions out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.commitment.model import Failure, failure_text
from broker.commitment.proof.model import ProofState, ProverState
from broker.delivery.state import DELAYS, FEW_TRIES, cause_of, delay
from broker.dimse.service import AssociationRefused, ContextRefused
from broker.environments.commitment import ProofBy
from broker.errors import BrokerError

FIRST_ASKED = {ProofBy.FIND: timedelta(seconds=5), ProofBy.QIDO: timedelta(seconds=5)}
"""After a delivery: a receiver may index after it has answered. By commitment it reports when it is ready."""

SOON = timedelta(seconds=1)  # so that the images of a burst share a request
LEASE = timedelta(seconds=120)  # for an N-ACTION to be answered; then it counts as lost
UNABLE = timedelta(hours=24)  # until one that took no request is asked again
LONGEST_PAUSE = max(UNABLE, delay(len(DELAYS), 1.0))
ALERT_AFTER = 3  # failures, or requests without a report, in a row

NEXT: dict[tuple[ProofState, ProofState], str] = {
    (ProofState.WAITING, ProofState.ASKED): "a request of ours names it",
    (ProofState.ASKED, ProofState.WAITING): "the request was refused, lost, or its report is overdue",
    (ProofState.WAITING, ProofState.PROVEN): "it was found, or a late report says so",
    (ProofState.ASKED, ProofState.PROVEN): "the report says so",
    (ProofState.WAITING, ProofState.LACKING): "it was not found",
    (ProofState.ASKED, ProofState.LACKING): "the report says so",
    (ProofState.WAITING, ProofState.FAILED): "it was not found again",
    (ProofState.ASKED, ProofState.FAILED): "the report says so again",
    (ProofState.LACKING, ProofState.WAITING): "it was delivered once more",
    (ProofState.FAILED, ProofState.WAITING): "a person had it delivered once more",
    (ProofState.LACKING, ProofState.PROVEN): "a late report says so",
    (ProofState.WAITING, ProofState.NOT_ASKED): "the destination cannot prove, or a person wants no proof",
    (ProofState.ASKED, ProofState.NOT_ASKED): "as above",
    (ProofState.LACKING, ProofState.NOT_ASKED): "as above",
    (ProofState.FAILED, ProofState.NOT_ASKED): "as above",
    (ProofState.NOT_ASKED, ProofState.WAITING): "it was delivered once more, to one that can prove now",
    (ProofState.PROVEN, ProofState.WAITING): "it was delivered once more",
}
"""Which change is allowed, and by what; a pair that is not here changes nothing."""


def before(state: ProofState) -> tuple[ProofState, ...]:
    """Return the states that may change into this one."""
    return tuple(first for first, second in NEXT if second is state)


@dataclass(frozen=True, slots=True)
class Proven:
    """The destination keeps it."""


@dataclass(frozen=True, slots=True)
class Again:
    """To be asked for again, not before `due`."""

    due: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SendOnceMore:
    """The destination does not have it: it gets it once more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disproved:
    """A person must look: the delivery is parked with the reason."""

    reason: str


Decision = Proven | Again | SendOnceMore | Disproved

STATE_OF: dict[type, ProofState] = {
    Proven: ProofState.PROVEN,
    Again: ProofState.WAITING,
    SendOnceMore: ProofState.LACKING,
    Disproved: ProofState.FAILED,
}

# Another try changes nothing.
_FINAL = {
    Failure.CLASS_INSTANCE_CONFLICT: "another instance has its SOP Instance UID there: compare them, then retry",
    Failure.CLASS_NOT_SUPPORTED: "enable the class there for storage commitment, or ask for another proof, then retry",
}


def after_report(failure: int | None, tries: int, sent_again: bool, now: datetime, jitter: float) -> Decision:
    """Decide after a destination's word about one instance; `failure` is its FailureReason. `tries` counts this one."""
    if failure is None:
        return Proven()
    said = f"the destination took it, but does not keep it: {failure_text(failure)}"
    if advice := _FINAL.get(failure):  # type: ignore[call-overload]
        return Disproved(f"{said}; {advice}")
    if failure != Failure.NO_SUCH_INSTANCE and tries < FEW_TRIES:
        return Again(now + delay(tries, jitter), said)
    return _once_more(said, sent_again)


def after_search(found: bool, tries: int, sent_again: bool, due: datetime) -> Decision:
    """Decide after a query; one that does not find it may have come too soon, so it is asked for a few times."""
    if found:
        return Proven()
    said = "the destination took it, but its query does not find it"
    if tries < FEW_TRIES:
        return Again(due, said)
    return _once_more(f"{said}, {tries} times", sent_again)


def _once_more(said: str, sent_again: bool) -> Decision:
    if not sent_again:
        return SendOnceMore(f"{said}; it is sent once more")
    return Disproved(f"{said}, though it was sent twice; look at its log, then retry")


def after_refused(state: ProverState, by: ProofBy, error: BrokerError, now: datetime, jitter: float) -> ProverState:
    """Return how a destination stands that could not be asked: it refused, or was not there."""
    is_unable = isinstance(error, ContextRefused) or (isinstance(error, AssociationRefused) and error.rejection is None)
    if not is_unable:
        return _failed(state, cause_of(error), now, jitter)
    reason = "it does not accept that SOP class: enable it there, or set another proof"
    return _unable(state, reason, now) if by is ProofBy.AUTO else _failed(state, reason, now, jitter)


def after_silence(state: ProverState, by: ProofBy, error: BrokerError, now: datetime, jitter: float) -> ProverState:
    """Return how a destination stands that let us in and did not answer the request.

    Some end the association where they do not know who asks (Orthanc does).
    """
    reason = f"it did not answer the request ({cause_of(error)}): does it know our AE title, host and port?"
    if by is ProofBy.AUTO and state.failures + 1 >= ALERT_AFTER:
        return _unable(state, reason, now)
    return _failed(state, reason, now, jitter)


def after_status(state: ProverState, by: ProofBy, status: int, now: datetime, jitter: float) -> ProverState:
    """Return how a destination stands that did not take a request (PS3.7 10.1.4): its transaction is dead."""
    reason = f"it refused the request with status {status:04X}: does it know our AE title, host and port?"
    if by is ProofBy.AUTO and status != Failure.RESOURCE_LIMITATION:
        return _unable(state, reason, now)
    return _failed(state, reason, now, jitter)


def _unable(state: ProverState, reason: str, now: datetime) -> ProverState:
    return ProverState(state.name, 0, now + UNABLE, reason, unable=True)


def _failed(state: ProverState, reason: str, now: datetime, jitter: float) -> ProverState:
    failures = state.failures + 1
    return ProverState(state.name, failures, now + delay(failures, jitter), reason)


def is_well(state: ProverState) -> bool:
    """Tell whether nothing was wrong with it the last time."""
    return not state.failures and not state.unable
