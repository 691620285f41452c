"""Hours of the week in which something holds: their spelling, and whether it is within them. Reads no clock.

One spelling everywhere: `"18:00-07:00"`, `"mon-fri 07:00-18:00"`, `"sat,sun 00:00-24:00"`. Hours that pass midnight
belong to the day on which they begin. All of it is civil time of the site.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from broker.environments.reading import TomlTable

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY = frozenset(range(7))
_DAY_MINUTES = 24 * 60
_HOURS = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")
_EXAMPLE = "'18:00-07:00' or 'mon-fri 07:00-18:00'"


@dataclass(frozen=True, slots=True)
class Hours:
    """From `opens` to before `closes`, in minutes since midnight, on these days (0 is Monday)."""

    opens: int
    closes: int  # not later than `opens`: on the day after
    days: frozenset[int] = _EVERY_DAY

    def __str__(self) -> str:
        """As it is spelt in a file."""
        hours = f"{_clock(self.opens)}-{_clock(self.closes)}"
        return hours if self.days == _EVERY_DAY else f"{','.join(_DAYS[day] for day in sorted(self.days))} {hours}"


def parse_hours(text: str) -> Hours:
    """Return the hours that a text spells. Raises ValueError that says what is wrong."""
    days_text, _, hours_text = text.strip().lower().rpartition(" ")
    found = _HOURS.fullmatch(hours_text)
    if not found:
        raise ValueError(f"{text!r} must be hours such as {_EXAMPLE}")
    opens, closes = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if opens >= _DAY_MINUTES or closes > _DAY_MINUTES:
        raise ValueError(f"{text!r} has no such time of day")
    if opens == closes:
        raise ValueError(f"{text!r} begins when it ends: write 00:00-24:00 for the whole day")
    return Hours(opens, closes, _days(days_text.strip()) if days_text else _EVERY_DAY)


def read_hours(table: TomlTable, key: str) -> tuple[Hours, ...]:
    """Return the list of hours under `key`, which may be missing; note each mistake."""
    return spelled(table, key, table.texts(key, ())) if table.has(key) else _none(table, key)


def spelled(table: TomlTable, key: str, texts: Iterable[str]) -> tuple[Hours, ...]:
    """Return the hours that texts spell; note each mistake at `key`."""
    found: list[Hours] = []
    for text in texts:
        try:
            found.append(parse_hours(text))
        except ValueError as error:
            table.wrong(key, str(error))
    return tuple(found)


def is_within(schedule: Iterable[Hours], civil: datetime) -> bool:
    """Tell whether a civil time is within any of the hours; no hours at all are all hours."""
    hours = tuple(schedule)
    return not hours or any(_holds(one, civil) for one in hours)


def opens_after(schedule: Sequence[Hours], now: datetime, zone: tzinfo) -> datetime:
    """Return when the hours begin that are next, as an instant; `now` where they have begun."""
    civil = now.astimezone(zone)
    if is_within(schedule, civil):
        return now
    midnight = civil.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = (
        _at(midnight + timedelta(days=ahead), one.opens)
        for ahead in range(8)
        for one in schedule
        if (midnight + timedelta(days=ahead)).weekday() in one.days
    )
    return min(begin for begin in begins if begin > now)


def _at(midnight: datetime, minutes: int) -> datetime:
    # Wall-clock arithmetic: 18:00 is 18:00 on the day on which the clock changes, too.
    return midnight.replace(hour=minutes // 60, minute=minutes % 60).astimezone(UTC)


def _holds(hours: Hours, civil: datetime) -> bool:
    minute, day = civil.hour * 60 + civil.minute, civil.weekday()
    if hours.opens < hours.closes:
        return day in hours.days and hours.opens <= minute < hours.closes
    return (day in hours.days and minute >= hours.opens) or ((day - 1) % 7 in hours.days and minute < hours.closes)


def _days(text: str) -> frozenset[int]:
    return frozenset(day for part in text.split(",") for day in _span(part.strip(), text))


def _span(part: str, text: str) -> Iterable[int]:
    first, dash, last = part.partition("-")
    for word in (first, last) if dash else (first,):
        if word not in _DAYS:
            raise ValueError(f"{text!r}: {word!r} is no day; days are {', '.join(_DAYS)}")
    begin = _DAYS.index(first)
    length = (_DAYS.index(last) - begin) % 7 if dash else 0
    return ((begin + step) % 7 for step in range(length + 1))


def _none(table: TomlTable, key: str) -> tuple[Hours, ...]:
    table.texts(key, ())  # asked for, so that a misspelt key is told of it
    return ()


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
