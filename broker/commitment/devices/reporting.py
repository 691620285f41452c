"""Sends devices their reports: on an association of theirs that is open, or on one of ours (PS3.4 J.3.3).

Two processes do this, the one of the listeners and the one that calls; a lease keeps them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

from broker import failpoints, journal
from broker.clock import Clock
from broker.commitment import dataset
from broker.commitment.devices import state, store
from broker.commitment.devices.model import DeviceRequest
from broker.commitment.devices.state import Again, Decision, Park, Taken
from broker.commitment.model import SOP_CLASS, SOP_INSTANCE, SYNTAXES, Outcome, Report
from broker.commitment.proof.asking import Association, Caller
from broker.database import Database, Transaction
from broker.delivery.escalation import OnEvent
from broker.delivery.state import cause_of
from broker.dimse.items import Role
from broker.dimse.message import CommandField
from broker.dimse.service import AssociationRefused, ContextRefused, NormalizedAnswer, NormalizedRequest, Peer
from broker.environments.commitment import CommitmentSettings
from broker.errors import BrokerError, Unavailable
from broker.journal import log
from broker.leases import new_token
from broker.registry.model import ReportWay

NOT_REPORTED = "commitment.not-reported"

_REPORTS = 50  # in one beat

Where = Callable[[DeviceRequest], tuple[str, int]]
"""Returns host and port of the device that asked; an empty host where none is bound."""

Open = Callable[[DeviceRequest], tuple[str, str] | None]
"""Returns an open association of the device that asked, and its transfer syntax; None where there is none."""

Notify = Callable[[str, NormalizedRequest, Callable[[NormalizedAnswer | None], None]], bool]
"""Sends a request on an association that a peer has opened (`dimse.acceptor.Server.notify`)."""

HasEnded = Callable[[Transaction, str], bool]
"""Tells whether an association has ended, as far as the database knows."""


@dataclass(frozen=True, slots=True)
class ReportDesk:
    """What is needed to report."""

    database: Database
    settings: CommitmentSettings
    clock: Clock
    jitter: Callable[[], float]
    on_event: OnEvent


# --- on an association of the device's -----------------------------------------------------------------------------


def report_here(desk: ReportDesk, open_: Open, notify: Notify) -> int:
    """Send what is due to devices that hold an association open; return how many reports were sent."""
    sent = 0
    for request in _due(desk):
        found = open_(request) if request.asker.way is not ReportWay.NEW else None
        if found is not None:
            sent += _notify(desk, request, *found, notify)
    return sent


def _notify(desk: ReportDesk, request: DeviceRequest, association_id: str, syntax: str, notify: Notify) -> int:
    token = _lease(desk, request)
    if not token:
        return 0
    message = _message(desk, request, syntax)

    def answered(answer: NormalizedAnswer | None) -> None:
        now = desk.clock.now()
        if answer is None:  # it ended: a new association is tried at once
            decision: Decision = Again(now, "the device ended the association before it answered its report")
        else:
            decision = state.after_answer(request, answer.status, desk.settings, now, desk.jitter())
        _record(desk, request, token, decision)

    with failpoints.around("commitment.report"):
        if notify(association_id, message, answered):
            return 1
    with desk.database.write("commitment-report") as tx:
        store.release(tx, token)
    return 0


# --- on an association of ours -------------------------------------------------------------------------------------


def report_anew(desk: ReportDesk, caller: Caller, where: Where, has_ended: HasEnded) -> int:
    """Call devices whose reports are due and that hold no association open; return how many were called."""
    called = 0
    for request in _due(desk):
        if _is_ours(desk, request, has_ended) and (token := _lease(desk, request)):
            _record(desk, request, token, _called(desk, request, caller, *where(request)))
            called += 1
    return called


def _is_ours(desk: ReportDesk, request: DeviceRequest, has_ended: HasEnded) -> bool:
    """Tell whether a report is to go out on a new association: the device is given a moment to take it on its own."""
    match request.asker.way:
        case ReportWay.SAME:
            return _is_over(desk, request)
        case ReportWay.NEW:
            return True
    if request.tries or desk.clock.now() - (request.decided or request.received) >= state.SAME_FIRST:
        return True
    with desk.database.read() as tx:
        return has_ended(tx, request.asker.association_id)


def _is_over(desk: ReportDesk, request: DeviceRequest) -> bool:
    decision = state.after_failure(request, "", desk.settings, desk.clock.now(), 0.0)
    return isinstance(decision, Park)


def _called(desk: ReportDesk, request: DeviceRequest, caller: Caller, host: str, port: int) -> Decision:
    if request.asker.way is ReportWay.SAME:
        return _failed(desk, request, "the device takes reports on its own associations only, and opened none")
    if not host or not port:
        name = request.asker.device or request.asker.calling_ae_title
        return _failed(desk, request, f"host and port of the device are not known: `broker modality bind {name} …`")
    peer = Peer(host, port, request.asker.calling_ae_title, request.asker.called_ae_title)
    try:
        answer = _sent(desk, request, caller, peer)
    except (Unavailable, ContextRefused) as error:
        return _failed(desk, request, cause_of(error))
    except OSError as error:
        return _failed(desk, request, f"the connection broke: {error.strerror or type(error).__name__}")
    return state.after_answer(request, answer.status, desk.settings, desk.clock.now(), desk.jitter())


def _sent(desk: ReportDesk, request: DeviceRequest, caller: Caller, peer: Peer) -> NormalizedAnswer:
    """Send the report as provider of an association that we request: the role is proposed (PS3.7 D.3.3.4).

    Devices that accept no context with a role proposed are asked again without.
    """
    role = Role(SOP_CLASS, scu=False, scp=True)
    try:
        return _on_association(desk, request, caller, peer, (role,))
    except AssociationRefused as refusal:
        if refusal.rejection is not None:
            raise
        return _on_association(desk, request, caller, peer, ())


def _on_association(
    desk: ReportDesk, request: DeviceRequest, caller: Caller, peer: Peer, roles: tuple[Role, ...]
) -> NormalizedAnswer:
    answer: NormalizedAnswer | None = None
    try:
        with caller.associate(peer, [(SOP_CLASS, syntax) for syntax in SYNTAXES], roles) as association:
            message = _message(desk, request, _syntax(association))
            with failpoints.around("commitment.report"):
                answer = association.request(message)
    except Unavailable:
        if answer is None:  # else it has answered: how the association ends is nobody's failure
            raise
    assert answer is not None
    return answer


def _syntax(association: Association) -> str:
    return next((syntax for sop_class, syntax in association.accepted if sop_class == SOP_CLASS), SYNTAXES[0])


# --- both --------------------------------------------------------------------------------------------------------


def _due(desk: ReportDesk) -> list[DeviceRequest]:
    with desk.database.read() as tx:
        return store.due_reports(tx, desk.clock.now(), _REPORTS)


def _lease(desk: ReportDesk, request: DeviceRequest) -> str:
    """Return the token of a lease on a report; empty where somebody else was faster."""
    token = new_token()
    with desk.database.write("commitment-report") as tx:
        return token if store.lease(tx, request, token, desk.clock.now() + state.LEASE) else ""


def _message(desk: ReportDesk, request: DeviceRequest, syntax: str) -> NormalizedRequest:
    with desk.database.read() as tx:
        lines = store.lines(tx, request.id)
    outcomes = tuple(line.outcome or Outcome(line.reference) for line in lines)
    report = Report(request.transaction_uid, outcomes)
    return NormalizedRequest(
        CommandField.N_EVENT_REPORT_RQ,
        SOP_CLASS,
        SOP_INSTANCE,
        syntax,
        type_id=report.event_type,
        data_set=dataset.write_report(report, syntax),
    )


def _failed(desk: ReportDesk, request: DeviceRequest, reason: str) -> Decision:
    return state.after_failure(request, reason, desk.settings, desk.clock.now(), desk.jitter())


def _record(desk: ReportDesk, request: DeviceRequest, token: str, decision: Decision) -> None:
    now, name = desk.clock.now(), request.asker.device or request.asker.calling_ae_title
    names = {"request": request.id, "device": name, "transaction": request.transaction_uid}
    try:
        with desk.database.write("commitment-report") as tx:
            if not store.finish(tx, token, decision, now):
                log.warning("commitment.lease-lost", **names)
                return
            if not isinstance(decision, Again):
                event = "commitment.reported" if isinstance(decision, Taken) else "commitment.parked"
                journal.record(tx, now, event, **names, called=request.asker.called_ae_title)
            if isinstance(decision, Park) or (isinstance(decision, Again) and decision.escalate):
                desk.on_event(tx, NOT_REPORTED, name, f"request {request.id}: {decision.reason}")
    except BrokerError as error:  # the lease ends, and the report is due again
        log.warning("commitment.not-recorded", **names, why=str(error))
        return
    _log(names, decision)


def _log(names: dict[str, object], decision: Decision) -> None:
    match decision:
        case Taken():
            log.info("commitment.reported", **names)
        case Again(due, reason):
            log.warning("commitment.report-again", **names, due=due, why=reason)
        case Park(reason):
            log.error("commitment.parked", **names, why=reason)
