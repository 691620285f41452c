"""What time it was by a device's clock: dates and times of its data sets to instants. Pure; invents nothing."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo

# PS3.5 table 6.2-1: DT may end with an offset; TM may leave out minutes, seconds and fractions.
_DT = re.compile(r"(\d{8})(\d{0,6})(?:\.\d+)?([+-]\d{4})?")
_OFFSET = re.compile(r"[+-]\d{4}")
_PAIRS = ("Acquisition", "Content", "InstanceCreation")


def civil(date: str, time: str, zone: tzinfo) -> datetime | None:
    """Return the instant of a DA and a TM in a zone; None where either is absent, or no date."""
    digits = time.partition(".")[0].replace(":", "").strip()
    if not digits or not digits.isdecimal():
        return None
    try:
        found = datetime.strptime(f"{date.strip()}{digits[:6]:0<6}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return found.replace(tzinfo=zone)


def of_image(attributes: Mapping[str, str], zone: tzinfo) -> datetime | None:
    """Return when an image was made: Acquisition DateTime, else the first of the pairs that is whole.

    Timezone Offset From UTC holds where it is stated (PS3.3 C.12.1.1.8), else the site's zone.
    """
    stated = attributes.get("TimezoneOffsetFromUTC", "")
    own = _offset(stated) if _OFFSET.fullmatch(stated) else zone
    pairs = ((attributes.get(f"{name}Date", ""), attributes.get(f"{name}Time", "")) for name in _PAIRS)
    found = (_moment(attributes.get("AcquisitionDateTime", ""), own), *(civil(date, time, own) for date, time in pairs))
    return next((instant for instant in found if instant is not None), None)


def off(theirs: datetime | None, ours: datetime) -> float | None:
    """Return by how many seconds theirs is ahead of ours."""
    return None if theirs is None else (theirs.astimezone(UTC) - ours).total_seconds()


def _moment(text: str, zone: tzinfo) -> datetime | None:
    match = _DT.fullmatch(text.strip())
    if match is None:
        return None
    return civil(match[1], match[2], _offset(match[3]) if match[3] else zone)


def _offset(text: str) -> tzinfo:
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
