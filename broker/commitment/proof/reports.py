"""Takes an N-EVENT-REPORT of a destination, on whatever association it comes; durable before it is answered."""

from collections.abc import Mapping

from broker import journal
from broker.commitment import dataset
from broker.commitment.model import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    SOP_CLASS,
    CommitmentRefused,
    Outcome,
    Report,
)
from broker.commitment.proof import keeping, state, store
from broker.commitment.proof.model import Asking, Proof, ProofState
from broker.commitment.proof.outcome import Concluded, Desk, apply
from broker.database import Transaction
from broker.dimse.message import CommandField
from broker.dimse.service import NormalizedAnswer, NormalizedRequest
from broker.errors import Unavailable
from broker.journal import log
from broker.spool.model import SpooledInstance

_SUCCESS = 0x0000
_NO_SUCH_EVENT = 0x0113
_NO_SUCH_CLASS = 0x0118
_UNRECOGNIZED_OPERATION = 0x0211
_RESOURCE_LIMITATION = 0x0213


def take(desk: Desk, reporter: str, request: NormalizedRequest) -> NormalizedAnswer:
    """Record what a destination reports, and answer it. `reporter` is the title it goes by, for the journal.

    A repetition changes nothing, and a transaction that we do not know is acknowledged: else it would be repeated
    for days (PS3.4 J.3.3 leaves it open).
    """
    try:
        _check(request)
        report = dataset.read_report(request.data_set, request.transfer_syntax)
        with desk.database.write("proof") as tx:
            gone = _take(tx, desk, reporter, report)
    except CommitmentRefused as refused:
        log.warning("report.refused", reporter=reporter, status=f"{refused.status:04X}", why=refused.text)
        return NormalizedAnswer(refused.status, error_comment=refused.text[:64])
    except Unavailable as error:
        log.warning("report.not-kept", reporter=reporter, why=str(error))
        return NormalizedAnswer(_RESOURCE_LIMITATION, error_comment="cannot be made durable now, send it again")
    keeping.remove(desk.spool, gone)
    return NormalizedAnswer(_SUCCESS)


def _check(request: NormalizedRequest) -> None:
    if request.command != CommandField.N_EVENT_REPORT_RQ:
        raise CommitmentRefused(_UNRECOGNIZED_OPERATION, "only N-EVENT-REPORT is expected here")
    if request.sop_class_uid != SOP_CLASS:
        raise CommitmentRefused(_NO_SUCH_CLASS, "only reports of storage commitment are expected here")
    if request.type_id not in {ALL_COMMITTED, FAILURES_EXIST}:
        raise CommitmentRefused(_NO_SUCH_EVENT, "the event type is neither 1 nor 2")


def _take(tx: Transaction, desk: Desk, reporter: str, report: Report) -> list[SpooledInstance]:
    now, uid = desk.clock.now(), report.transaction_uid
    asked = store.asking(tx, uid)
    failed = sum(one.failure is not None for one in report.outcomes)
    facts = {"reporter": reporter, "transaction": uid, "instances": len(report.outcomes), "failed": failed}
    if asked is None:
        journal.record(tx, now, "report.unknown", **facts)
        log.warning("report.unknown", **facts)
        return []
    first = store.reported(tx, uid, now)
    journal.record(tx, now, "report.taken", **facts, destination=asked.destination, repeated=not first)
    log.info("report.taken", **facts, destination=asked.destination, repeated=not first)
    outcomes = {one.reference.sop_instance_uid: one for one in report.outcomes}
    found = store.meant(tx, asked, [one.reference for one in report.outcomes])
    return apply(tx, desk, _concluded(desk, asked, found, outcomes))


def _concluded(desk: Desk, asked: Asking, found: list[Proof], outcomes: Mapping[str, Outcome]) -> list[Concluded]:
    """Decide on each instance. A late report proves, but no longer disproves: it was asked for anew meanwhile."""
    now = desk.clock.now()
    concluded: list[Concluded] = []
    for proof in found:
        failure = outcomes[proof.reference.sop_instance_uid].failure
        is_current = proof.state is ProofState.ASKED and proof.transaction_uid == asked.transaction_uid
        if failure is None or is_current:
            decision = state.after_report(failure, max(proof.tries, 1), proof.sent_again, now, desk.jitter())
            concluded.append((proof, decision))
    return concluded
