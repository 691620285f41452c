"""A worklist query from request to answers: read, fetch, filter, encode. No transaction is open while answers leave."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.service import FindAnswer, FindRequest
from broker.errors import Unavailable
from broker.worklist import store
from broker.worklist.dataset import Answers
from broker.worklist.model import QueryResult, Viewer, WorklistItem
from broker.worklist.query import EVERYTHING, BadQuery, Query, matches, read
from broker.worklist.stations import Stations

SUCCESS = 0x0000
PENDING = 0xFF00
CANCELLED = 0xFE00
OUT_OF_RESOURCES = 0xA700

MAXIMUM_ANSWERS = 1_000
DEADLINE_SECONDS = 2.0

_UNAVAILABLE = "the worklist is not available now, try again"
_TOO_LONG = "the query takes too long, add a key such as the date"


@dataclass(frozen=True, slots=True)
class Found:
    """The items that match, soonest first, and whether there were more than may be answered."""

    items: tuple[WorklistItem, ...]
    truncated: bool


@dataclass(slots=True)
class _Tally:
    """What has been answered so far."""

    items: list[int] = field(default_factory=list)
    all_supported: bool = True
    transliterated: int = 0


def answers(
    database: Database,
    request: FindRequest,
    viewer: Viewer,
    registry_stations: Stations,
    clock: Clock,
) -> Generator[FindAnswer, None, QueryResult]:
    """Yield one pending answer an item, then the final one; return what became of the query."""
    try:
        query = read(request.identifier, request.transfer_syntax)
        with database.read() as tx:
            found = search(tx, query, viewer, registry_stations, clock)
    except BadQuery as bad:
        yield FindAnswer(bad.status, None, bad.comment, bad.offending_element)
        return QueryResult(bad.status, comment=bad.comment)
    except Unavailable:
        yield FindAnswer(OUT_OF_RESOURCES, None, _UNAVAILABLE)
        return QueryResult(OUT_OF_RESOURCES, comment=_UNAVAILABLE)
    joined = Answers(query, viewer, request.transfer_syntax)
    return (yield from _answered(request, query, found, joined))


def search(
    tx: Transaction, query: Query, viewer: Viewer, registry_stations: Stations, clock: Clock | None = None
) -> Found:
    """Return the items that a query finds. Raises BadQuery A700 when that takes longer than the deadline."""
    items: list[WorklistItem] = []
    for item in _in_time(store.candidates(tx, query, viewer, registry_stations), clock):
        if matches(query, item, viewer):
            if len(items) == MAXIMUM_ANSWERS:
                return Found(tuple(items), truncated=True)
            items.append(item)
    return Found(tuple(items), truncated=False)


def items(tx: Transaction, viewer: Viewer, registry_stations: Stations) -> tuple[WorklistItem, ...]:
    """Return what a viewer would be answered if it asked for everything."""
    return search(tx, EVERYTHING, viewer, registry_stations).items


def _in_time(candidates: Iterable[WorklistItem], clock: Clock | None) -> Iterable[WorklistItem]:
    deadline = clock.monotonic() + DEADLINE_SECONDS if clock else None
    for item in candidates:
        if clock and deadline and clock.monotonic() > deadline:
            raise BadQuery(OUT_OF_RESOURCES, _TOO_LONG)
        yield item


def _answered(
    request: FindRequest, query: Query, found: Found, joined: Answers
) -> Generator[FindAnswer, None, QueryResult]:
    tally = _Tally()
    status = SUCCESS
    for item in found.items:
        if request.is_cancelled():
            status = CANCELLED
            break
        yield FindAnswer(PENDING, _encoded(joined, item, tally))
    yield FindAnswer(status)
    return QueryResult(
        status,
        keys=tuple(query.keys),
        matched=len(found.items),
        items=tuple(tally.items),
        truncated=found.truncated,
        all_supported=tally.all_supported,
        transliterated=tally.transliterated,
    )


def _encoded(joined: Answers, item: WorklistItem, tally: _Tally) -> bytes:
    encoded = joined.encode(item)
    tally.items.append(item.id)
    tally.all_supported = tally.all_supported and encoded.all_supported
    tally.transliterated += encoded.transliterated
    return encoded.identifier
