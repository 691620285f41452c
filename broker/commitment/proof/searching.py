"""Proof by looking: what is due is sought at its destination, by C-FIND or QIDO-RS, and each result recorded."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from broker.commitment.model import MOST_REFERENCES
from broker.commitment.proof import state, store
from broker.commitment.proof.model import Proof
from broker.commitment.proof.outcome import Asked, let_go, record, trouble, well
from broker.dimse.service import ContextRefused
from broker.errors import Unavailable
from broker.spool import store as spool_store
from broker.spool.model import SpooledInstance

Seek = Callable[[Sequence[SpooledInstance]], set[str]]
"""Returns the SOP Instance UIDs that the destination has. Raises AssociationRefused, ContextRefused, Unavailable."""


def search(asked: Asked, seek: Seek) -> int:
    """Look for what is due; return how many were looked for, 0 where nothing is due."""
    wanted = _due(asked)
    if not wanted:
        return 0
    try:
        found = seek([instance for _, instance in wanted])
    except (Unavailable, ContextRefused) as error:
        _not_asked(asked, error)
        return len(wanted)
    well(asked)
    due = asked.desk.clock.now() + timedelta(minutes=asked.destination.proof.minutes)
    concluded = [
        (proof, state.after_search(proof.reference.sop_instance_uid in found, proof.tries + 1, proof.sent_again, due))
        for proof, _ in wanted
    ]
    record(asked.desk, concluded, counts_try=True)
    return len(wanted)


def _due(asked: Asked) -> list[tuple[Proof, SpooledInstance]]:
    with asked.desk.database.read() as tx:
        proofs = store.due(tx, asked.destination.name, asked.desk.clock.now(), MOST_REFERENCES)
        instances = spool_store.find_all(tx, [proof.instance_id for proof in proofs])
    return [(proof, instances[proof.instance_id]) for proof in proofs]


def _not_asked(asked: Asked, error: Unavailable | ContextRefused) -> None:
    desk = asked.desk
    with desk.database.write("proof") as tx:
        before = store.prover(tx, asked.destination.name)
        after = state.after_refused(before, asked.destination.proof.by, error, desk.clock.now(), desk.jitter())
        settled = trouble(tx, asked, after)
    let_go(desk, settled)
