"""What is owed to one receiver in order, one at a time: how it stands, what moves it, what a try decides of it.

Two things are: HL7 messages (`outbox`) and forwarded MPPS (`procedures.forward`). Knows neither, nor when a try is made
again; images have states of their own (`delivery`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

from sqlalchemy import Column, ColumnElement, Connection, Table, update

from broker.leases import FREE, Leases
from broker.statements import counts


class OwedState(StrEnum):
    """How it stands; who acts next."""

    WAITING = "waiting"  # machine, when due and when nothing before it waits
    SENDING = "sending"  # machine, until the lease ends
    DELIVERED = "delivered"  # nobody
    PARKED = "parked"  # a person: the receiver refuses it
    DISCARDED = "discarded"  # nobody: a person decided that it is not to be sent


OPEN = (OwedState.WAITING, OwedState.SENDING)
"""What the machine still has to send."""

_UNFINISHED = (*OPEN, OwedState.PARKED)


class Event(Enum):
    """What moves it."""

    LEASED = auto()
    RELEASED = auto()  # nothing was sent, or the lease ended
    DELIVERED = auto()
    AGAIN = auto()
    PARKED = auto()
    RETRIED = auto()  # by a person
    DISCARDED = auto()  # by a person


NEXT: dict[tuple[OwedState, Event], OwedState] = {
    (OwedState.WAITING, Event.LEASED): OwedState.SENDING,
    (OwedState.WAITING, Event.RETRIED): OwedState.WAITING,
    (OwedState.WAITING, Event.DISCARDED): OwedState.DISCARDED,
    (OwedState.SENDING, Event.RELEASED): OwedState.WAITING,
    (OwedState.SENDING, Event.DELIVERED): OwedState.DELIVERED,
    (OwedState.SENDING, Event.AGAIN): OwedState.WAITING,
    (OwedState.SENDING, Event.PARKED): OwedState.PARKED,
    (OwedState.PARKED, Event.RETRIED): OwedState.WAITING,
    (OwedState.PARKED, Event.DISCARDED): OwedState.DISCARDED,
}
"""The state after an event; a pair that is not here changes nothing."""


# --- what a try decides ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. `reason` is empty or says with what reservation; `said` as of `Park`."""

    reason: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """To be sent again, not before `due`, and everything behind it after it. `escalate`: a person must see it."""

    due: datetime
    reason: str
    said: str = ""
    escalate: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """A person must look. `said` is the receiver's own text, which may speak of the patient: kept, never logged."""

    reason: str
    said: str = ""


Decision = Delivered | Again | Park

_EVENT_OF: dict[type, Event] = {Delivered: Event.DELIVERED, Again: Event.AGAIN, Park: Event.PARKED}


def outcome(decision: Decision, now: datetime) -> dict[str, object]:
    """Return what is written of a decision into the row that was leased."""
    said = f"; it says: {decision.said}" if decision.said else ""
    values: dict[str, object] = {
        "state": NEXT[OwedState.SENDING, _EVENT_OF[type(decision)]].value,
        "reason": f"{decision.reason}{said}".removeprefix("; "),
        **FREE,
    }
    if isinstance(decision, Again):
        values["due"] = decision.due
    if isinstance(decision, Delivered):
        values["finished"] = now
    return values


# --- the rows of a table, which has `id`, `state`, `due` and those of a lease ------------------------------------


def leases(table: Table) -> Leases:
    """Return the leases on the rows of a table."""
    return Leases(
        table,
        leased=NEXT[OwedState.WAITING, Event.LEASED].value,
        released=NEXT[OwedState.SENDING, Event.RELEASED].value,
    )


def is_open(table: Table) -> ColumnElement[bool]:
    """Return the guard of what the machine still has to send."""
    return table.c.state.in_([state.value for state in OPEN])


def open_counts(tx: Connection, receiver: Column[str]) -> dict[tuple[str, OwedState], int]:
    """Return how many are not done, by receiver and state. What is done is not looked at."""
    found = counts(tx, receiver, receiver.table.c.state, [state.value for state in _UNFINISHED])
    return {(name, OwedState(state)): count for (name, state), count in found.items()}


def put_forward(tx: Connection, table: Table, instant: datetime, now: datetime, *guard: ColumnElement[bool]) -> int:
    """Make due at once what would wait until after an instant; return how many those were."""
    late = (table.c.state == OwedState.WAITING.value, table.c.due > instant)
    return tx.execute(update(table).where(*late, *guard).values(due=now)).rowcount


def retry(tx: Connection, table: Table, row_id: int, now: datetime) -> bool:
    """Make one due at once, with its tries forgotten; tell whether its state allowed that."""
    return _moved(tx, table, row_id, Event.RETRIED, {"due": now, "tries": 0})


def discard(tx: Connection, table: Table, row_id: int, reason: str, now: datetime) -> bool:
    """Do not send one; tell whether its state allowed that."""
    return _moved(tx, table, row_id, Event.DISCARDED, {"reason": reason, "finished": now})


def _moved(tx: Connection, table: Table, row_id: int, event: Event, values: Mapping[str, object]) -> bool:
    for before, after in ((state, after) for (state, moved_by), after in NEXT.items() if moved_by is event):
        here = (table.c.id == row_id, table.c.state == before.value)
        if tx.execute(update(table).where(*here).values(state=after.value, **values)).rowcount:
            return True
    return False
