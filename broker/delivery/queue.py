"""The queue of a destination as statements, compiled once: what is due, leased, renewed. `store.py` says them."""

from typing import Any

from sqlalchemy import Integer, String, bindparam, literal_column, select, update

from broker.database import UtcDateTime, table_of
from broker.delivery.model import RANK, DeliveryState
from broker.delivery.state import NEXT, Event
from broker.delivery.tables import DeliveryRow
from broker.environments.model import Priority
from broker.leases import Leases
from broker.spool import store as spool_store
from broker.statements import Prepared

_TABLE = table_of(DeliveryRow)
LEASES = Leases(
    _TABLE,
    leased=NEXT[DeliveryState.WAITING, Event.LEASED].value,
    released=NEXT[DeliveryState.SENDING, Event.RELEASED].value,
)
_NOW = bindparam("now", type_=UtcDateTime)


def _due(destination: Any, now: Any, urgent_only: bool) -> Any:
    waits = (_TABLE.c.destination == destination, _TABLE.c.state == DeliveryState.WAITING.value, _TABLE.c.due <= now)
    query = select(_TABLE.c.id).where(*waits)
    return query.where(_TABLE.c.priority == RANK[Priority.STAT]) if urgent_only else query


def lease_ended(destination: Any, now: Any) -> tuple[Any, ...]:
    """Return the guard of what somebody leased whose time is over."""
    return (_TABLE.c.destination == destination, *LEASES.ended(now))


_DESTINATION = bindparam("the_destination", type_=String)
_ONE: Any = literal_column("1")
ANY_DUE, ANY_STAT_DUE = (Prepared(_due(_DESTINATION, _NOW, urgent).limit(_ONE)) for urgent in (False, True))
ANY_OVERDUE = Prepared(select(_TABLE.c.id).where(*lease_ended(_DESTINATION, _NOW)).limit(_ONE))
_MOST = bindparam("most", type_=Integer)
DUE = {
    (urgent, failing): Prepared(
        _due(_DESTINATION, _NOW, urgent)
        .order_by(*((_TABLE.c.tries, _TABLE.c.priority) if failing else (_TABLE.c.priority, _TABLE.c.tries)))
        .order_by(_TABLE.c.id)
        .limit(_MOST)
    )
    for urgent in (False, True)
    for failing in (False, True)
}
_THE_LEASE = bindparam("the_lease", type_=String)
_UNTIL = bindparam("until", type_=UtcDateTime)
TAKE = Prepared(
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("the_id"), _TABLE.c.state == DeliveryState.WAITING.value)
    .values(state=NEXT[DeliveryState.WAITING, Event.LEASED].value, lease=_THE_LEASE, lease_ends=_UNTIL)
)
RENEW = Prepared(update(_TABLE).where(*LEASES.held_by(_THE_LEASE)).values(lease_ends=_UNTIL))
_OF_SPOOL = table_of(spool_store.InstanceRow)
_TAKEN = (_TABLE.c.destination == _DESTINATION, *LEASES.held_by(_THE_LEASE))
_IN_ORDER = (_TABLE.c.priority, _TABLE.c.tries, _TABLE.c.id)
MINE = Prepared(select(_TABLE).where(*_TAKEN).order_by(*_IN_ORDER))
INSTANCES_OF_MINE = Prepared(
    select(_OF_SPOOL).join(_TABLE, _TABLE.c.instance_id == _OF_SPOOL.c.id).where(*_TAKEN).order_by(*_IN_ORDER)
)
