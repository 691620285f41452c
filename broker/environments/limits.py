"""The tables of a profile that say how long: exams' limits, RIS silence, expiry, retention. Decides nothing else."""

from datetime import time

from broker.environments.commitment import read_spool_hours
from broker.environments.model import ExamSettings, Identity, SilenceSettings
from broker.environments.reading import TomlTable, quoted

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST_MINUTES = 7 * 24 * 60
_LONGEST_DAYS = 36_500
_EXAMS = ExamSettings()
_SILENCE = SilenceSettings()
_WEEKDAYS = tuple(_DAYS[day] for day in sorted(_SILENCE.days))


def read_exams(root: TomlTable) -> ExamSettings:
    """Return `[exams]`; note each mistake. A limit of 0 flags nothing."""
    table = root.table("exams", required=False)
    settings = ExamSettings(
        started_late_minutes=_minutes(table, "started_late_minutes", _EXAMS.started_late_minutes),
        stored_late_minutes=_minutes(table, "stored_late_minutes", _EXAMS.stored_late_minutes),
        delivered_late_minutes=_minutes(table, "delivered_late_minutes", _EXAMS.delivered_late_minutes),
        quiet_minutes=table.integer("quiet_minutes", 1, _LONGEST_MINUTES, _EXAMS.quiet_minutes),
        identity=table.choice("identity", Identity, _EXAMS.identity) or _EXAMS.identity,
    )
    table.finish()
    return settings


def read_silence(hl7: TomlTable) -> SilenceSettings:
    """Return when a silent RIS is worth an alert, of `[hl7]`; note each mistake."""
    opens, closes = _hours(hl7)
    return SilenceSettings(
        minutes=_minutes(hl7, "silent_minutes", _SILENCE.minutes), opens=opens, closes=closes, days=_days(hl7)
    )


def read_expiry(table: TomlTable) -> int:
    """Return after how many days past its own an item is no longer offered, of `[worklist]`; 0 is never."""
    return table.integer("expire_days", 0, _LONGEST_DAYS, 7)


def read_retention(root: TomlTable) -> tuple[int, int]:
    """Return of `[retention]` for how many days is kept what the ledger does not need (0: for ever), and the hours
    that an instance stays after it was delivered and proven everywhere.
    """
    table = root.table("retention", required=False)
    days, hours = table.integer("days", 0, _LONGEST_DAYS, 0), read_spool_hours(table)
    table.finish()
    return days, hours


def _minutes(table: TomlTable, key: str, default: int) -> int:
    return table.integer(key, 0, _LONGEST_MINUTES, default)


def _hours(table: TomlTable) -> tuple[time, time]:
    text = table.text("working_hours", f"{_SILENCE.opens:%H:%M}-{_SILENCE.closes:%H:%M}")
    first, _, last = text.partition("-")
    try:
        opens, closes = time.fromisoformat(first.strip()), time.fromisoformat(last.strip())
    except ValueError:
        table.wrong("working_hours", f"{text!r} must be two times of day such as '07:00-18:00'")
        return _SILENCE.opens, _SILENCE.closes
    if opens.tzinfo or closes.tzinfo or opens >= closes:
        table.wrong("working_hours", f"{text!r} must end later than it begins, on the same day and without offset")
        return _SILENCE.opens, _SILENCE.closes
    return opens, closes


def _days(table: TomlTable) -> frozenset[int]:
    words = table.texts("working_days", _WEEKDAYS)
    for unknown in (word for word in words if word.lower() not in _DAYS):
        table.wrong("working_days", f"{unknown!r} is none of {quoted(_DAYS)}")
    return frozenset(_DAYS.index(word.lower()) for word in words if word.lower() in _DAYS)
