"""The process of all listeners."""

import resource
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial

from broker import clock as clocks
from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.app.bells import Bells
from broker.app.opening import Listener, open_all
from broker.app.parts import build_flows
from broker.app.peers import ListenerContexts
from broker.clock import Clock
from broker.database import Database
from broker.delivery import store as deliveries
from broker.dimse import tls
from broker.dimse.acceptor import Server
from broker.dimse.limits import Limits
from broker.dimse.notices import Answered
from broker.dimse.places import Places
from broker.dimse.service import NormalizedRequest
from broker.environments.model import Profile
from broker.errors import Unavailable
from broker.journal import log
from broker.listeners import mllp
from broker.listeners.dicom import Services
from broker.listeners.health import HealthServer
from broker.listeners.metrics import metrics
from broker.pipeline import Flows
from broker.promotion.recorded import noting
from broker.schedule import Metronome
from broker.supervisor import Ports

_CLOSED = "listener.closed"
_PROOF_BEAT = 0.5
_CHORE_BEAT = 60.0
_GRACE_SECONDS = 10.0
_REPORTS_SECONDS = 2.0  # what is sent on a device's own association has ended with it
_OTHER_DESCRIPTORS = 640  # 512 HL7 connections, the database's, files


def run_ports(  # noqa: PLR0917 - what the parent has built, and what every part is given
    profile: Profile,
    contexts: ListenerContexts,
    bells: Bells,
    before: Ports,
    ready: Callable[[Ports], None],
    stop: threading.Event,
) -> None:
    """Be the process of all listeners. After a restart it binds the ports that it had."""
    clock = clocks.from_environment()
    flows, database, spool = build_flows(profile, clock)
    flows.word.of_kept, flows.word.of_owed = bells.kept.ring, bells.owed.ring
    spool.begin()
    noting.note(database, profile, clock)
    _take_over(flows)
    _raise_descriptors(_limits(profile))
    wanted = {**profile.ports, **before}
    health = _health(profile, wanted["http"], database, clock)
    dicom = _dicom_servers(profile, wanted, contexts.dicom, Services(flows), clock)
    servers: dict[str, Listener] = {**_hl7_servers(profile, wanted, contexts.hl7, flows, clock), **dicom}
    with _told_of_closed(database, profile, clock) if before else nullcontext():
        ports = open_all({**servers, "http": health}, wanted, profile)
    log.info("ports.ready", **ports)
    ready(ports)
    beats = _beats(flows, dicom)
    beats.start()
    stop.wait()
    beats.end()
    _stop_all(servers)
    beats.wait(_REPORTS_SECONDS)
    health.stop(_GRACE_SECONDS)
    spool.end()
    database.close()


@contextmanager
def _told_of_closed(database: Database, profile: Profile, clock: Clock) -> Iterator[None]:
    """Raise an alert where a port cannot be opened again: nobody stands at a console, as somebody does at a start."""
    try:
        yield
    except Unavailable as taken:
        text = f"nothing is received, and it is tried again every 10 s: {taken}"
        with database.write("alerts") as tx:
            raise_alert(tx, _CLOSED, profile.name, Severity.URGENT, text, clock.now())
        raise


def _take_over(flows: Flows) -> None:
    """Go on where the last process ended: what the other world may know, and what was on its way into the spool."""
    flows.write_worlds()
    recovered = flows.recover_spool()
    if recovered:
        log.warning("spool.recovered", instances=recovered)


def _beats(flows: Flows, servers: Mapping[str, Server]) -> Metronome:
    """Return what is done by the clock where the associations are: reports on them, and a look at the other world."""
    beats: dict[str, tuple[float, Callable[[], None]]] = {
        "report": (_PROOF_BEAT, partial(flows.report_here, partial(_notify, servers.values())))
    }
    if flows.worlds.watches:
        flows.watch_worlds()
        beats["worlds"] = (_CHORE_BEAT, flows.watch_worlds)
    return Metronome(beats)


def _health(profile: Profile, port: int, database: Database, clock: Clock) -> HealthServer:
    ready, numbers = partial(_readiness, database, profile), partial(metrics, database, profile, clock)
    return HealthServer(profile.http.host, port, ready, numbers)


def _readiness(database: Database, profile: Profile) -> Mapping[str, object]:
    with database.read() as tx:
        deliveries.owed_in_all(tx)  # a look into one index: whoever asks does so every few seconds
    return {"environment": profile.name, "kind": profile.kind.value}


def _hl7_servers(
    profile: Profile, ports: Ports, contexts: tls.Contexts | None, flows: Flows, clock: Clock
) -> dict[str, Listener]:
    """Return the listeners by the names of their ports: plain, TLS, or both."""
    return {
        name: mllp.listen(profile.hl7, ports[name], flows, clock, tls_context)
        for name, tls_context in (("hl7", None), ("hl7_tls", contexts))
        if name in profile.ports
    }


def _dicom_servers(
    profile: Profile,
    ports: Ports,
    contexts: tls.Contexts | None,
    services: Services,
    clock: Clock,
) -> dict[str, Server]:
    """Return the listeners by the names of their ports: plain, TLS, or both with one number of associations."""
    limits = _limits(profile)
    places = Places(limits)
    return {
        name: Server(profile.dicom.host, ports[name], services, clock, limits=limits, tls=tls_context, places=places)
        for name, tls_context in (("dicom", None), ("dicom_tls", contexts))
        if name in profile.ports
    }


def _notify(servers: Iterable[Server], association_id: str, request: NormalizedRequest, answered: Answered) -> bool:
    """Send a request on an association that a peer has opened, on whichever port; False where it is not open."""
    return any(server.notify(association_id, request, answered) for server in servers)


def _stop_all(servers: Mapping[str, Listener]) -> None:
    """Stop the listeners side by side, so that they share the grace."""
    threads = [threading.Thread(target=server.stop, args=(_GRACE_SECONDS,)) for server in servers.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _limits(profile: Profile) -> Limits:
    asked = profile.dicom.limits
    return Limits(established=asked.associations, idle=float(asked.idle_seconds), instance=asked.object_bytes)


def _raise_descriptors(limits: Limits) -> None:
    """Allow this process what the system lets it: each connection is a descriptor, each instance on its way another."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the system's own maximum may have been lowered below it since
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = 2 * limits.established + 2 * (limits.silent + limits.waiting) + limits.negotiating + _OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        log.warning("descriptors.few", limit=hard, needed=needed)
