"""A clock that was set back: what it had put off by more than we ever wait is due now. Owns no schedule.

A machine that starts with a wrong clock, ten years on, would else try again in ten years what failed before the clock
was put right.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from broker.database import Database
from broker.delivery import destination_store
from broker.delivery.http_answers import LONGEST_PAUSE_SECONDS
from broker.journal import log

LONGEST_WAIT = timedelta(seconds=LONGEST_PAUSE_SECONDS)
"""Between two tries, whoever asks for it; `state.DELAYS` are shorter."""

_NOTICED = timedelta(minutes=1)  # less delays nothing by more than that


def is_set_back(before: datetime | None, now: datetime) -> bool:
    """Tell whether the clock was set back since it was `before`; nobody knows where we have only just begun."""
    return before is None or now < before - _NOTICED


def mend(database: Database, destinations: Collection[str], now: datetime) -> int:
    """Make due what these destinations are owed and what waits for longer than we ever wait; return how many."""
    latest = now + LONGEST_WAIT
    with database.read() as tx:
        late = [name for name in destinations if destination_store.waits_after(tx, name, latest)]
    if not late:
        return 0
    with database.write("delivery") as tx:
        count = sum(destination_store.put_forward(tx, name, latest, now) for name in late)
    log.warning("clock.set-back", destinations=late, deliveries=count)
    return count
