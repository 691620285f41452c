"""How many items remain after each key of a query, key by key, counted by the same matching as an answer.

Gives no advice and names nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from broker.database import Transaction
from broker.worklist.listing import PAGE, Listing
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import MATCHED, START_DATE, START_TIME, STATION, Key, Query, has_keys
from broker.worklist.ranges import Span
from broker.worklist.searching import Search
from broker.worklist.stations import Stations, visible

OFFERED = "offered"  # the step before any key
SHOWN = ""  # the step of what is for the device at all
_ORDER = (START_DATE, "Modality", SHOWN, STATION, START_TIME)  # the other keys follow


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk: the key (empty: what is for this device) and how many items remain after it."""

    keyword: str
    asked: str
    remain: int
    is_all: bool = True  # False: at least so many
    advice: str = ""  # where nothing remains: what there is instead
    title: str = ""  # the station title that was probably meant


@dataclass(frozen=True, slots=True)
class Counted:
    """Items that remain, and whether these are all of them."""

    items: tuple[WorklistItem, ...]
    is_all: bool


Looks = Callable[[Query, Viewer], Counted]
"""Counts what a query finds for a viewer, and looks at so many items at most."""


def unbound(viewer: Viewer) -> Viewer:
    """Return the viewer as if it were shown what is for anybody."""
    return replace(viewer, habits=replace(viewer.habits, default_station_key=False))


def looking(tx: Transaction, stations: Stations, at_most: int) -> Looks:
    """Return what counts the items of a query: it looks at so many at most."""

    def looks(query: Query, viewer: Viewer) -> Counted:
        listing, left = Listing(Search(query, viewer, stations)), at_most
        found: list[WorklistItem] = []
        while left and not listing.is_done:
            page = listing.next(tx, min(left, PAGE))
            left -= len(page)
            found += (item for item in page if visible(item, viewer) and has_keys(query, item))
        return Counted(tuple(found), is_all=listing.is_done)

    return looks


def walked(query: Query, viewer: Viewer, looks: Looks) -> tuple[tuple[WorklistItem, ...], list[tuple[Step, Counted]]]:
    """Return what remains in the end, and each step with what there was before it."""
    who = unbound(viewer)
    keys: dict[str, Key] = {}
    counted = looks(replace(query, keys={}), who) if START_DATE not in query.keys else Counted((), is_all=False)
    steps = [] if START_DATE in query.keys else [(Step(OFFERED, "", len(counted.items), counted.is_all), counted)]
    for keyword in _keywords(query, viewer):
        before = counted
        if keyword:
            keys[keyword] = query.keys[keyword]
        else:
            who = viewer
        counted = _narrowed(replace(query, keys=dict(keys)), who, before, looks)
        asked = asked_text(query.keys[keyword]) if keyword else viewer.device
        steps.append((Step(keyword, asked, len(counted.items), counted.is_all), before))
        if not counted.items and counted.is_all:
            break
    return counted.items, steps


def _narrowed(query: Query, viewer: Viewer, before: Counted, looks: Looks) -> Counted:
    if not before.is_all:
        return looks(query, viewer)
    kept = (item for item in before.items if visible(item, viewer) and has_keys(query, item))
    return Counted(tuple(kept), is_all=True)


def _keywords(query: Query, viewer: Viewer) -> Iterator[str]:
    others = [keyword for keyword in MATCHED if keyword not in _ORDER]
    for keyword in (*_ORDER, *others):
        if keyword in query.keys or (not keyword and viewer.is_bound):
            yield keyword


def asked_text(key: Key) -> str:
    """Return what a key asks for, as a person reads it."""
    if key.spans:
        return "\\".join(map(_span_text, key.spans))
    return "\\".join(key.sent or key.values)


def _span_text(span: Span) -> str:
    low, high = (text[:6] if len(text) > 8 else text for text in (span.low, span.high if span.has_high else ""))
    return f"{low}-{high}" if span.ranged else low
