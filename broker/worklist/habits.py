"""What a console's habits make of the keys it sends. Pure; reading them is `query`'s, answering `find`'s.

A habit is a value in the modality document, never a vendor's name.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.registry.model import Habits
from broker.worklist.model import Viewer
from broker.worklist.query import START_DATE, START_TIME, STATION, Key, Query
from broker.worklist.ranges import Span, whole_day


def meant(query: Query, viewer: Viewer, now: datetime) -> Query:
    """Return the query that a viewer means by the one it sent. `now` is an instant."""
    keys = dict(query.keys)
    if viewer.habits.ignore_station_key:
        keys.pop(STATION, None)
    if START_DATE not in keys:
        keys |= _default_window(viewer, now)
    elif _asks_for_today(keys, viewer, now):
        keys |= _widened(keys[START_DATE].spans[0].low, viewer.habits)
    return query if keys == query.keys else replace(query, keys=keys)


def today(viewer: Viewer, now: datetime) -> str:
    """Return the day it is at the viewer's site, as DA."""
    return now.astimezone(viewer.timezone).strftime("%Y%m%d")


def _default_window(viewer: Viewer, now: datetime) -> dict[str, Key]:
    days = viewer.habits.default_window_days
    if days is None:
        return {}
    first, last = (today(viewer, now + timedelta(days=shift)) for shift in (-days, days))
    # Of one day it is a single value: a time range beside it stays a window of that day.
    return {START_DATE: Key("DA", spans=(Span(first, last, ranged=first != last),))}


def _asks_for_today(keys: dict[str, Key], viewer: Viewer, now: datetime) -> bool:
    """Tell whether the date is the day that a console whose clock or zone is some hours off takes for today."""
    hours = viewer.habits.widen_today_hours
    spans = keys[START_DATE].spans
    times = keys[START_TIME].spans if START_TIME in keys else ()
    if not hours or len(spans) != 1 or spans[0].low != spans[0].high or not all(map(whole_day, times)):
        return False
    return spans[0].low in {today(viewer, now + timedelta(hours=shift)) for shift in (-hours, 0, hours)}


def _widened(day: str, habits: Habits) -> dict[str, Key]:
    """Return one interval, from some hours before a day begins until as many after it has ended."""
    begin = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)  # civil: the zone only satisfies the type
    wide = timedelta(hours=habits.widen_today_hours)
    first, last = begin - wide, begin + timedelta(days=1) + wide - timedelta(microseconds=1)
    dates = Span(f"{first:%Y%m%d}", f"{last:%Y%m%d}", ranged=True)
    times = Span(f"{first:%H%M%S%f}", f"{last:%H%M%S%f}", ranged=True)
    return {START_DATE: Key("DA", spans=(dates,)), START_TIME: Key("TM", spans=(times,))}
