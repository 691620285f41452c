"""Why a device is answered what it is: how many items remain after each of its keys, and what was asked for instead.

Counts by the same matching as an answer. `words` is for people and may name values; `recorded` keeps counts, key names
and station titles alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from broker.database import Database, Transaction
from broker.errors import Unavailable
from broker.orders.model import StepStatus
from broker.worklist import advice, store
from broker.worklist.habits import meant
from broker.worklist.hiding import Hides, nobody_hides
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import MATCHED, START_DATE, START_TIME, STATION, Key, Query, has_keys
from broker.worklist.ranges import Span
from broker.worklist.stations import Stations, resolved, visible

RECORDED_AT_MOST = 1_000  # items looked at a step, for a query that somebody waits behind
SHOWN_AT_MOST = 100_000  # for a person
NAMED_AT_MOST = 20  # items held back that are named

_SHOWN = ""  # the step of what is for the device at all
_ORDER = (START_DATE, "Modality", _SHOWN, STATION, START_TIME)  # the other keys follow
_STARTED = "it was started by another station, or too long ago (keep_started_hours)"
OFFERED = "offered"  # the step before any key
_DAYS_AROUND = 7
_WITHHELD = (StepStatus.HELD, StepStatus.CANCELED, StepStatus.COMPLETED, StepStatus.DISCONTINUED)


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
class HeldBack:
    """One item that has every key and is not answered."""

    item: WorklistItem
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The walk, the items that are held back, those answered that lack something, and habits that took part."""

    steps: tuple[Step, ...]
    held: tuple[HeldBack, ...] = ()
    lacking: tuple[HeldBack, ...] = ()
    habits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Counted:
    """Items that remain, and whether these are all of them."""

    items: tuple[WorklistItem, ...]
    is_all: bool


_Looks = Callable[[Query, Viewer], _Counted]


@dataclass(frozen=True, slots=True)
class _About:
    """What is explained: who asked what, and what counts."""

    query: Query
    viewer: Viewer
    stations: Stations
    looks: _Looks


def explained(  # noqa: PLR0917 - who asks what of what, as in `find`
    tx: Transaction, query: Query, viewer: Viewer, stations: Stations, now: datetime, hides: Hides = nobody_hides
) -> Explanation:
    """Return the explanation for a person, of a query as it was sent."""
    asked = meant(query, viewer, now)
    about = _About(asked, viewer, stations, _looking(tx, stations, SHOWN_AT_MOST))
    found, steps = _walked(asked, viewer, about.looks)
    hidden = hides(tx, [item for item in found if item.status is StepStatus.STARTED])
    started = tuple(HeldBack(item, _STARTED) for item in found if item.id in hidden)
    return Explanation(
        steps=tuple(_advised(step, before, about) for step, before in steps),
        held=(*started, *_held(tx, about, now)),
        lacking=tuple(HeldBack(item, "lacks " + ", ".join(missing)) for item in found if (missing := lacks(item))),
        habits=tuple(_habits(query, asked, viewer)),
    )


def recorded(database: Database, query: Query, viewer: Viewer, stations: Stations) -> tuple[dict[str, object], ...]:
    """Return the walk of a real query as it was meant, without any value but station titles."""
    try:
        with database.read() as tx:
            looks = _looking(tx, stations, RECORDED_AT_MOST)
            _, steps = _walked(query, viewer, looks)
    except Unavailable:
        return ()
    return tuple(_fact(_titled(step, query, before, stations)) for step, before in steps)


def lacks(item: WorklistItem) -> tuple[str, ...]:
    """Return what an answer needs and an item does not have (D.2.7): many consoles leave such a row out."""
    values = {
        "PatientName": item.patient_name,
        "PatientID": item.patient_id,
        "StudyInstanceUID": item.study_instance_uid,
        "RequestedProcedureID": item.requested_procedure_id,
        "RequestedProcedureDescription": item.requested_procedure_description or item.requested_procedure_code,
        START_DATE: item.scheduled_procedure_step_start_date,
        START_TIME: item.scheduled_procedure_step_start_time,
        "Modality": item.modality,
        STATION: item.scheduled_station_ae_titles,
        "ScheduledProcedureStepID": item.scheduled_procedure_step_id,
        "ScheduledProcedureStepDescription": item.scheduled_procedure_step_description or item.scheduled_protocol_codes,
    }
    return tuple(keyword for keyword, value in values.items() if not value)


# --- the walk ----------------------------------------------------------------------------------------------------


def _looking(tx: Transaction, stations: Stations, at_most: int) -> _Looks:
    """Return what counts the items of a query: it looks at so many at most."""

    def looks(query: Query, viewer: Viewer) -> _Counted:
        found: list[WorklistItem] = []
        for looked_at, item in enumerate(store.candidates(tx, query, viewer, stations)):
            if looked_at == at_most:
                return _Counted(tuple(found), is_all=False)
            if visible(item, viewer) and has_keys(query, item):
                found.append(item)
        return _Counted(tuple(found), is_all=True)

    return looks


def _walked(
    query: Query, viewer: Viewer, looks: _Looks
) -> tuple[tuple[WorklistItem, ...], list[tuple[Step, _Counted]]]:
    """Return what remains in the end, and each step with what there was before it."""
    unbound = _unbound(viewer)
    keys: dict[str, Key] = {}
    counted = looks(replace(query, keys={}), unbound) if START_DATE not in query.keys else _Counted((), is_all=False)
    steps = [] if START_DATE in query.keys else [(Step(OFFERED, "", len(counted.items), counted.is_all), counted)]
    who = unbound
    for keyword in _keywords(query, viewer):
        before = counted
        if keyword:
            keys[keyword] = query.keys[keyword]
        else:
            who = viewer
        counted = _narrowed(replace(query, keys=dict(keys)), who, before, looks)
        asked = _asked(query.keys[keyword]) if keyword else viewer.device
        steps.append((Step(keyword, asked, len(counted.items), counted.is_all), before))
        if not counted.items and counted.is_all:
            break
    return counted.items, steps


