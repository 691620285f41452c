"""What of a query an index can serve. Pure; never leaves out an item that matches: `query.matches` decides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from broker.worklist import wildcards
from broker.worklist.model import Viewer
from broker.worklist.query import STATION, Key, Query, has_title
from broker.worklist.stations import Stations, modalities_of, titles_of

# Keywords whose column holds what they are compared with.
INDEXED = frozenset(
    {
        "AccessionNumber",
        "Modality",
        "PatientID",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "StudyInstanceUID",
    }
)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Conditions that every matching item meets. None and empty mean no condition, but for `offered_to`."""

    offered_to: frozenset[str] | None = None  # `offered_to` of worklist_place, see `pool`
    is_by_pattern: bool = False  # which titles the station key means depends on those that there are: `offered_like`
    first_day: str = ""
    last_day: str = ""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by keyword: one of these
    prefixes: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by keyword: begins with one of these
    name_prefixes: frozenset[str] = frozenset()  # of a folded component group of PatientName


_POOL = "\\"


def pool(modality: str) -> str:
    """Return the entry under which items without a station wait for any device of a modality.

    The backslash keeps it apart from every AE title, which cannot have one (PS3.5 6.2).
    """
    return f"{_POOL}{modality}"


def narrow(query: Query, viewer: Viewer, registry_stations: Stations) -> Narrowing:
    """Return the conditions of a query by a viewer."""
    first_day, last_day = _days(query.keys.get("ScheduledProcedureStepStartDate"))
    offered_to = _offered_to(query, viewer, registry_stations)
    literal = {keyword: key for keyword, key in query.keys.items() if keyword in INDEXED}
    return Narrowing(
        offered_to=offered_to,
        is_by_pattern=offered_to is None and STATION in query.keys,
        first_day=first_day,
        last_day=last_day,
        values={keyword: frozenset(key.values) for keyword, key in literal.items() if _is_literal(key)},
        prefixes={
            keyword: prefixes
            for keyword, key in literal.items()
            if not _is_literal(key) and (prefixes := _prefixes(key))
        },
        name_prefixes=_name_prefixes(query.keys.get("PatientName")),
    )


def offered_like(query: Query, offered_to: Iterable[str], registry_stations: Stations) -> frozenset[str]:
    """Return those of all entries `offered_to` that can hold what the station key of a query matches."""
    known = titles_of(registry_stations).union(entry for entry in offered_to if not entry.startswith(_POOL))
    return _with_pools(frozenset(title for title in known if has_title(query, title)), registry_stations)


def _offered_to(query: Query, viewer: Viewer, registry_stations: Stations) -> frozenset[str] | None:
    key = query.keys.get(STATION)
    if viewer.is_bound:
        stations = frozenset(viewer.stations)  # what it may see bounds what it asks for
    elif key and _is_literal(key) and not query.folds_titles:
        stations = frozenset(key.values)
    else:
        return None
    return _with_pools(stations, registry_stations)


def _with_pools(stations: frozenset[str], registry_stations: Stations) -> frozenset[str]:
    return stations | {pool(modality) for modality in modalities_of(stations, registry_stations)}


def _days(key: Key | None) -> tuple[str, str]:
    if key is None:
        return "", ""
    lowest = min(span.low for span in key.spans)
    highest = max(span.high for span in key.spans)
    return lowest, highest if all(span.has_high for span in key.spans) else ""


def _is_literal(key: Key) -> bool:
    return key.vr == "UI" or not any(map(wildcards.has_wildcard, key.values))


def _prefixes(key: Key) -> frozenset[str]:
    found = frozenset(map(wildcards.literal_prefix, key.values))
    return frozenset() if "" in found else found


def _name_prefixes(key: Key | None) -> frozenset[str]:
    if key is None:
        return frozenset()
    groups = (next(filter(None, form.split("=")), "") for form in key.values)
    found = frozenset(map(wildcards.literal_prefix, groups))
    return frozenset() if "" in found else found
