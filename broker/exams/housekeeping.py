"""Chores: answered queries into the ledger, items whose day is over, what is kept no longer than agreed.

Each works in small transactions of its own, so that nobody who receives or answers waits for it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from broker import journal
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.environments.model import Profile
from broker.exams import late_store, purge_store, store

_BATCH = 500  # rows in one transaction
_MOST_BATCHES = 1_000  # in one beat: what is left comes with the next

Work = Callable[[Transaction], int]

_PURGED: dict[str, tuple[str, Callable[[Transaction, datetime, int], int]]] = {
    "messages": ("inbox", purge_store.purge_messages),
    "deliveries": ("delivery", purge_store.purge_deliveries),
    "queries": ("associations", purge_store.purge_queries),
}
"""What is purged: under which label it is written, and how."""


def fold_queries(database: Database) -> int:
    """Take answered queries into the ledger; return how many. Nothing is written where there are none.

    They are read before the writing: while that goes on, no query can be recorded, and each of them waits for it.
    """
    total = 0
    for _ in range(_MOST_BATCHES):
        with database.read() as tx:
            queries = store.unfolded(tx, _BATCH)
        if queries.count:
            with database.write("associations") as tx:
                total += store.fold(tx, queries)
        if queries.count < _BATCH:
            break
    return total


def count_late(database: Database, profile: Profile, clock: Clock) -> None:
    """Count the late steps of exams for whoever watches: more than a page of numbers should cost when it is read."""
    with database.read() as tx:
        counts = late_store.count(tx, profile, clock.now())
    with database.write("alerts") as tx:
        late_store.keep(tx, counts, clock.now())


def expire_items(database: Database, profile: Profile, clock: Clock) -> int:
    """Offer items no longer whose day is over for `expire_days`; return how many. A started one never expires."""
    first_day = purge_store.first_offered_day(clock.now().astimezone(profile.timezone).date(), profile.expire_days)
    with database.read() as tx:
        if not first_day or not purge_store.has_expired(tx, first_day):
            return 0
    count = _in_batches(database, "orders", lambda tx: purge_store.withdraw(tx, first_day, _BATCH))
    journal.log.info("worklist.expired", items=count, first_day=first_day)
    return count


def purge(database: Database, profile: Profile, clock: Clock) -> dict[str, int]:
    """Remove what is older than the profile's retention and what the ledger does not need; return how much of each.

    A retention of 0 keeps everything.
    """
    if not profile.retention_days:
        return {}
    before = clock.now() - timedelta(days=profile.retention_days)
    counts = {
        what: _in_batches(database, label, lambda tx, take=take: take(tx, before, _BATCH))  # type: ignore[misc]
        for what, (label, take) in _PURGED.items()
    }
    if any(counts.values()):
        with database.write("delivery") as tx:
            journal.record(tx, clock.now(), "purge.done", before=before, **counts)
        journal.log.info("purge.done", **counts)
    return counts


def _in_batches(database: Database, label: str, work: Work) -> int:
    """Work in one transaction after the other until one finds less than a batch; return how many in all."""
    total = 0
    for _ in range(_MOST_BATCHES):
        with database.write(label) as tx:
            count = work(tx)
        total += count
        if count < _BATCH:
            break
    return total
