"""When the spool may let an instance go: every destination has it, has proven it where it can, and time has passed.

Writes in its caller's transaction; files are removed after the commit, by who committed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker import journal
from broker.clock import Clock
from broker.commitment.proof import state, store
from broker.database import Database, Transaction
from broker.delivery.model import Delivery
from broker.environments.commitment import ProofBy, ProofSettings
from broker.environments.model import Profile
from broker.errors import Unavailable
from broker.journal import log
from broker.spool import store as spool_store
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

_BATCH = 100  # instances in one transaction: who receives waits no longer than that


@dataclass(frozen=True, slots=True)
class Keeping:
    """What of the profile says for how long an instance is kept."""

    proofs: Mapping[str, ProofSettings]  # by the names of the destinations that are asked
    known: frozenset[str]  # the names of all destinations
    spool_hours: int

    @classmethod
    def of(cls, profile: Profile) -> "Keeping":
        """Return what a profile says."""
        asked = {each.name: each.proof for each in profile.destinations if each.proof.by is not ProofBy.NONE}
        return cls(asked, frozenset(each.name for each in profile.destinations), profile.spool_hours)


def settle(tx: Transaction, keeping: Keeping, delivery: Delivery, instance: SpooledInstance, now: datetime) -> bool:
    """Owe the proof of a delivery that has just ended; tell whether the instance may leave the spool at once."""
    asked = keeping.proofs.get(delivery.destination)
    if asked is not None and not _is_unable(tx, delivery.destination, now):
        store.owe(tx, delivery, instance, now + state.FIRST_ASKED.get(asked.by, state.SOON), now)
    return store.may_forget(tx, instance.id, keeping.spool_hours, now)


def _is_unable(tx: Transaction, destination: str, now: datetime) -> bool:
    prover = store.prover(tx, destination)
    return prover.unable and prover.due is not None and now < prover.due


def forget(tx: Transaction, keeping: Keeping, instance_ids: Iterable[str], now: datetime) -> list[SpooledInstance]:
    """Let go of those of these instances that may leave; return them, for `remove` after the commit."""
    may = [each for each in dict.fromkeys(instance_ids) if store.may_forget(tx, each, keeping.spool_hours, now)]
    found = spool_store.find_all(tx, may)
    gone = [instance for each in may if (instance := found.get(each)) and spool_store.forget(tx, each, now)]
    for instance in gone:
        uid = instance.facts.sop_instance_uid
        journal.record(tx, now, "instance.forgotten", instance=instance.id, sop_instance_uid=uid)
    return gone


def let_go(database: Database, spool: FileSpool, keeping: Keeping, instance_ids: Sequence[str], clock: Clock) -> int:
    """Let go of those of many instances that may leave, in short transactions; return how many have left."""
    count = 0
    for start in range(0, len(instance_ids), _BATCH):
        with database.write("proof") as tx:
            gone = forget(tx, keeping, instance_ids[start : start + _BATCH], clock.now())
        remove(spool, gone)
        count += len(gone)
    return count


def remove(spool: FileSpool, gone: Iterable[SpooledInstance]) -> None:
    """Remove the files of instances that the committed index has let go."""
    for instance in gone:
        try:
            spool.forget(instance)
        except Unavailable as error:
            # The next start removes it.
            log.warning("spool.file-stays", instance=instance.id, why=str(error))
