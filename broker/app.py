"""The composition root: the only place that builds engines, sockets, threads, processes and schedulers."""

import gc
import resource
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from broker import clock as clocks
from broker import durable, journal, migrations
from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.clock import Clock
from broker.commitment.proof.worker import Callers, web_peer
from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.pace import Pacer
from broker.delivery.senders.stow_peer import StowPeer
from broker.delivery.senders.stow_query import probe
from broker.dimse import tls
from broker.dimse.acceptor import Server
from broker.dimse.kept import KeptAssociations
from broker.dimse.limits import Limits
from broker.dimse.notices import Answered
from broker.dimse.places import Places
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import NormalizedRequest
from broker.dimse.tls import Certificates
from broker.environments import bound, hooks
from broker.environments.commitment import ProofBy
from broker.environments.model import ClientCertificates, Destination, ListenerTls, Profile, World
from broker.environments.model import Protocol as DestinationProtocol
from broker.errors import Unavailable
from broker.journal import log
from broker.listeners import mllp
from broker.listeners.dicom import Services
from broker.listeners.health import HealthServer
from broker.listeners.metrics import metrics
from broker.orders.sources import Sources
from broker.outbox.connection import Sender, sender
from broker.pipeline import Flows
from broker.promotion.approved import serving
from broker.promotion.recorded import noting
from broker.registry.cache import RegistryCache
from broker.schedule import Metronome
from broker.spool.room import Room
from broker.spool.spool import Spool
from broker.supervisor import Ports, Supervisor
from broker.tripwires.other import other_of, refuse_crossing

_SWITCH_SECONDS = 0.0005  # a thread that computes must not starve the ones that answer (measured: 60 s against 0.15 s)
_DELIVERY_BEAT = 0.25
_PROOF_BEAT = 0.5
_INDEX_BEAT = 0.1
_SEGMENTS_BEAT = 5.0
_IMAGES_BEAT = 5.0
_CHORE_BEAT = 60.0
_HOUSE_BEAT = 3600.0
_GRACE_SECONDS = 10.0
_LOCK_TRIES = 50
_OTHER_DESCRIPTORS = 640  # 512 HL7 connections, the database's, files


def requestor(destination: Destination) -> EngineRequestor:
    """Return what opens associations to a destination. Raises Misconfigured when its certificates cannot be used."""
    if destination.tls is None:
        return EngineRequestor()
    asked = destination.tls
    files = Certificates(asked.certificate, asked.key, asked.trusted)
    return EngineRequestor(tls=tls.client(files, asked.checks_host))


def stow_peer(destination: Destination) -> StowPeer | None:
    """Return what calls a destination by STOW-RS, if it is one. Raises Misconfigured for a certificate or secret."""
    return StowPeer(destination) if destination.protocol is DestinationProtocol.STOW else None


@dataclass(frozen=True, slots=True)
class ListenerContexts:
    """What each TLS listener of a profile shows and trusts; None where it has none."""

    hl7: tls.Contexts | None
    dicom: tls.Contexts | None


def listener_contexts(profile: Profile) -> ListenerContexts:
    """Return the contexts of the TLS listeners. Raises Misconfigured as `requestor` does."""
    return ListenerContexts(listener_tls(profile.hl7.tls), listener_tls(profile.dicom.tls))


