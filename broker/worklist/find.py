"""A worklist query from request to answers: read, fetch, filter, encode. No transaction is open while answers leave."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.service import FindAnswer, FindRequest
from broker.errors import Unavailable
from broker.orders.model import StepStatus
from broker.registry.model import ListOrder
from broker.worklist import explain, wildcards
from broker.worklist.dataset import Answers
from broker.worklist.habits import meant
from broker.worklist.hiding import Hides, nobody_hides
from broker.worklist.listing import PAGE, Listing
from broker.worklist.model import QueryResult, Viewer, WorklistItem
from broker.worklist.query import EVERYTHING, BadQuery, Query
from broker.worklist.question import question
from broker.worklist.searching import Search
from broker.worklist.stations import Stations

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_WITH_WARNING = 0xFF01
CANCELLED = 0xFE00
OUT_OF_RESOURCES = 0xA700

FIRST_PAGE = 1_000  # candidates: a list that no page divides shows one state of the worklist
LOOKING_SECONDS = 20.0  # until something is found; what has been found is answered however long that takes

_UNAVAILABLE = "the worklist is not available now, try again"
_TOO_LONG = "the query takes too long, add a key such as the date"
_LEFT = "the device left before the last answer"


@dataclass(frozen=True, slots=True)
class Found:
    """The items that are shown, in the order of the answers, and whether there were more than may be."""

    items: tuple[WorklistItem, ...]
    truncated: bool = False


_Fetch = Callable[[int], "_Page"]


@dataclass(frozen=True, slots=True)
class _Page:
    """Matching items, soonest first: of so many candidates, so that it may be empty and not the last."""

    items: tuple[WorklistItem, ...]
    is_last: bool


@dataclass(slots=True)
class _Tally:
    """What has been answered so far."""

    matched: int = 0
    items: list[int] = field(default_factory=list)
    all_supported: bool = True
    transliterated: int = 0
    truncated: bool = False


def nobody_notes(_result: QueryResult) -> None:
    """Take no note."""


def answers(  # noqa: PLR0917 - who asks what of what
    database: Database,
    request: FindRequest,
    viewer: Viewer,
    registry_stations: Stations,
    clock: Clock,
    hides: Hides = nobody_hides,
    left: Callable[[QueryResult], None] = nobody_notes,
) -> Generator[FindAnswer, None, QueryResult]:
    """Yield one pending answer an item, then the final one; return what became of the query.

    Where nothing matched, the result says what remained after each key. Who leaves before the last answer, as some
    consoles do that have enough, was shown what came until then: that is told to `left`, since nothing returns.
    """
    try:
        asked = question(request.identifier, request.transfer_syntax, viewer)
        query = meant(asked.query, viewer, clock.now())
    except BadQuery as bad:
        yield FindAnswer(bad.status, None, bad.comment, bad.offending_element)
        return QueryResult(bad.status, comment=bad.comment)
    asking = _Asking(asked.search(query, viewer, registry_stations), hides)
    fetch = _watched(partial(_fetched, database, asking, Listing(asking.search)), request, clock)
    tally = _Tally()
    try:
        status, comment = yield from _sent(request, asked.answers, viewer, fetch, tally)
    except (GeneratorExit, Unavailable):
        left(_result(query, tally, CANCELLED, _LEFT))
        raise
    result = _result(query, tally, status, comment)
    if result.status != SUCCESS or result.items:
        return result
    return replace(result, explanation=explain.recorded(database, query, viewer, registry_stations))


def shown(  # noqa: PLR0917 - as `answers`
    tx: Transaction,
    query: Query,
    viewer: Viewer,
    registry_stations: Stations,
    now: datetime,
    hides: Hides = nobody_hides,
) -> Found:
    """Return what a viewer is answered to a query, by the same code as over the wire."""
    asking = _Asking(Search(meant(query, viewer, now), viewer, registry_stations), hides)
    tally = _Tally()
    items = tuple(_listed(partial(_searched, tx, asking, Listing(asking.search)), viewer, tally))
    return Found(items, tally.truncated)


def search(tx: Transaction, query: Query, viewer: Viewer, registry_stations: Stations) -> Found:
    """Return every item that a query finds, soonest first: no habit is applied."""
    plain = replace(viewer, habits=replace(viewer.habits, limit=0, order=ListOrder.SOONEST))
    asking = _Asking(Search(query, viewer, registry_stations), nobody_hides)
    fetch = partial(_searched, tx, asking, Listing(asking.search))
    return Found(tuple(_listed(fetch, plain, _Tally())))


def items(tx: Transaction, viewer: Viewer, registry_stations: Stations) -> tuple[WorklistItem, ...]:
    """Return all that a viewer may see."""
    return search(tx, EVERYTHING, viewer, registry_stations).items


# --- finding -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks what, and what is hidden from whom."""

    search: Search
    hides: Hides


