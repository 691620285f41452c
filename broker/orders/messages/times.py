"""Instants and civil times out of timestamps. Reads no segment."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from hl7.datatypes import timestamp
from hl7.errors import Hl7Error


@dataclass(frozen=True, slots=True)
class Civil:
    """A date and time as a clock on the site's wall shows it: DA and TM, either may be empty."""

    date: str = ""
    time: str = ""


UNSTATED = Civil()

_USUAL_OFFSETS = {
    f"{hours:02d}00": {
        "+": timezone(timedelta(hours=hours)),
        "-": timezone(-timedelta(hours=hours)),
    }
    for hours in range(13)
}


def civil(text: str, zone: ZoneInfo, site: ZoneInfo) -> Civil:
    """Return a TS as date and time at the site; an offset is converted, never dropped. Raises Hl7Error 102.

    `zone` is that of a time without offset. A date without time is the same day everywhere.
    """
    is_ours = zone is site or zone.key == site.key
    if is_ours and plain(text):
        return Civil(text[:8], text[8:].ljust(6, "0") if len(text) > 8 else "")
    stated = timestamp(text)
    if not stated.date or not stated.time or (is_ours and stated.offset is None):
        return Civil(stated.date, stated.time)
    try:
        local = plain(stated.date + stated.time)
        east = zone if stated.offset is None else _east(stated.offset)
        return civil_of(local.replace(tzinfo=east), site) if local else UNSTATED
    except OverflowError as error:  # the first or last day of the calendar
        raise Hl7Error("102", "", "a date that no zone can hold") from error


def civil_of(instant: datetime, zone: ZoneInfo) -> Civil:
    """Return an instant as date and time at the site."""
    local = instant.astimezone(zone)
    return Civil(
        f"{local.year:04d}{local.month:02d}{local.day:02d}", f"{local.hour:02d}{local.minute:02d}{local.second:02d}"
    )


def instant(text: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a TS in UTC, or None where it says none; a date without time is its midnight."""
    east: tzinfo = zone
    local = plain(text)
    if local is None and text[-5:-4] in ("+", "-") and text[-4:] in _USUAL_OFFSETS:
        local, east = plain(text[:-5]), _USUAL_OFFSETS[text[-4:]][text[-5:-4]]
    if local is None:
        try:
            stated = timestamp(text)
        except Hl7Error:
            return None
        local = plain(stated.date + stated.time)
        east = zone if stated.offset is None else _east(stated.offset)
    try:
        return None if local is None else local.replace(tzinfo=east).astimezone(UTC)
    except OverflowError:
        return None


def plain(text: str) -> datetime | None:
    """Return a date of eight digits, or one with hour and minute, or second, as it stands: nearly all are.

    None for anything else and for what is not in the calendar.
    """
    if len(text) not in (8, 12, 14) or not text.isascii() or not text.isdigit():
        return None
    if text[8:10] == "24":  # midnight for later Pythons
        return None
    try:
        return datetime.fromisoformat(f"{text[:8]}T{text[8:]}" if len(text) > 8 else text)
    except ValueError:
        return None


@cache  # there are few offsets on earth
def _east(offset: int) -> timezone:
    return timezone(timedelta(minutes=offset))
