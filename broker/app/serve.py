"""`broker serve`: settings, certificates and state are looked at once, then the processes are started and kept."""

import threading
from collections.abc import Callable
from functools import partial

from broker import clock as clocks
from broker import journal, migrations
from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.app.bells import Bells
from broker.app.deliveries import run_deliveries
from broker.app.peers import listener_contexts, requestor, stow_peer
from broker.app.ports import run_ports
from broker.clock import Clock
from broker.database import Database
from broker.environments import bound, hooks
from broker.environments.model import Profile
from broker.errors import Unavailable
from broker.journal import log
from broker.orders.sources import Sources
from broker.outbox.connection import sender
from broker.promotion.approved import serving
from broker.schedule import Bell
from broker.supervisor import Ports, Supervisor
from broker.tripwires.other import other_of, refuse_crossing

_LOCK_TRIES = 50


def serve(profile: Profile, announce: Callable[[Ports], None]) -> int:
    """Run one environment until SIGTERM or SIGINT; `announce` gets the bound ports once every listener accepts.

    Returns the exit code. Raises Misconfigured or Unavailable when it cannot start.
    """
    journal.configure(profile.name, profile.colour)
    hooks.arm(profile)
    profile = _settled(profile)
    other = other_of(profile)
    refuse_crossing(profile, other, hooks.tripwires_off(profile))
    # Read before a process is started: a file that is missing is one clear line, and a later start of a process
    # needs none of them.
    contexts = listener_contexts(profile)
    callers = {destination.name: requestor(destination) for destination in profile.destinations}
    if other.destination is not None:
        callers[other.destination.name] = requestor(other.destination)
    peers = {destination.name: stow_peer(destination) for destination in profile.destinations}
    tellers = {receiver.name: sender(receiver) for receiver in profile.receivers}
    Sources(profile.hl7, profile.name)
    held = _take_state(profile)
    bound.forget(profile)  # what one that was killed has left
    log.info("serve.starting", kind=profile.kind.value, lock=held)
    for each in profile.destinations:
        if each.correction is not None:
            log.warning("destination.corrects", destination=each.name, attributes=list(each.correction.attributes))

    def ready(ports: Ports) -> None:
        bound.tell(profile, ports)
        announce(ports)

    bells = Bells(Bell(), Bell())
    parts = {
        "ports": partial(run_ports, profile, contexts, bells),
        "deliveries": partial(run_deliveries, profile, callers, peers, tellers, bells),
    }
    code = Supervisor(parts, ready).run()
    bound.forget(profile)
    log.info("serve.stopped", code=code)
    return code


def _settled(profile: Profile) -> Profile:
    """Return what is served: Production as it was approved last. Of files that say something else, a person is told."""
    database, clock = migrations.open_database(profile), clocks.from_environment()
    try:
        served = serving.begun(profile, database, clock)
        if lines := serving.pending(profile, database):
            _tell_of_pending(profile, database, clock, len(lines))
    finally:
        database.close()
    return served


def _tell_of_pending(profile: Profile, database: Database, clock: Clock, lines: int) -> None:
    text = f"its files differ from what was approved, which is served: see broker env pending {profile.name}"
    with database.write("alerts") as tx:
        raise_alert(tx, serving.PENDING, profile.name, Severity.WARNING, text, clock.now())
    log.warning("environment.pending", lines=lines)


def _take_state(profile: Profile) -> int:
    """Hold the state for the life of this process: two of us on one spool would send everything twice."""
    pause = threading.Event()
    for _ in range(_LOCK_TRIES):
        held = bound.take(profile)
        if held is not None:
            return held
        pause.wait(0.1)  # a predecessor that was killed may still be ending
    raise Unavailable(f"another `broker serve` runs on {profile.state}: stop it first")
