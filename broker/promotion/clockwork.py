"""What the clock does in Production: applies what is approved for a time, and ends the watch over a new device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.audit.model import CLOCK
from broker.clock import Clock
from broker.database import Database
from broker.environments.model import Profile
from broker.errors import BrokerError, Refused
from broker.journal import log
from broker.promotion import flow, gate, store
from broker.promotion.flow import By
from broker.promotion.gate import Checks, Here
from broker.promotion.life import Move, moved
from broker.promotion.model import Life, Request

NOT_APPLIED = "promotion.not-applied"
WATCHED_FOR = timedelta(hours=24)

OpenSource = Callable[[Path], AbstractContextManager[Here]]
"""Opens the environment of a profile to be read. Raises Unavailable, Misconfigured."""


def apply_due(profile: Profile, database: Database, clock: Clock, checks: Checks, open_source: OpenSource) -> int:
    """Apply what is approved and whose time has come; return how many. What cannot be applied is told, and lapses."""
    with database.read() as tx:
        due = store.due(tx, profile.name, clock.now())
    return sum(_applied(request, profile, database, clock, checks, open_source) for request in due)


def settle(database: Database, clock: Clock) -> list[str]:
    """End the watch over devices that went well for a day; return their names."""
    with database.read() as tx:
        names = store.watched(tx, clock.now() - WATCHED_FOR)
    if names:
        with database.write("promotion") as tx:
            for name in names:
                store.set_life(tx, name, moved(Life.WATCHED, Move.SETTLE), clock.now())
    return names


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
        raise_alert(tx, NOT_APPLIED, request.name, Severity.URGENT, f"{request.id}: {error}", by.now)
    log.error("promotion.not-applied", request=request.id, device=request.name, why=str(error))
