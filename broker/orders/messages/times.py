"""Instants and civil times out of timestamps. Reads no segment."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hl7.datatypes import Timestamp, timestamp
from hl7.errors import Hl7Error


@dataclass(frozen=True, slots=True)
class Civil:
    """A date and time as a clock on the site's wall shows it: DA and TM, either may be empty."""

    date: str = ""
    time: str = ""


UNSTATED = Civil()


def civil(text: str, zone: ZoneInfo) -> Civil:
    """Return a TS as date and time at the site; an offset is converted, never dropped. Raises Hl7Error 102."""
    stated = timestamp(text)
    if stated.offset is None or not stated.date or not stated.time:
        return Civil(stated.date, stated.time)
    try:
        return civil_of(_local(stated).replace(tzinfo=_east(stated.offset)), zone)
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
    try:
        stated = timestamp(text)
        if not stated.date:
            return None
        east = zone if stated.offset is None else _east(stated.offset)
        return _local(stated).replace(tzinfo=east).astimezone(UTC)
    except (Hl7Error, OverflowError):
        return None


def _local(stated: Timestamp) -> datetime:
    day, time = stated.date, stated.time or "000000"
    return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), int(time[:2]), int(time[2:4]), int(time[4:]))


def _east(offset: int) -> timezone:
    return timezone(timedelta(minutes=offset))
