"""When a step of an exam is late, and how long something took, in words. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.environments.model import ExamSettings
from broker.orders.model import Order

MIDNIGHT = "000000"  # TM


@dataclass(frozen=True, slots=True)
class Limits:
    """By what lateness is judged: the profile's limits, the site's zone, and what time it is."""

    settings: ExamSettings
    timezone: tzinfo
    now: datetime

    @property
    def quiet(self) -> timedelta:
        """How long nothing must come before an exam without MPPS counts as complete."""
        return timedelta(minutes=self.settings.quiet_minutes)


def lateness(since: datetime | None, done: datetime | None, minutes: int, now: datetime, what: str) -> str:
    """Return why something is late, empty where it is not: `done` is absent while it lacks. 0 minutes is no limit."""
    if since is None or not minutes:
        return ""
    took = (done or now) - since
    if took <= timedelta(minutes=minutes):
        return ""
    return f"{words(took)} after {what}" if done else f"lacking for {words(took)} since {what}"


def words(duration: timedelta) -> str:
    """Return a duration in at most two units: "3 h 12 min"."""
    seconds = max(0, int(duration.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        parts.append((count, name))
    first = next((n for n, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count) or "0 s"


def scheduled(order: Order, timezone: tzinfo) -> datetime | None:
    """Return when the first of an order's steps is to begin; None where no step states day and time of day.

    Midnight states none: it stands where an order has a day alone (Start Time is of type 1, PS3.4 table K.6-1).
    """
    zone = _zone(order.timezone, timezone)
    return min(_starts(order, zone), default=None)


def _starts(order: Order, zone: tzinfo) -> Iterable[datetime]:
    for step in order.steps:
        day, time = step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time
        if time == MIDNIGHT:
            continue
        try:
            yield datetime.strptime(f"{day}{time[:4]}", "%Y%m%d%H%M").replace(tzinfo=zone)
        except ValueError:
            continue


def _zone(name: str, default: tzinfo) -> tzinfo:
    try:
        return ZoneInfo(name) if name else default
    except (ZoneInfoNotFoundError, ValueError):
        return default
