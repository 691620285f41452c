"""Records what a destination said of instances: proofs, deliveries that begin anew, alerts, what leaves the spool."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker import journal
from broker.clock import Clock
from broker.commitment.proof import keeping, state, store
from broker.commitment.proof.keeping import Keeping
from broker.commitment.proof.model import Proof, ProofState, ProverState
from broker.commitment.proof.state import Again, Decision, Disproved, Proven, SendOnceMore
from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.delivery.escalation import OnEvent
from broker.dimse.service import Peer
from broker.environments.model import Destination
from broker.errors import Misconfigured
from broker.journal import log
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

FAILED = "commitment.failed"
FAILING = "commitment.failing"
UNREPORTED = "commitment.unreported"
UNPROVEN = "commitment.unproven"


@dataclass(frozen=True, slots=True)
class Desk:
    """What is needed to record an outcome."""

    database: Database
    spool: FileSpool
    keeping: Keeping
    clock: Clock
    jitter: Callable[[], float]
    on_event: OnEvent


@dataclass(frozen=True, slots=True)
class Asked:
    """One destination that is asked, and under which title of ours."""

    desk: Desk
    destination: Destination
    own_title: str
    wait_seconds: float
    is_stopping: Callable[[], bool]

    @property
    def peer(self) -> Peer:
        """Whom we call, and as whom. Raises Misconfigured."""
        destination = self.destination
        if destination.ae_title is None:
            raise Misconfigured(f"destination {destination.name!r} has no ae_title")
        return Peer(destination.host, destination.port, destination.ae_title, self.own_title)


Concluded = tuple[Proof, Decision]


def record(desk: Desk, concluded: Iterable[Concluded], *, counts_try: bool = False) -> None:
    """Record what became of proofs in one transaction, then remove the files of what may leave."""
    with desk.database.write("proof") as tx:
        gone = apply(tx, desk, concluded, counts_try=counts_try)
    keeping.remove(desk.spool, gone)


def apply(
    tx: Transaction, desk: Desk, concluded: Iterable[Concluded], *, counts_try: bool = False
) -> list[SpooledInstance]:
    """Record what became of proofs; return the instances that have left the spool by it."""
    now = desk.clock.now()
    done = [
        (proof, decision)
        for proof, decision in concluded
        if store.conclude(tx, proof, decision, now, counts_try=counts_try)
    ]
    for proof, decision in done:
        _follow(tx, desk, proof, decision, now)
    _tell(tx, desk, done)
    return keeping.forget(
        tx, desk.keeping, [p.instance_id for p, decision in done if isinstance(decision, Proven)], now
    )


def _follow(tx: Transaction, desk: Desk, proof: Proof, decision: Decision, now: datetime) -> None:
    names = {"delivery": proof.delivery_id, "destination": proof.destination}
    uid = proof.reference.sop_instance_uid
    match decision:
        case Proven():
            journal.record(tx, now, "delivery.proven", **names, sop_instance_uid=uid)
        case SendOnceMore(reason):
            deliveries.send_once_more(tx, proof.delivery_id, reason, now)
            journal.record(tx, now, "delivery.lacking", **names, sop_instance_uid=uid)
            log.warning("delivery.lacking", **names, why=reason)
        case Disproved(reason):
            deliveries.disprove(tx, proof.delivery_id, reason)
            journal.record(tx, now, "delivery.disproved", **names, sop_instance_uid=uid)
            log.error("delivery.disproved", **names, why=reason)
        case Again(due, reason):
            log.warning("proof.again", **names, due=due, why=reason)


def _tell(tx: Transaction, desk: Desk, done: list[Concluded]) -> None:
    """Raise one alert a destination, whatever the number of its instances."""
    parked = [(proof, decision) for proof, decision in done if isinstance(decision, Disproved)]
    if parked:
        proof, decision = parked[0]
        more = f" and {len(parked) - 1} more" if len(parked) > 1 else ""
        assert isinstance(decision, Disproved)
        text = f"delivery {proof.delivery_id}{more}: {decision.reason}"
        desk.on_event(tx, FAILED, proof.destination, text)
    proven = sum(isinstance(decision, Proven) for _, decision in done)
    if proven:
        log.info("delivery.proven", destination=done[0][0].destination, instances=proven)


def well(asked: Asked) -> None:
    """Take note that a destination answered as it should."""
    name = asked.destination.name
    with asked.desk.database.read() as tx:
        before = store.prover(tx, name)
    if not state.is_well(before):
        with asked.desk.database.write("proof") as tx:
            store.set_prover(tx, ProverState(name))


def trouble(tx: Transaction, asked: Asked, after: ProverState) -> list[str]:
    """Record that a destination could not be asked, and tell people in time; return what may leave the spool by it.

    One that cannot prove, and need not, is asked no more for a while: what it answered to the instances counts.
    """
    desk, now = asked.desk, asked.desk.clock.now()
    store.set_prover(tx, after)
    log.warning("prover.failed", destination=after.name, failures=after.failures, unable=after.unable, why=after.reason)
    if after.unable:
        waived = store.waive(tx, after.name, (), f"the destination does not prove: {after.reason}", now)
        return [proof.instance_id for proof in waived if proof.state is not ProofState.FAILED]
    if after.failures >= state.ALERT_AFTER:
        desk.on_event(
            tx, FAILING, after.name, f"it proves nothing, so the spool keeps what it was sent: {after.reason}"
        )
    return []


def let_go(desk: Desk, instance_ids: Sequence[str]) -> int:
    """Let go of what may leave of many instances; return how many have left."""
    return keeping.let_go(desk.database, desk.spool, desk.keeping, instance_ids, desk.clock)