def _fetched(database: Database, asking: _Asking, listing: Listing, size: int) -> _Page:
    """Return the next page, in a transaction of its own. Raises BadQuery A700 when the database is not available."""
    try:
        with database.read() as tx:
            return _searched(tx, asking, listing, size)
    except Unavailable as unavailable:
        raise BadQuery(OUT_OF_RESOURCES, _UNAVAILABLE) from unavailable


def _searched(tx: Transaction, asking: _Asking, listing: Listing, size: int) -> _Page:
    return _Page(_without_hidden(tx, asking, listing.next_matching(tx, size)), listing.is_done)


def _watched(fetch: _Fetch, request: FindRequest, clock: Clock) -> _Fetch:
    """Return what fetches pages, and between two that bring nothing looks whether somebody still waits for them.

    It raises BadQuery A700 when nothing at all was found for long, and FE00 when the peer cancels.
    """
    deadline: float | None = clock.monotonic() + LOOKING_SECONDS

    def watched(size: int) -> _Page:
        nonlocal deadline
        page = fetch(size)
        if page.items:
            deadline = None
        elif not page.is_last and request.is_cancelled():
            raise BadQuery(CANCELLED, "")
        elif not page.is_last and deadline is not None and clock.monotonic() > deadline:
            raise BadQuery(OUT_OF_RESOURCES, _TOO_LONG)
        return page

    return watched


def _without_hidden(tx: Transaction, asking: _Asking, found: tuple[WorklistItem, ...]) -> tuple[WorklistItem, ...]:
    started = [item for item in found if item.status is StepStatus.STARTED]
    is_suspended = asking.search.viewer.is_suspended
    if not (started or is_suspended):
        return found
    found = tuple(started) if is_suspended else found
    hidden = asking.hides(tx, started) if started else frozenset()
    return tuple(item for item in found if item.id not in hidden)


def _listed(fetch: _Fetch, viewer: Viewer, tally: _Tally) -> Iterator[WorklistItem]:
    """Yield the items in the order of the device's list, no more than it takes, and always the soonest."""
    soonest = _soonest(fetch, viewer.habits.limit, tally)
    match viewer.habits.order:
        case ListOrder.SOONEST:
            return soonest
        case ListOrder.LATEST:
            return reversed(list(soonest))
        case ListOrder.NAME:
            return iter(sorted(soonest, key=lambda item: wildcards.folded_name(item.patient_name).split("^")))


def _soonest(fetch: _Fetch, limit: int, tally: _Tally) -> Iterator[WorklistItem]:
    size = FIRST_PAGE
    while True:
        page = fetch(size)
        shown = page.items[: limit - tally.matched] if limit else page.items
        tally.matched += len(shown)
        tally.truncated = len(shown) < len(page.items)
        yield from shown
        if tally.truncated or page.is_last:
            return
        size = PAGE


# --- answering ---------------------------------------------------------------------------------------------------


def _sent(
    request: FindRequest, joined: Answers, viewer: Viewer, fetch: _Fetch, tally: _Tally
) -> Generator[FindAnswer, None, tuple[int, str]]:
    """Yield the answers, counted in the tally; return the final status and its comment."""
    status, comment = SUCCESS, ""
    try:
        for item in _listed(fetch, viewer, tally):
            if request.is_cancelled():
                status = CANCELLED
                break
            yield _pending(joined, item, viewer, tally)
    except BadQuery as bad:
        status, comment = bad.status, bad.comment
    yield FindAnswer(status, None, comment)
    return status, comment


def _result(query: Query, tally: _Tally, status: int, comment: str) -> QueryResult:
    return QueryResult(
        status,
        keys=tuple(query.keys),
        matched=tally.matched,
        items=tuple(tally.items),
        truncated=tally.truncated,
        all_supported=tally.all_supported,
        transliterated=tally.transliterated,
        comment=comment,
    )


def _pending(joined: Answers, item: WorklistItem, viewer: Viewer, tally: _Tally) -> FindAnswer:
    encoded = joined.encode(item)
    tally.items.append(item.id)
    tally.all_supported = tally.all_supported and encoded.all_supported
    tally.transliterated += encoded.transliterated
    warned = viewer.habits.warns_of_unsupported and not encoded.all_supported
    return FindAnswer(PENDING_WITH_WARNING if warned else PENDING, encoded.identifier)
