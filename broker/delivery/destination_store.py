"""The destination_state table: how a destination stands, what of it is held, and how far people were told."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from broker.database import Transaction, table_of
from broker.delivery.model import DeliveryState, DestinationState
from broker.delivery.state import well
from broker.delivery.tables import DeliveryRow, DestinationStateRow
from broker.statements import Prepared

_TABLE = table_of(DestinationStateRow)
_OWED = table_of(DeliveryRow)
_BY_NAME = Prepared(select(_TABLE).where(_TABLE.c.name == bindparam("the_name")))


def destination_state(tx: Transaction, name: str) -> DestinationState:
    """Return how a destination stands; one of which nothing is known is well."""
    found = _BY_NAME.rows(tx, {"the_name": name})
    return _destination(found[0]) if found else well(name)


def destination_states(tx: Transaction) -> dict[str, DestinationState]:
    """Return how every destination stands of which something is known."""
    return {row.name: _destination(row) for row in tx.execute(select(_TABLE))}


def set_destination_state(tx: Transaction, state: DestinationState) -> None:
    """Record how a destination stands; what a person holds, and was told while it fails, is not touched."""
    values = {"failures": state.failures, "due": state.due, "reason": state.reason, "since": state.since}
    if state.since is None:
        values["told"] = 0
    changed = tx.execute(update(_TABLE).where(_TABLE.c.name == state.name).values(values))
    if changed.rowcount == 0:
        tx.execute(insert(_TABLE).values(name=state.name, **values))


def waits_after(tx: Transaction, name: str, instant: datetime) -> bool:
    """Tell whether a destination, or what is owed to it, is to wait until after an instant."""
    due = destination_state(tx, name).due
    if due is not None and due > instant:
        return True
    return tx.execute(select(_OWED.c.id).where(*_waiting_after(name, instant)).limit(1)).first() is not None


def put_forward(tx: Transaction, name: str, instant: datetime, now: datetime) -> int:
    """Make due at once what would wait until after an instant; return how many deliveries that were."""
    tx.execute(update(_TABLE).where(_TABLE.c.name == name, _TABLE.c.due > instant).values(due=now))
    return tx.execute(update(_OWED).where(*_waiting_after(name, instant)).values(due=now)).rowcount


def _waiting_after(name: str, instant: datetime) -> tuple[Any, ...]:
    waiting = _OWED.c.state == DeliveryState.WAITING.value
    return (_OWED.c.destination == name, waiting, _OWED.c.due > instant)


def hold_destination(tx: Transaction, name: str, held: str, now: datetime) -> bool:
    """Hold everything to a destination, or with an empty `held` let it go; tell whether that changes something.

    What is on its way ends; nothing further is begun. Its deliveries stay as they are.
    """
    if bool(destination_state(tx, name).held) == bool(held):
        return False
    values = {"held": held, "held_since": now if held else None, "told": 0}
    if not tx.execute(update(_TABLE).where(_TABLE.c.name == name).values(values)).rowcount:
        tx.execute(insert(_TABLE).values(name=name, failures=0, reason="", **values))
    return True


def held(tx: Transaction, name: str) -> str:
    """Return by whom and why everything to a destination is held; empty where it is not."""
    return destination_state(tx, name).held


def note_told(tx: Transaction, name: str, stage: int) -> bool:
    """Record how far a person has been told of a destination; tell whether nobody was before."""
    before = (_TABLE.c.name == name, _TABLE.c.told < stage)
    return tx.execute(update(_TABLE).where(*before).values(told=stage)).rowcount == 1


def told_of_instances(tx: Transaction) -> dict[str, int]:
    """Return how far a person has been told of instances that destinations keep failing."""
    query = select(_TABLE.c.name, _TABLE.c.told_of_instances)
    return {row.name: row.told_of_instances for row in tx.execute(query) if row.told_of_instances}


def set_told_of_instances(tx: Transaction, name: str, stage: int) -> None:
    """Record how far a person has been told of instances that a destination keeps failing."""
    values = {"told_of_instances": stage}
    if not tx.execute(update(_TABLE).where(_TABLE.c.name == name).values(values)).rowcount:
        tx.execute(insert(_TABLE).values(name=name, failures=0, reason="", **values))


def ask_now(tx: Transaction, names: Collection[str]) -> None:
    """Let destinations be asked again at once."""
    tx.execute(update(_TABLE).where(_TABLE.c.name.in_(names)).values(due=None))


def _destination(row: Row[Any]) -> DestinationState:
    return DestinationState(row.name, row.failures, row.due, row.reason, row.since, row.told, row.held, row.held_since)