def listener_tls(asked: ListenerTls | None) -> tls.Contexts | None:
    """Return the contexts of one TLS listener, if there is one. Raises Misconfigured as `requestor` does."""
    if asked is None:
        return None
    is_required = asked.client_certificates is ClientCertificates.REQUIRED
    return tls.server(Certificates(asked.certificate, asked.key, asked.trusted if is_required else None))


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
    log.info("serve.starting", kind=profile.kind.value, lock=held)
    for each in profile.destinations:
        if each.correction is not None:
            log.warning("destination.corrects", destination=each.name, attributes=list(each.correction.attributes))

    def ready(ports: Ports) -> None:
        bound.tell(profile, ports)
        announce(ports)

    parts = {
        "ports": partial(_ports, profile, contexts),
        "deliveries": partial(_deliveries, profile, callers, peers, tellers),
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
        held = durable.lock(profile.state / "serve.lock")
        if held is not None:
            return held
        pause.wait(0.1)  # a predecessor that was killed may still be ending
    raise Unavailable(f"another `broker serve` runs on {profile.state}: stop it first")


def _flows(profile: Profile, clock: Clock) -> tuple[Flows, Database, Spool]:
    sys.setswitchinterval(_SWITCH_SECONDS)
    database = Database(profile.database_url)
    spool = Spool(profile.spool, Room(profile.spool, profile.disk))
    return Flows(profile, database, RegistryCache(database), spool, clock), database, spool


class Listener(Protocol):
    """What accepts connections on one port."""

    def start(self) -> int:
        """Listen, and return the bound port."""
        ...

    def stop(self, seconds: float, /) -> object:
        """Accept nothing more and finish what is in flight, for so many seconds at most."""
        ...


def _ports(
    profile: Profile,
    contexts: ListenerContexts,
    before: Ports,
    ready: Callable[[Ports], None],
    stop: threading.Event,
) -> None:
    """Be the process of all listeners. After a restart it binds the ports that it had."""
    clock = clocks.from_environment()
    flows, database, spool = _flows(profile, clock)
    spool.begin()
    noting.note(database, profile, clock)
    flows.write_worlds()
    recovered = flows.recover_spool()
    if recovered:
        log.warning("spool.recovered", instances=recovered)
    _raise_descriptors(_limits(profile))
    wanted = {**profile.ports, **before}
    http = profile.http
    health = HealthServer(
        http.host, wanted["http"], partial(_readiness, database, profile), partial(metrics, database, profile, clock)
    )
    hl7 = _hl7_servers(profile, wanted, contexts.hl7, flows, clock)
    dicom = _dicom_servers(profile, wanted, contexts.dicom, Services(flows), clock)
    servers: dict[str, Listener] = {**hl7, **dicom}
    ports = {name: server.start() for name, server in servers.items()}
    ports["http"] = health.start()
    gc.collect()
    gc.freeze()  # what the imports made lives as long as we do: no collection need look at it again
    gc.enable()
    log.info("ports.ready", **ports)
    ready(ports)
    beats: dict[str, tuple[float, Callable[[], None]]] = {
        "report": (_PROOF_BEAT, partial(flows.report_here, partial(_notify, dicom.values())))
    }
    if flows.worlds.watches:
        flows.watch_worlds()
        beats["worlds"] = (_CHORE_BEAT, flows.watch_worlds)
    reports = Metronome(beats)
    reports.start()
    stop.wait()
    reports.stop()
    _stop_all(servers)
    health.stop()
    spool.end()
    database.close()


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


def _deliveries(  # noqa: PLR0917 - what the parent has built, and what every part is given
    profile: Profile,
    callers: Mapping[str, EngineRequestor],
    peers: Mapping[str, StowPeer | None],
    tellers: Mapping[str, Sender],
    _before: Ports,
    ready: Callable[[Ports], None],
    stop: threading.Event,
) -> None:
    """Be the process of all senders and chores."""
    flows, database, _ = _flows(profile, clocks.from_environment())
    flows.release_leases()
    _pace(profile, peers, stop)
    recovered = flows.index_instances()
    if recovered:
        log.warning("spool.recovered", instances=recovered)
    senders = [each for one in profile.destinations for each in _senders(one, callers[one.name], stop)]
    other = flows.worlds.destination
    if other is not None and other.name in callers:
        senders += _senders(other, callers[other.name], stop)
        peers = {**peers, other.name: None}
    chores: dict[str, tuple[float, Callable[[], object]]] = {
        f"deliver:{each.destination.name}:{each.number}": (
            _DELIVERY_BEAT,
            partial(_deliver, flows, each, peers[each.destination.name], stop),
        )
        for each in senders
    }
    for receiver in profile.receivers:
        chores[f"tell:{receiver.name}"] = (_DELIVERY_BEAT, partial(flows.tell, receiver, tellers[receiver.name]))
    for destination in profile.mpps.destinations:
        chores[f"pass-on:{destination.name}"] = (
            _DELIVERY_BEAT,
            partial(flows.pass_on, destination, requestor(destination)),
        )
    if other is not None and other.name in callers:
        chores[f"pass-on:{other.name}"] = (_DELIVERY_BEAT, partial(flows.pass_on, other, callers[other.name]))
    chores |= _commitment_chores(profile, flows, _provers(profile, callers, peers), stop)
    chores["index"] = (_INDEX_BEAT, flows.index_instances)
    chores["segments"] = (_SEGMENTS_BEAT, flows.keep_segments)
    chores["parked"] = (_CHORE_BEAT, flows.move_parked)
    chores["disk"] = (_CHORE_BEAT, flows.watch_disk)
    chores["stale-steps"] = (_CHORE_BEAT, flows.note_stale_steps)
    chores["images-available"] = (_IMAGES_BEAT, flows.note_available_images)
    chores["absent-destinations"] = (_CHORE_BEAT, flows.note_absent_destinations)
    chores["escalation"] = (_CHORE_BEAT, flows.escalate)
    chores["ledger"] = (_IMAGES_BEAT, flows.keep_ledger)
    chores["late-exams"] = (_CHORE_BEAT, flows.count_late_exams)
    chores["silence"] = (_CHORE_BEAT, flows.note_silence)
    chores["house"] = (_HOUSE_BEAT, flows.keep_house)
    if profile.kind is World.PRODUCTION:
        chores["promotions"] = (_IMAGES_BEAT, partial(_promote, profile, database))
    metronome = Metronome(chores)
    metronome.start()
    log.info("deliveries.ready", destinations=len(profile.destinations))
    ready({})
    stop.wait()
    # Each sender's last beat gives back its association: a peer that takes one at a time would let nobody else end.
    threading.Event().wait(3 * _DELIVERY_BEAT)
    metronome.stop()
    for each in senders:
        each.associations.close()
    for peer in filter(None, peers.values()):
        peer.close()
    database.close()


def web_answers(destination: Destination) -> str:
    """Return what a STOW-RS destination says when it is asked for nothing. Raises Unavailable, Misconfigured."""
    peer = stow_peer(destination)
    if peer is None:
        raise Unavailable(f"{destination.name} is not reached by STOW-RS")
    try:
        return probe(peer)
    finally:
        peer.close()


def _promote(profile: Profile, database: Database) -> None:
    from broker.promoting import promote  # noqa: PLC0415 - a fifth of the start, and Production's deliveries need it alone

    promote(profile, database, requestor, web_answers)


def _provers(
    profile: Profile, callers: Mapping[str, EngineRequestor], peers: Mapping[str, StowPeer | None]
) -> dict[str, Callers]:
    """Return how each destination is asked for its proof."""
    return {
        each.name: Callers(callers[each.name], _web_prover(each, peers[each.name])) for each in profile.destinations
    }


def _web_prover(destination: Destination, own: StowPeer | None) -> StowPeer | None:
    if destination.proof.by is not ProofBy.QIDO:
        return None
    return own if own is not None and not destination.proof.url else web_peer(destination)


def _commitment_chores(
    profile: Profile, flows: Flows, callers: Mapping[str, Callers], stop: threading.Event
) -> dict[str, tuple[float, Callable[[], None]]]:
    """Return what is done by the clock for proofs of destinations and for requests of devices."""
    chores: dict[str, tuple[float, Callable[[], None]]] = {
        f"prove:{each.name}": (_PROOF_BEAT, partial(flows.commitment.prove, each, callers[each.name], stop.is_set))
        for each in profile.destinations
        if each.proof.by is not ProofBy.NONE
    }
    chores["gather-commitment"] = (_PROOF_BEAT, flows.commitment.gather)
    chores["report-commitment"] = (_PROOF_BEAT, partial(flows.commitment.report_anew, EngineRequestor()))
    chores["unproven"] = (_HOUSE_BEAT, flows.commitment.tell_unproven)  # an alert that was acknowledged comes again
    chores["forget"] = (_CHORE_BEAT, flows.commitment.forget_held)
    return chores


@dataclass(frozen=True, slots=True)
class _Sender:
    """One of those that send to a destination side by side, each over associations of its own."""

    destination: Destination
    number: int
    associations: KeptAssociations


def _senders(destination: Destination, caller: EngineRequestor, stop: threading.Event) -> list[_Sender]:
    """Return as many as the profile says; together they stay below the destination's bandwidth."""
    paced = caller.paced(Pacer(destination.bandwidth_kbit, stop.wait)) if destination.bandwidth_kbit else caller
    numbers = range(1, destination.associations + 1)
    return [_Sender(destination, number, KeptAssociations(paced)) for number in numbers]


def _pace(profile: Profile, peers: Mapping[str, StowPeer | None], stop: threading.Event) -> None:
    """Keep what is sent by STOW-RS below each destination's bandwidth, too."""
    for destination in profile.destinations:
        peer = peers[destination.name]
        if peer is not None and destination.bandwidth_kbit:
            peer.pace = Pacer(destination.bandwidth_kbit, stop.wait)


def _deliver(flows: Flows, sender: _Sender, stow: StowPeer | None, stop: threading.Event) -> None:
    try:
        flows.deliver(sender.destination, sender.associations, stow, stop.is_set)
    finally:
        if stop.is_set():
            sender.associations.close()
        else:
            sender.associations.sweep()


def _readiness(database: Database, profile: Profile) -> Mapping[str, object]:
    with database.read() as tx:
        deliveries.owed_in_all(tx)  # a look into one index: whoever asks does so every few seconds
    return {"environment": profile.name, "kind": profile.kind.value}
