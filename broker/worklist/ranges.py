"""Dates, times and their ranges as matching keys (PS3.4 C.2.2.2.5). Knows no attribute."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6}))?")
_OPEN = "~"  # sorts behind every digit
_END_OF_DAY = "235959999999"


@dataclass(frozen=True, slots=True)
class Span:
    """The values from `low` to `high`, both included; `ranged` unless the key was a single value."""

    low: str
    high: str
    ranged: bool

    def holds(self, value: str) -> bool:
        """Tell whether a known value lies inside."""
        return value != "" and self.low <= value <= self.high

    @property
    def has_low(self) -> bool:
        """Whether it has a first value."""
        return self.low != ""

    @property
    def has_high(self) -> bool:
        """Whether it has a last value."""
        return self.high != _OPEN


def date_span(key: str) -> Span:
    """Return the days of a DA key: `a`, `a-b`, `a-` or `-b`. Raises ValueError."""
    return _span(key, day, day)


def time_span(key: str) -> Span:
    """Return the times of day of a TM key, by meaning: 2230 is 22:30:00. Raises ValueError."""
    return _span(key, time_of_day, _last_time)


def day(text: str) -> str:
    """Return a DA of eight digits; the retired form with dots is understood. Raises ValueError."""
    digits = text.replace(".", "")
    if not _DATE.fullmatch(digits):
        raise ValueError("not a date")
    return digits


def time_of_day(text: str) -> str:
    """Return a TM as twelve digits that sort by meaning; the retired form with colons is understood."""
    found = _TIME.fullmatch(text.replace(":", ""))
    if not found:
        raise ValueError("not a time")
    hours, minutes, seconds, fraction = (part or "" for part in found.groups())
    if hours > "23" or minutes > "59" or seconds > "60":
        raise ValueError("not a time of day")
    return f"{hours}{minutes or '00'}{seconds or '00'}{fraction:0<6}"


def whole_day(span: Span) -> bool:
    """Tell whether a TM key leaves out no time of day."""
    return span.low <= "000000000000" and span.high >= _END_OF_DAY


def in_interval(dates: Span, times: Span, date: str, time: str) -> bool:
    """Tell whether an instant lies in the one interval that two ranges mean together (PS3.4 K.6.1.2.2).

    5 to 7 July with 10:00 to 18:00 is from 5 July 10:00 to 7 July 18:00. An open end of the dates leaves that end open.
    """
    if not date or not time:
        return False
    instant = date + time
    after = not dates.has_low or instant >= dates.low + times.low
    return after and (not dates.has_high or instant <= dates.high + times.high)


def _last_time(text: str) -> str:
    if text.replace(":", "").rstrip("0.") == "24":
        return _END_OF_DAY
    value = time_of_day(text)
    # Consoles mean the whole day by 0000-2359, by 000000-235959 and by 0000-2400.
    return _END_OF_DAY if value.startswith("2359") else value


def _span(key: str, first: Callable[[str], str], last: Callable[[str], str]) -> Span:
    low, dash, high = (part.strip() for part in key.partition("-"))
    if not dash:
        value = first(low)
        return Span(value, value, ranged=False)
    if not low and not high:
        raise ValueError("a range without ends")
    return Span(first(low) if low else "", last(high) if high else _OPEN, ranged=True)
