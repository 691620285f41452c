"""Why a device is answered what it is: how many items remain after each of its keys, and what was asked for instead.

`explained` is for people and may name values; `recorded` keeps counts, key names and station titles alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from broker.database import Database, Transaction
from broker.errors import Unavailable
from broker.orders.model import StepStatus
from broker.worklist import advice, filters, held
from broker.worklist.habits import meant, today
from broker.worklist.held import HeldBack
from broker.worklist.hiding import Hides, nobody_hides
from broker.worklist.model import Viewer
from broker.worklist.query import START_DATE, START_TIME, STATION, Key, Query
from broker.worklist.ranges import Span
from broker.worklist.stations import Stations
from broker.worklist.walk import OFFERED, SHOWN, Counted, Looks, Step, asked_text, looking, walked

RECORDED_AT_MOST = 250  # items looked at a step, some 5 ms: consoles that find nothing ask again and again
SHOWN_AT_MOST = 100_000  # for a person

_DAYS_AROUND = 7
_GENERAL = frozenset({"Modality", SHOWN})  # keys that leave nothing where the day is wrong


@dataclass(frozen=True, slots=True)
class Explanation:
    """The walk, the items that are held back, those answered that lack something, and habits that took part."""

    steps: tuple[Step, ...]
    held: tuple[HeldBack, ...] = ()
    lacking: tuple[HeldBack, ...] = ()
    habits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _About:
    """What is explained: who asked what, what counts, and whether items are named that answer the question."""

    query: Query
    viewer: Viewer
    stations: Stations
    looks: Looks
    is_named: bool
    today: str


def explained(  # noqa: PLR0917 - who asks what of what, as in `find`
    tx: Transaction, query: Query, viewer: Viewer, stations: Stations, now: datetime, hides: Hides = nobody_hides
) -> Explanation:
    """Return the explanation for a person, of a query as it was sent."""
    asked, looks = meant(query, viewer, now), looking(tx, stations, SHOWN_AT_MOST)
    found, steps = walked(asked, viewer, looks)
    hidden = hides(tx, [item for item in found if item.status is StepStatus.STARTED])
    back = held.started(found, hidden) + held.held_back(tx, asked, viewer, stations, looks, now)
    about = _About(asked, viewer, stations, looks, bool(back), today(viewer, now))
    return Explanation(
        steps=tuple(_advised(step, before, about) for step, before in steps),
        held=back,
        lacking=tuple(HeldBack(item, f"lacks {', '.join(lacks)}") for item in found if (lacks := held.lacks(item))),
        habits=(*_habits(query, asked, viewer), *_filter(viewer, stations)),
    )


def recorded(database: Database, query: Query, viewer: Viewer, stations: Stations) -> tuple[dict[str, object], ...]:
    """Return the walk of a real query as it was meant, without any value but station titles."""
    try:
        with database.read() as tx:
            _, steps = walked(query, viewer, looking(tx, stations, RECORDED_AT_MOST))
    except Unavailable:
        return ()
    facts = tuple(_fact(_titled(step, query, before, viewer, stations)) for step, before in steps)
    return (*facts, {"key": "suspended", "remain": 0}) if viewer.is_suspended else facts


def _fact(step: Step) -> dict[str, object]:
    fact: dict[str, object] = {"key": step.keyword or "device", "remain": step.remain}
    return fact | ({} if step.is_all else {"at_least": True}) | ({"nearest": step.title} if step.title else {})


# --- what there is instead ---------------------------------------------------------------------------------------


def _titled(step: Step, query: Query, before: Counted, viewer: Viewer, stations: Stations) -> Step:
    """Return a step that left nothing with the station title that was probably meant."""
    if step.remain or step.keyword != STATION:
        return step
    registered = [title for titles in stations.by_modality.values() for title in titles]
    known = viewer.stations if viewer.is_bound else registered
    return replace(step, title=advice.station(query.keys[STATION], before.items, known))


def _advised(step: Step, before: Counted, about: _About) -> Step:
    if step.remain or step.keyword == OFFERED:
        return step
    titled = _titled(step, about.query, before, about.viewer, about.stations)
    return replace(titled, advice=_advice(titled, before, about))


def _advice(step: Step, before: Counted, about: _About) -> str:
    if step.keyword == START_DATE:
        return _other_date(about)
    if step.keyword == STATION:
        return _of_stations(step, before, about)
    if step.keyword in _GENERAL:
        instead = advice.for_stations(before.items) if step.keyword == SHOWN else _instead(step, before, about)
        is_dated = START_DATE in about.query.keys
        days = _other_days(about, frozenset({"Modality"})) if is_dated else ""
        return "; ".join(filter(None, (instead, days and f"on days around it {days}", days and _clock(about))))
    return "" if about.is_named and step.keyword != START_TIME else _instead(step, before, about)


def _of_stations(step: Step, before: Counted, about: _About) -> str:
    if step.title:
        return advice.enter(step.title, about.query.keys[STATION], about.viewer.device)
    own = f"{about.viewer.device} has {', '.join(about.viewer.stations)}" if about.viewer.is_bound else ""
    return "; ".join(filter(None, (own, advice.for_stations(before.items))))


def _instead(step: Step, before: Counted, about: _About) -> str:
    return advice.instead(step.keyword, about.query.keys[step.keyword], before.items)


def _other_date(about: _About) -> str:
    first, last = _first_and_last(about)
    if not _is_day(first) or not _is_day(last):
        return "that is no day of any calendar"
    if last < first:
        return "the range ends before it begins: its two days are to be swapped"
    days = _other_days(about, frozenset()) or f"there are none within {_DAYS_AROUND} days of it"
    return "; ".join(filter(None, (days, _clock(about))))


def _other_days(about: _About, keywords: frozenset[str]) -> str:
    """Say on which days around there are items with these keys that the device is shown; empty where there are none."""
    first, last = _first_and_last(about)
    around = Span(_shifted(first, -_DAYS_AROUND), _shifted(last, _DAYS_AROUND), ranged=True)
    keys = {keyword: key for keyword, key in about.query.keys.items() if keyword in keywords}
    wide = Query(keys={**keys, START_DATE: Key("DA", spans=(around,))})
    found = Counter(item.scheduled_procedure_step_start_date for item in about.looks(wide, about.viewer).items)
    return advice.days(found, first) if found else ""


def _clock(about: _About) -> str:
    """Say what day it is, where a single other one was asked for."""
    first, last = _first_and_last(about)
    is_other = first == last != about.today
    return f"today is {about.today}: has the console the right date and time zone?" if is_other else ""


def _first_and_last(about: _About) -> tuple[str, str]:
    spans = about.query.keys[START_DATE].spans
    return spans[0].low or spans[0].high, spans[-1].high if spans[-1].has_high else spans[-1].low


def _is_day(day: str) -> bool:
    try:
        _shifted(day, -_DAYS_AROUND)
        _shifted(day, _DAYS_AROUND)
    except (ValueError, OverflowError):
        return False
    return True


def _shifted(day: str, days: int) -> str:
    return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=days)).strftime("%Y%m%d")


def _habits(sent: Query, asked: Query, viewer: Viewer) -> Iterator[str]:
    """Say which habits made another query of it."""
    if viewer.is_suspended:
        yield "suspended: only what it has begun is shown; see broker promote history and promote resume"
    if viewer.habits.ignore_station_key and STATION in sent.keys:
        yield f"ignore_station_key: {STATION} is not looked at"
    if START_DATE in asked.keys and START_DATE not in sent.keys:
        yield f"default_window_days: {START_DATE} is {asked_text(asked.keys[START_DATE])}"
    if START_DATE in sent.keys and asked.keys[START_DATE] != sent.keys[START_DATE]:
        yield f"widen_today_hours: {START_DATE} is {asked_text(asked.keys[START_DATE])}"
    if viewer.habits.limit:
        yield f"limit: the soonest {viewer.habits.limit}"


def _filter(viewer: Viewer, stations: Stations) -> Iterator[str]:
    """Say what the device's document chooses by."""
    for device in stations.filtered:
        if viewer.is_bound and device.stations == viewer.stations:
            yield f"filter: of the orders without a station it takes those of {filters.said(device.filter)}"
