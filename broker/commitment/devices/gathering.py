"""Looks what became of the instances that devices ask us to answer for; when all are decided, a report is due."""

from collections.abc import Sequence
from datetime import datetime

from broker import journal
from broker.clock import Clock
from broker.commitment.devices import state, store
from broker.commitment.devices.model import DeviceRequest, Line
from broker.commitment.devices.state import Standing
from broker.commitment.model import Outcome, Reference
from broker.commitment.proof import store as proofs
from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.environments.commitment import CommitmentSettings
from broker.errors import Unavailable
from broker.journal import log
from broker.registry.model import CommitmentMode
from broker.spool import store as spool_store
from broker.spool.errors import DamagedInstance
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

_REQUESTS = 50  # looked at in one beat


def gather(database: Database, spool: FileSpool, settings: CommitmentSettings, clock: Clock) -> int:
    """Look at every request at which it is time to look; return how many those were."""
    with database.read() as tx:
        due = store.gathering(tx, clock.now(), _REQUESTS)
    for request in due:
        _look(database, spool, settings, clock.now(), request)
    return len(due)


def _look(
    database: Database, spool: FileSpool, settings: CommitmentSettings, now: datetime, request: DeviceRequest
) -> None:
    age, mode = now - request.received, request.asker.mode
    with database.read() as tx:
        open_ = store.lines(tx, request.id, undecided=True)
        found = [(line, *_found(tx, line.reference, mode)) for line in open_]
    decided: list[tuple[Line, Outcome]] = []
    for line, standing, instance in found:
        known = _verified(standing, instance, spool) if mode is CommitmentMode.OWN else standing
        outcome = state.verdict(line.reference, mode, known, age, settings)
        if outcome is not None:
            decided.append((line, outcome))
    _record(database, request, decided, len(open_), now)


def _found(tx: Transaction, reference: Reference, mode: CommitmentMode) -> tuple[Standing, SpooledInstance | None]:
    """Return how an instance stands, and its newest version of that SOP class."""
    versions = spool_store.find_by_sop(tx, reference.sop_instance_uid)
    own = [each for each in versions if each.facts.sop_class_uid == reference.sop_class_uid]
    if not own:
        return Standing(other_class=bool(versions)), None
    instance = own[-1]
    if mode is CommitmentMode.OWN:
        is_held = instance.id in spool_store.known(tx, [instance.id]).held
        return Standing(known=True), instance if is_held else None
    stored = deliveries.settled(tx, instance.id)
    proven = stored and proofs.may_forget(tx, instance.id, 0, instance.facts.received)
    return Standing(known=True, stored=stored, proven=proven), instance


def _verified(standing: Standing, instance: SpooledInstance | None, spool: FileSpool) -> Standing:
    """Read again what we are to answer for. What is gone from the spool is where it was to go."""
    if instance is None:
        return standing
    try:
        spool.verify(instance)
    except (DamagedInstance, Unavailable):
        return Standing(known=True, damaged=True)
    return standing


def _record(
    database: Database, request: DeviceRequest, decided: Sequence[tuple[Line, Outcome]], undecided: int, now: datetime
) -> None:
    is_ready = len(decided) == undecided
    with database.write("commitment") as tx:
        store.decide(tx, request.id, decided)
        if is_ready:
            store.ready(tx, request.id, now)
            journal.record(tx, now, "commitment.decided", request=request.id, transaction=request.transaction_uid)
        else:
            store.look_again(tx, request.id, state.next_look(now - request.received, now))
    if is_ready:
        log.info("commitment.decided", request=request.id, device=request.asker.device)
