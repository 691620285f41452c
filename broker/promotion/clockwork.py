"""What the clock does in Production: applies what is approved for a time, and ends the watch over a new device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.audit.model import CLOCK
from broker.clock import Clock, rfc3339
from broker.database import Database, Transaction
from broker.environments.model import Profile
from broker.errors import BrokerError, Refused
from broker.journal import log
from broker.promotion import flow, gate, store, watching
from broker.promotion.flow import By
from broker.promotion.gate import Checks, Here
from broker.promotion.life import Move, moved
from broker.promotion.model import Life, Request
from broker.promotion.recorded import traffic_store as traffic
from broker.promotion.store import Served
from broker.promotion.watching import Watch
from broker.registry import store as registry

NOT_APPLIED = "promotion.not-applied"
WATCH = "promotion.watch"
_BEAT_SECONDS = 5  # of this clockwork
_CLOSELY = timedelta(hours=1)  # after a cutover; later once a minute
_LOOKED_AT = timedelta(days=2)  # of a device that is watched for long: what it did lately

OpenSource = Callable[[Path], AbstractContextManager[Here]]
"""Opens the environment of a profile to be read. Raises Unavailable, Misconfigured."""


def apply_due(profile: Profile, database: Database, clock: Clock, checks: Checks, open_source: OpenSource) -> int:
    """Apply what is approved and whose time has come; return how many. What cannot be applied is told, and lapses."""
    with database.read() as tx:
        due = store.due(tx, profile.name, clock.now())
    return sum(_applied(request, profile, database, clock, checks, open_source) for request in due)


def settle(profile: Profile, database: Database, clock: Clock) -> list[str]:
    """End the watch over each device that has shown what the policy asks; tell what is wrong. Return who is live."""
    now = clock.now()
    with database.read() as tx:
        watches = [watching.read(tx, profile, name, now, _LOOKED_AT) for name in _due(tx, now)]
    for watch in watches:
        _tell(watch, _complaint(watch, profile.promotion.watch_hours), database)
    return [watch.name for watch in watches if watch.has_shown_all and _settled(watch, database)]


def _settled(watch: Watch, database: Database) -> bool:
    """Make it live; False where a person was faster."""
    with database.write("promotion") as tx:
        if store.life(tx, watch.name) is not Life.WATCHED:
            return False
        device = registry.modality(tx, watch.name)
        to, why = moved(Life.WATCHED, Move.SETTLE), f"{_exams(watch)} since {rfc3339(watch.since)}"
        store.set_life(tx, watch.name, to, watch.now)
        line = Served(0, watch.name, watch.now, str(CLOCK), "settled", why, device.revision, device.binding, to, None)
        store.record(tx, line)
    log.info("promotion.settled", device=watch.name, exams=watch.exams)
    return True


def _due(tx: Transaction, now: datetime) -> list[str]:
    """Return who is looked at now: closely at first, later once a minute."""
    names = store.in_life(tx, Life.WATCHED)
    since = {name: next((line.at for line in store.history(tx, name)), None) for name in names}
    is_minute = now.second < _BEAT_SECONDS
    return [name for name, at in since.items() if at is not None and (is_minute or now - at < _CLOSELY)]


def _exams(watch: Watch) -> str:
    return f"{watch.exams} whole exam{'s' if watch.exams > 1 else ''}"


def _complaint(watch: Watch, hours: int) -> str:
    """Return what a person is told, with the way back; nothing where all is well so far."""
    way_back = f"broker promote rollback {watch.name} --env {watch.environment} --why …"
    if watch.open_troubles:
        first = watch.open_troubles[0]
        return f"{watch.name} went live, and {first.text}. {first.to_do}. The way back: {way_back}"
    if watch.has_shown_all or watch.now - watch.since < timedelta(hours=hours):
        return ""
    lacking = ", ".join(first.title for first in watch.awaited) or "a whole exam"
    return f"{watch.name} went live {hours} hours ago, and has not shown: {lacking}. See broker promote watch"


def _tell(watch: Watch, text: str, database: Database) -> None:
    """Tell it once: who has acknowledged it is not told the same again."""
    if not text:
        return
    with database.read() as tx:
        if traffic.was_told(tx, WATCH, watch.name, text, watch.since):
            return
    with database.write("promotion") as tx:
        raise_alert(tx, WATCH, watch.name, Severity.URGENT, text, watch.now)


def _applied(  # noqa: PLR0917 - as `apply_due`
    request: Request, profile: Profile, database: Database, clock: Clock, checks: Checks, open_source: OpenSource
) -> bool:
    by = By(CLOCK, clock.now(), f"at the time that was set, {request.apply_at}")
    titles = (profile.dicom.ae_title, *profile.dicom.aliases)
    try:
        with open_source(Path(request.source_file)) as source:
            with database.read() as tx:  # what the network has to say is asked before anything is locked
                gate.prepared(source, Here(profile, tx), request.name, request.binding, checks, by.now)
            with database.write("promotion") as tx:
                made = gate.prepared(source, Here(profile, tx), request.name, request.binding, checks, by.now)
                flow.applied(tx, request, made.plan, titles, by)
    except BrokerError as error:
        _say_why_not(request, database, by, error)
        return False
    log.info("promotion.applied", request=request.id, device=request.name, revision=request.revision)
    return True


def _say_why_not(request: Request, database: Database, by: By, error: BrokerError) -> None:
    """Tell people at once: somebody stands at the console and waits. What was refused is not tried again."""
    with database.write("promotion") as tx:
        if isinstance(error, Refused):
            flow.lapsed(tx, request, By(by.actor, by.now, str(error)))
            if store.life(tx, request.name) is Life.SCHEDULED:
                store.set_life(tx, request.name, moved(Life.SCHEDULED, Move.CALL_OFF), by.now)
        raise_alert(tx, NOT_APPLIED, request.name, Severity.URGENT, f"{request.id}: {error}", by.now)
    log.error("promotion.not-applied", request=request.id, device=request.name, why=str(error))
