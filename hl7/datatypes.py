"""Timestamps and names of persons as HL7 writes them, taken apart. Decides nothing about time zones or DICOM."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from hl7.errors import Hl7Error

_TIMESTAMP = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.[0-9]{1,4})?)?)?)?)?)?"
    r"(?P<offset>[+-][0-9]{4})?"
)
_WIDEST_OFFSET = 14 * 60  # minutes: the most that is in use on earth


class Precision(StrEnum):
    """How much of a timestamp was given."""

    NONE = ""
    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """TS or DTM: `date` is YYYYMMDD or "", `time` HHMMSS or "", `offset` minutes east of UTC or None.

    A date without a day is "", never padded; `time` is padded to seconds, and fractions are dropped.
    """

    date: str
    time: str
    offset: int | None
    precision: Precision


NO_TIMESTAMP = Timestamp("", "", None, Precision.NONE)


def timestamp(text: str) -> Timestamp:
    """Return what a TS or DTM says (chapter 2A): YYYY[MM[DD[HH[MM[SS[.S{1,4}]]]]]][+/-ZZZZ].

    Empty text, the null value and all zeros, as some systems write for "unknown", say nothing. Raises Hl7Error 102,
    without location, for anything else that is no timestamp or not in the calendar.
    """
    text = text.strip(" ")
    if not text.strip('0"'):
        return NO_TIMESTAMP
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise Hl7Error("102", "", "not a date or time as HL7 writes them")
    precision = next(unit for unit in reversed(Precision) if unit and found[unit])
    day = _date(found)
    return Timestamp(day, _time(found), _offset(found["offset"]), precision)


def _date(found: re.Match[str]) -> str:
    year, month, day = (found[unit] for unit in ("year", "month", "day"))
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise Hl7Error("102", "", "a date that is not in the calendar") from None
    return year + month + day if day else ""


def _time(found: re.Match[str]) -> str:
    hour, minute, second = (found[unit] or "00" for unit in ("hour", "minute", "second"))
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise Hl7Error("102", "", "a time that is not on the clock")
    return hour + minute + second if found["hour"] else ""


def _offset(text: str | None) -> int | None:
    if text is None:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    if minutes > _WIDEST_OFFSET or int(text[3:5]) > 59:
        raise Hl7Error("102", "", "an offset from UTC that does not exist")
    return -minutes if text[0] == "-" else minutes


class PersonName(NamedTuple):
    """A name in the order in which DICOM has its parts: prefix before suffix, against HL7's."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    degree: str = ""


def xpn(components: Sequence[str]) -> PersonName:
    """Return the name of an XPN's components: family, given, middle, suffix, prefix, degree (chapter 2A)."""
    family, given, middle, suffix, prefix, degree = _first(components, 6)
    return PersonName(family, given, middle, prefix, suffix, degree)


def xcn(components: Sequence[str]) -> PersonName:
    """Return the name of an XCN's components: an identifier, then as XPN (chapter 2A).

    Where only the first is valued and holds a blank or a comma, the sender put the name there.
    """
    name = xpn(components[1:])
    first = _first(components, 1)[0]
    if any(name) or not re.search("[ ,]", first):
        return name
    family, _, given = first.partition(",")
    return PersonName(family.strip(), given.strip())


def cnn(subcomponents: Sequence[str]) -> PersonName:
    """Return the name of a CNN's parts: identifier, family, given, middle, suffix, prefix, degree (chapter 2A)."""
    return xcn(subcomponents)


def preferred(repetitions: Sequence[Sequence[str]]) -> int:
    """Return the index of the XPN to go by: the legal name, else the first that is no alias, maiden or nickname.

    XPN-7 is the type (table 0200). Returns 0 when nothing is better.
    """
    types = [_first(components, 7)[6] for components in repetitions]
    if "L" in types:
        return types.index("L")
    return next((index for index, kind in enumerate(types) if kind not in ("A", "M", "N")), 0)


def _first(components: Sequence[str], count: int) -> list[str]:
    """Return so many components, without outer blanks; a null value is as good as none."""
    parts = [part.strip() for part in components[:count]]
    return ["" if part == '""' else part for part in parts] + [""] * (count - len(parts))
