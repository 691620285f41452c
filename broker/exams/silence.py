"""Whether the RIS has been silent for too long within working hours. Raises no alert itself: the caller does."""

from datetime import datetime, timedelta, tzinfo

from broker.database import Transaction
from broker.environments.model import Profile, SilenceSettings
from broker.exams import store
from broker.exams.limits import words
from broker.inbox import store as inbox

EVENT = "hl7.silent"
SUBJECT = "hl7"

_TOLD = "hl7-silent"


def silence(tx: Transaction, profile: Profile, now: datetime) -> timedelta | None:
    """Return for how long no message has come, where that is worth a word; None where all is well."""
    since = _since(tx, profile, now)
    return now - since if since else None


def untold(tx: Transaction, profile: Profile, now: datetime) -> timedelta | None:
    """Return the same, once for each silence: a person who knows is not told again before the next working day."""
    since = _since(tx, profile, now)
    if since is None or store.mark(tx, _TOLD) == int(since.timestamp()):
        return None
    store.set_mark(tx, _TOLD, int(since.timestamp()))
    return now - since


def notice(silent: timedelta) -> str:
    """Return the line that stands over a worklist which may be out of date."""
    return f"no message has come from the RIS for {words(silent)}: new orders and changes may be missing here"


def alert_text(silent: timedelta) -> str:
    """Return the same with what to do."""
    return f"{notice(silent)}; ask whether it sends, and print the worklist (`broker worklist print`)"


def silent_since(last: datetime | None, settings: SilenceSettings, zone: tzinfo, now: datetime) -> datetime | None:
    """Return since when a silence counts, where it is long enough: from the last message, or from today's opening.

    A quiet night is no silence: only working hours of one day count. A RIS that never sent anything is silent.
    """
    here = now.astimezone(zone)
    opening = datetime.combine(here.date(), settings.opens, zone)
    closing = datetime.combine(here.date(), settings.closes, zone)
    if not settings.minutes or here.weekday() not in settings.days or not opening <= now < closing:
        return None
    since = max(last, opening) if last else opening
    return since if now - since >= timedelta(minutes=settings.minutes) else None


def _since(tx: Transaction, profile: Profile, now: datetime) -> datetime | None:
    if not profile.hl7.silence.minutes:
        return None
    newest = inbox.entries(tx, limit=1)
    last = newest[0].arrival.received if newest else None
    return silent_since(last, profile.hl7.silence, profile.timezone, now)
