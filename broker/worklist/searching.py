"""One search prepared: what narrows it, what of rows it wants. Reads nothing; `listing` reads for it.

A question that is asked again is the same search, and mostly finds the same rows. What follows from them is kept with
them, and holds for no others: rows are read each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import is_
from typing import Any, cast

from broker.worklist import rows
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.narrowing import Narrowing, narrow, offered_like
from broker.worklist.query import START_DATE, START_TIME, STATION, Query, has_keys, has_start, matches, without
from broker.worklist.search_store import Place
from broker.worklist.stations import Stations, resolved

_KEPT = 32  # rows of a search that are kept: what one device is shown of a day


class Search:
    """One query by one viewer, among these stations. Any number of threads may use it."""

    def __init__(self, query: Query, viewer: Viewer, registry_stations: Stations) -> None:
        self.query = query
        self.viewer = viewer
        self.stations = registry_stations
        self.narrowing = narrow(query, viewer, registry_stations)
        self._of_row = without(query, (START_DATE, START_TIME, STATION))
        self._modalities = self.narrowing.values.get("Modality")
        # What was read last, and what followed from it; replaced as a whole.
        self._last_places: tuple[Sequence[Place], tuple[Place, ...]] = ((), ())
        self._last_items: tuple[Sequence[WorklistItem], tuple[WorklistItem, ...]] = ((), ())

    def is_of(self, query: Query, registry_stations: Stations) -> bool:
        """Tell whether it is that of a query by the same viewer, among these stations."""
        return self.stations is registry_stations and (self.query is query or self.query == query)

    def among(self, offered_to: Iterable[str]) -> Narrowing:
        """Return what narrows it where its station key is a pattern and items are offered to these."""
        return replace(self.narrowing, offered_to=offered_like(self.query, offered_to, self.stations))

    def wanted(self, places: Sequence[Place]) -> tuple[Place, ...]:
        """Return places that have the keys which a place tells of itself, each once, latest first."""
        read, wanted = self._last_places
        if places != read:
            wanted = tuple(sorted({place for place in places if self.is_wanted(place)}, reverse=True))
            if len(places) <= _KEPT:
                self._last_places = places, wanted
        return wanted

    def is_wanted(self, place: Place) -> bool:
        """Tell whether a place has the keys that it tells of itself."""
        return (self._modalities is None or place.modality in self._modalities) and has_start(
            self.query, place.start_date, place.start_time
        )

    def may_match(self, row: Any) -> bool:
        """Tell whether a row has the keys that it tells of itself."""
        return not self._of_row.keys or has_keys(self._of_row, cast(WorklistItem, rows.Glance(row)))

    def resolved(self, items: Sequence[WorklistItem]) -> list[WorklistItem]:
        """Return items with their stations."""
        return [resolved(item, self.viewer, self.stations) for item in items]

    def matching(self, items: Sequence[WorklistItem]) -> tuple[WorklistItem, ...]:
        """Return those that the viewer may see and that have every key, with their stations.

        Items are the same where their rows are, byte for byte: `search_store` makes one of equal rows.
        """
        read, found = self._last_items
        if len(items) != len(read) or not all(map(is_, items, read)):
            found = tuple(item for item in self.resolved(items) if matches(self.query, item, self.viewer))
            if len(items) <= _KEPT:
                self._last_items = items, found
        return found