def _narrowed(query: Query, viewer: Viewer, before: _Counted, looks: _Looks) -> _Counted:
    if not before.is_all:
        return looks(query, viewer)
    kept = (item for item in before.items if visible(item, viewer) and has_keys(query, item))
    return _Counted(tuple(kept), is_all=True)


def _keywords(query: Query, viewer: Viewer) -> Iterator[str]:
    others = [keyword for keyword in MATCHED if keyword not in _ORDER]
    for keyword in (*_ORDER, *others):
        if keyword in query.keys or (not keyword and viewer.is_bound):
            yield keyword


def _asked(key: Key) -> str:
    if key.spans:
        return "\\".join(map(_span_text, key.spans))
    return "\\".join(key.values)


def _span_text(span: Span) -> str:
    low, high = (text[:6] if len(text) > 8 else text for text in (span.low, span.high if span.has_high else ""))
    return f"{low}-{high}" if span.ranged else low


# --- what there is instead ---------------------------------------------------------------------------------------


def _titled(step: Step, query: Query, before: _Counted, stations: Stations) -> Step:
    """Return a step that left nothing with the station title that was probably meant."""
    if step.remain or step.keyword != STATION:
        return step
    registered = [title for titles in stations.by_modality.values() for title in titles]
    return replace(step, title=advice.station(query.keys[STATION], before.items, registered))


def _advised(step: Step, before: _Counted, about: _About) -> Step:
    query, viewer = about.query, about.viewer
    if step.remain or step.keyword == OFFERED:
        return step
    if step.keyword == _SHOWN:
        return replace(step, advice=advice.for_stations(before.items))
    if step.keyword == START_DATE:
        return replace(step, advice=_days_advice(query, viewer, about.looks))
    titled = _titled(step, query, before, about.stations)
    if titled.title:
        return replace(titled, advice=f'you have "{titled.title}"')
    return replace(step, advice=advice.instead(step.keyword, query.keys[step.keyword], before.items))


def _days_advice(query: Query, viewer: Viewer, looks: _Looks) -> str:
    """Say on which days around there are items that the device is shown."""
    spans = query.keys[START_DATE].spans
    first, last = spans[0].low or spans[0].high, spans[-1].high if spans[-1].has_high else spans[-1].low
    try:
        around = (_shifted(first, -_DAYS_AROUND), _shifted(last, _DAYS_AROUND))
    except (ValueError, OverflowError):
        return "that is no day of any calendar"
    wide = Key("DA", spans=(Span(*around, ranged=True),))
    found = looks(Query(keys={START_DATE: wide}), viewer).items
    return advice.days(Counter(item.scheduled_procedure_step_start_date for item in found), first)


def _shifted(day: str, days: int) -> str:
    return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=days)).strftime("%Y%m%d")


def _fact(step: Step) -> dict[str, object]:
    fact: dict[str, object] = {"key": step.keyword or "device", "remain": step.remain}
    return fact | ({} if step.is_all else {"at_least": True}) | ({"nearest": step.title} if step.title else {})


# --- what is held back -------------------------------------------------------------------------------------------


def _held(tx: Transaction, about: _About, now: datetime) -> Iterator[HeldBack]:
    """Yield the items that have every key but are offered to nobody, or to other stations only."""
    query, viewer = about.query, about.viewer
    near = query if query.keys else replace(query, keys=_lately(now))
    for item in store.withheld(tx, near, _WITHHELD, NAMED_AT_MOST):
        known = resolved(item, viewer, about.stations)
        if visible(known, viewer) and has_keys(near, known):
            yield HeldBack(known, f"it is {item.status.value}")
    if viewer.is_bound and query.keys:
        yield from _elsewhere(query, viewer, about.looks)


def _lately(now: datetime) -> dict[str, Key]:
    first, last = (f"{now + timedelta(days=days):%Y%m%d}" for days in (-1, _DAYS_AROUND))
    return {START_DATE: Key("DA", spans=(Span(first, last, ranged=True),))}


def _elsewhere(query: Query, viewer: Viewer, looks: _Looks) -> Iterator[HeldBack]:
    found = looks(query, _unbound(viewer)).items
    others = [item for item in found if not visible(item, viewer)]
    for item in others[:NAMED_AT_MOST]:
        titles = ", ".join(item.scheduled_station_ae_titles) or "no station that is registered"
        yield HeldBack(item, f"it is for {titles}")


def _unbound(viewer: Viewer) -> Viewer:
    return replace(viewer, habits=replace(viewer.habits, default_station_key=False))


def _habits(sent: Query, asked: Query, viewer: Viewer) -> Iterator[str]:
    """Say which habits made another query of it."""
    if viewer.habits.ignore_station_key and STATION in sent.keys:
        yield f"ignore_station_key: {STATION} is not looked at"
    if START_DATE in asked.keys and START_DATE not in sent.keys:
        yield f"default_window_days: {START_DATE} is {_asked(asked.keys[START_DATE])}"
    if START_DATE in sent.keys and asked.keys[START_DATE] != sent.keys[START_DATE]:
        yield f"widen_today_hours: {START_DATE} is {_asked(asked.keys[START_DATE])}"
    if viewer.habits.limit:
        yield f"limit: the soonest {viewer.habits.limit}"
