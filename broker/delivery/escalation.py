"""When a person is told that a destination, or what is owed to it, still fails: at once, 15 minutes, an hour, daily.

Decides by what is recorded; sends and retries nothing.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import destination_store, store
from broker.delivery.model import DestinationState, Waiting
from broker.delivery.state import absent

OnEvent = Callable[[Transaction, str, str, str], None]
"""Takes (transaction, event, subject, text) of what a person must see, in the transaction that makes it true."""

FAILING = "destination.failing"
ABSENT = "destination.absent"
STUCK = "delivery.failing"
HELD = "destination.held"

AT_ONCE, QUARTER, HOUR, DAY = 1, 2, 3, 4
"""How far a person has been told; each further day is one more."""

FAILURES = 3  # in a row, before a person is told at all: a restart of a PACS wakes nobody


def stage(since: datetime | None, now: datetime) -> int:
    """Return how far a person should have been told of what has failed since then, by the time alone."""
    lasted = now - since if since else timedelta()
    if lasted >= timedelta(days=1):
        return DAY + lasted.days - 1
    if lasted >= timedelta(hours=1):
        return HOUR
    return QUARTER if lasted >= timedelta(minutes=15) else 0


def stage_of(state: DestinationState, now: datetime, *, permanent: bool = False) -> int:
    """Return how far a person should have been told of a destination; a permanent refusal is told at once."""
    at_once = AT_ONCE if permanent or state.failures >= FAILURES else 0
    return max(at_once, stage(state.since, now))


def tell(  # noqa: PLR0917 - one alarm in all its parts
    tx: Transaction, state: DestinationState, permanent: bool, now: datetime, on_event: OnEvent, event: str = FAILING
) -> bool:
    """Tell a person of a destination where that is due and has not been done; return whether it was."""
    due = stage_of(state, now, permanent=permanent)
    if due <= state.told or not destination_store.note_told(tx, state.name, due):
        return False
    on_event(tx, event, state.name, text(state, store.waiting(tx).get(state.name), now))
    return True


def text(state: DestinationState, waiting: Waiting | None, now: datetime) -> str:
    """Return what a person is told of a destination: the likely cause, since when, and what waits."""
    lasted = f" for {duration(now - state.since)}" if state.since and now - state.since >= timedelta(minutes=1) else ""
    count = waiting.count if waiting else 0
    return f"{state.reason}; it fails{lasted}, and {_instances(count)} for it: nothing is lost"


def stuck_text(waiting: Waiting, now: datetime) -> str:
    """Return what a person is told of instances that a destination, which takes others, keeps failing."""
    lasted = duration(now - waiting.failing_since) if waiting.failing_since else "a while"
    count = "1 instance fails" if waiting.failing == 1 else f"{waiting.failing} instances fail"
    return f"{count} there for {lasted}: `broker delivery list --state waiting` says why; they are tried again"


def duration(lasted: timedelta) -> str:
    """Return a duration as a person says it, rounded down."""
    minutes = int(lasted.total_seconds()) // 60
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            count = minutes // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def escalate(database: Database, clock: Clock, on_event: OnEvent) -> int:
    """Tell a person again of what still fails, when its time has come; return how many alarms that were.

    To be called about once a minute: between two tries ten minutes may pass.
    """
    now = clock.now()
    with database.read() as tx:
        states, waiting = destination_store.destination_states(tx), store.waiting(tx)
        told = destination_store.told_of_instances(tx)
    due_now = [one for name, one in states.items() if name in waiting and _due(one, now) > one.told]
    due = {name: stage(one.failing_since, now) for name, one in waiting.items()}
    unwell = {name for name, one in states.items() if one.failures or one.held}  # told of as a whole
    stuck = [name for name, wanted in due.items() if wanted > told.get(name, 0) and name not in unwell]
    over = [name for name in told if not (name in waiting and waiting[name].failing)]
    if not (due_now or stuck or over):
        return 0
    with database.write("delivery") as tx:
        count = sum(_tell_again(tx, one, waiting[one.name], now, on_event) for one in due_now)
        for name in stuck:
            destination_store.set_told_of_instances(tx, name, due[name])
            on_event(tx, STUCK, name, stuck_text(waiting[name], now))
        for name in over:
            destination_store.set_told_of_instances(tx, name, 0)
    return count + len(stuck)


def _due(state: DestinationState, now: datetime) -> int:
    """Return how far a person should have been told; of what a person holds himself, each day."""
    if not state.held:
        return stage_of(state, now)
    by_time = stage(state.held_since, now)
    return by_time if by_time >= DAY else 0


def _tell_again(tx: Transaction, state: DestinationState, waiting: Waiting, now: datetime, on_event: OnEvent) -> bool:
    if not state.held:
        return tell(tx, state, False, now, on_event, FAILING if state.failures else ABSENT)
    if not destination_store.note_told(tx, state.name, _due(state, now)):
        return False
    lasted = duration(now - (state.held_since or now))
    on_event(tx, HELD, state.name, f"{state.held}; for {lasted}, and {_instances(waiting.count)} for its release")
    return True


def note_absent(database: Database, names: Collection[str], clock: Clock, on_event: OnEvent) -> set[str]:
    """Say of each destination that is owed something and that the profile, with `names`, does not have, that it waits.

    Returns their names. They are said once, and again only after the profile had them meanwhile.
    """
    with database.read() as tx:
        missing = {name for name in store.owed_destinations(tx) if name not in names}
        states = [destination_store.destination_state(tx, name) for name in sorted(missing)]
    now = clock.now()
    fresh = [new for old in states if (new := absent(old, now)).reason != old.reason]
    if fresh:
        with database.write("delivery") as tx:
            for said in fresh:
                destination_store.set_destination_state(tx, said)
                on_event(tx, ABSENT, said.name, said.reason)
    return missing


def _instances(count: int) -> str:
    return "1 instance waits" if count == 1 else f"{count} instances wait"
