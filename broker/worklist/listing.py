"""What may match a query, soonest first, in pages whose cost is that of the page, however many items there are.

Each read goes by one index and is bounded: no sort of what is not answered. Which items match is decided by `query`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from broker.database import Transaction
from broker.worklist import search_store
from broker.worklist.model import WorklistItem
from broker.worklist.narrowing import Narrowing
from broker.worklist.search_store import Place
from broker.worklist.searching import Search

PAGE = 500  # candidates
LISTED_AT_MOST = 5_000  # places held for a query; what a number or name has more of is walked through by start
STATIONS_AT_MOST = 200  # among which a pattern is looked for; of more, all items are walked through by start
_PROBED = 200  # places of a day or so, before anything else is tried
_LEAST_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class _Page:
    """Places in the order of answers, and whether there are none behind them."""

    places: Sequence[Place]
    is_last: bool


class Listing:
    """The candidates of one query by one viewer. Belongs to no transaction: each page may be read in another."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._narrowing = search.narrowing
        self._walk = _Walk(self._narrowing)  # of all items, until a pattern of stations has been looked up
        self._listed: list[Place] | None = None  # latest first; None: they are walked through
        self._begun = False
        self.is_done = False

    def next(self, tx: Transaction, at_most: int) -> list[WorklistItem]:
        """Return the next candidates, with their stations resolved; some may have gone since they were listed."""
        return self._search.resolved(self._read(tx, at_most))

    def next_matching(self, tx: Transaction, at_most: int) -> tuple[WorklistItem, ...]:
        """Return those of the next candidates that match."""
        return self._search.matching(self._read(tx, at_most))

    def _read(self, tx: Transaction, at_most: int) -> list[WorklistItem]:
        if not self._begun:
            self._begin(tx)
        places = self._next_places(tx, at_most)
        may_match = self._search.may_match if self._listed is None else None  # of few, all are read
        return search_store.items(tx, [place.item_id for place in places], may_match) if places else []

    def _begin(self, tx: Transaction) -> None:
        self._begun = True
        if self._narrowing.is_by_pattern:
            self._look_up_stations(tx)
        self._listed = self._list(tx)

    def _look_up_stations(self, tx: Transaction) -> None:
        entries = search_store.entries(tx, STATIONS_AT_MOST + 1)
        if len(entries) <= STATIONS_AT_MOST:
            self._narrowing = self._search.among(entries)
            self._walk = _Walk(self._narrowing)

    def _next_places(self, tx: Transaction, at_most: int) -> Sequence[Place]:
        if self._listed is None:
            page = self._walk.next(tx, at_most)
            self.is_done = page.is_last
            return [place for place in page.places if self._search.is_wanted(place)]
        places = self._listed[: -at_most - 1 : -1]
        del self._listed[-at_most:]
        self.is_done = not self._listed
        return places

    def _list(self, tx: Transaction) -> list[Place] | None:
        """Return every place, latest first, where they are few: of a day, of a number, of a name."""
        found = self._few_of_days(tx)
        for lead in _leads(self._narrowing):
            if found is not None:
                break
            found = lead.places(tx)
        return None if found is None else list(self._search.wanted(found))

    def _few_of_days(self, tx: Transaction) -> Sequence[Place] | None:
        if not (self._narrowing.first_day and self._narrowing.last_day):
            return None
        page = _Walk(self._narrowing).next(tx, _PROBED)
        return page.places if page.is_last else None


class _Walk:
    """Goes through the items of stations, modalities or days by start: each by an index that has that order."""

    def __init__(self, narrowing: Narrowing) -> None:
        self._last_day = narrowing.last_day
        self._after = Place(narrowing.first_day, "", "", 0)
        self._by, self._values = _walked(narrowing)

    def next(self, tx: Transaction, at_most: int) -> _Page:
        """Return the next places, merged of as many reads as there are stations or modalities."""
        if len(self._values) == 1:
            places = self._by.places(tx, self._values[0], self._after, self._last_day, at_most + 1)
            return self._page(places[:at_most], is_last=len(places) <= at_most)
        each = max(_LEAST_OF_ONE, at_most // max(1, len(self._values)) + 1)
        found: set[Place] = set()  # an item may be for two of the stations
        end: Place | None = None
        for value in self._values:
            places = self._by.places(tx, value, self._after, self._last_day, each)
            found.update(places)
            if len(places) == each:  # behind its last there may be more, which go before others' later ones
                end = places[-1] if end is None else min(end, places[-1])
        ordered = sorted(found if end is None else (place for place in found if place <= end))
        return self._page(ordered[:at_most], is_last=end is None and len(ordered) <= at_most)

    def _page(self, places: Sequence[Place], *, is_last: bool) -> _Page:
        self._after = places[-1] if places else self._after
        return _Page(tuple(dict.fromkeys(places)), is_last)  # an item has a row for each group of its name


def _walked(narrowing: Narrowing) -> tuple[search_store.Walk, Sequence[str]]:
    if narrowing.offered_to is not None:
        return search_store.BY_STATION, sorted(narrowing.offered_to)
    if "Modality" in narrowing.values:
        return search_store.BY_MODALITY, sorted(narrowing.values["Modality"])
    return search_store.BY_START, ("",)


@dataclass(frozen=True, slots=True)
class _Lead:
    """A condition that may leave few items: ranges of one index, each from, to, and the station before them."""

    by: search_store.Range
    ranges: tuple[tuple[str, str, str], ...]

    def places(self, tx: Transaction) -> Sequence[Place] | None:
        """Return the places of all of its ranges; None where there are too many."""
        found: list[Place] = []
        for low, high, station in self.ranges:
            found += self.by.places(tx, low, high, LISTED_AT_MOST - len(found) + 1, station)
            if len(found) > LISTED_AT_MOST:
                return None
        return found


def _leads(narrowing: Narrowing) -> Iterator[_Lead]:
    """Yield what may leave few items, the likeliest first."""
    for keyword, by in search_store.BY_NUMBER.items():
        if keyword in narrowing.values:
            yield _lead(by, map(search_store.exactly, sorted(narrowing.values[keyword])))
    for keyword, by in search_store.BY_NUMBER.items():
        if keyword in narrowing.prefixes:
            yield _lead(by, map(search_store.beginning, sorted(narrowing.prefixes[keyword])))
    forms = [search_store.beginning(prefix) for prefix in sorted(narrowing.name_prefixes)]
    if forms and narrowing.offered_to is None:
        yield _lead(search_store.BY_NAME, forms)
    elif forms:
        yield _lead(search_store.BY_STATION_AND_NAME, forms, sorted(narrowing.offered_to or ()))


def _lead(by: search_store.Range, ranges: Iterable[tuple[str, str]], stations: Sequence[str] = ("",)) -> _Lead:
    return _Lead(by, tuple((low, high, station) for low, high in ranges for station in stations))
