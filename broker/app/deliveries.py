"""The process of all senders and chores."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from broker import clock as clocks
from broker.app.bells import Bells
from broker.app.parts import build_flows
from broker.app.peers import requestor, web_answers
from broker.commitment.proof.worker import Callers, web_peer
from broker.database import Database
from broker.delivery.pace import Pacer
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.kept import KeptAssociations
from broker.dimse.requestor import EngineRequestor
from broker.environments.commitment import ProofBy
from broker.environments.model import Destination, Profile, World
from broker.journal import log
from broker.outbox.connection import Sender
from broker.pipeline import Flows
from broker.schedule import Metronome, Rounds
from broker.supervisor import Ports

STOP_SECONDS = 15.0
"""How long a stop waits for what is on its way: well below what `supervisor.STOP_SECONDS` grants us."""

_DELIVERY_BEAT = 0.1  # for what other nodes owe; our index calls the sender, the listeners ring
_WORD_BEAT = 0.25
_PROOF_BEAT = 0.5
_INDEX_BEAT = 0.1
_INDEX_REST = 0.05  # between two groups, however many associations end: each is a commit, for which receiving waits
_TAKE_OVER_SECONDS = 2.0  # of indexing before we are ready: some 8,000 small images
_SEGMENTS_BEAT = 5.0
_IMAGES_BEAT = 5.0
_CHORE_BEAT = 60.0
_HOUSE_BEAT = 3600.0

Chores = dict[str, tuple[float, Callable[[], object]]]
"""What is done by the clock: by name, every so many seconds."""


def run_deliveries(  # noqa: PLR0917 - what the parent has built, and what every part is given
    profile: Profile,
    callers: Mapping[str, EngineRequestor],
    peers: Mapping[str, StowPeer | None],
    tellers: Mapping[str, Sender],
    bells: Bells,
    _before: Ports,
    ready: Callable[[Ports], None],
    stop: threading.Event,
) -> None:
    """Be the process of all senders and chores."""
    flows, database, _ = build_flows(profile, clocks.from_environment())
    _take_over(flows, stop)
    _pace(profile, peers, stop)
    senders, peers = _all_senders(profile, flows, callers, peers, stop)
    rounds = _rounds(flows, senders, peers, bells, stop)
    chores = _word_chores(profile, flows, callers, tellers)
    chores |= _commitment_chores(profile, flows, _provers(profile, callers, peers), stop)
    chores |= _house_chores(profile, flows, database)
    metronome = Metronome(chores)
    rounds.start()
    metronome.start()
    log.info("deliveries.ready", destinations=len(profile.destinations))
    ready({})
    stop.wait()
    ended = end(metronome, rounds)
    for peer in filter(None, peers.values() if ended else ()):
        peer.close()
    database.close()


def _rounds(
    flows: Flows,
    senders: Sequence["_Sender"],
    peers: Mapping[str, StowPeer | None],
    bells: Bells,
    stop: threading.Event,
) -> Rounds:
    """Return what is called for: the index and who sends, by each other and by the process that receives."""
    chores: Chores = {
        one.name: (_DELIVERY_BEAT, partial(_deliver, flows, one, peers[one.destination.name], stop)) for one in senders
    }
    chores["index"] = (_INDEX_BEAT, lambda: flows.index_instances(partial(_call, rounds, senders), stop.is_set))
    rounds = Rounds(chores, {"index": _INDEX_REST})
    rounds.hear(bells.kept, ["index"])
    rounds.hear(bells.owed, [one.name for one in senders])
    return rounds


def _take_over(flows: Flows, stop: threading.Event) -> None:
    """Go on where the last process ended: what it held is free, what it had taken is owed.

    Of very much that is not indexed, the first part: the rest follows beside the sending, and no start waits for it.
    """
    flows.release_leases()
    deadline = time.monotonic() + _TAKE_OVER_SECONDS
    recovered = flows.index_instances(is_enough=lambda: stop.is_set() or time.monotonic() > deadline)
    if recovered:
        log.warning("spool.recovered", instances=recovered)


def _all_senders(
    profile: Profile,
    flows: Flows,
    callers: Mapping[str, EngineRequestor],
    peers: Mapping[str, StowPeer | None],
    stop: threading.Event,
) -> tuple[list["_Sender"], Mapping[str, StowPeer | None]]:
    """Return who sends, and by STOW-RS to whom: to every destination, and to the other world where it takes images."""
    senders = [each for one in profile.destinations for each in _senders(one, callers[one.name], stop)]
    other = flows.worlds.destination
    if other is None or other.name not in callers:
        return senders, peers
    return senders + _senders(other, callers[other.name], stop), {**peers, other.name: None}


def _call(rounds: Rounds, senders: Sequence["_Sender"], owed: Collection[str]) -> None:
    """Have those send at once to whose destinations something has just been owed."""
    rounds.call(one.name for one in senders if one.destination.name in owed)


def end(metronome: Metronome, rounds: Rounds, seconds: float = STOP_SECONDS) -> bool:
    """Begin nothing more and wait for what is on its way, for so long at most; tell whether all of it has ended.

    A peer that does not answer would hold us up for minutes, and who started us kills what does not end. What is cut
    off by the end of this process is sent again by the next.
    """
    metronome.end()
    rounds.end()
    deadline = time.monotonic() + seconds
    busy = [name for each in (rounds, metronome) for name in each.wait(deadline - time.monotonic())]
    if busy:
        log.warning("stop.cut", chores=busy, after_seconds=seconds)
    return not busy


def _word_chores(
    profile: Profile, flows: Flows, callers: Mapping[str, EngineRequestor], tellers: Mapping[str, Sender]
) -> Chores:
    """Return what is done by the clock to give word: to the RIS, and to other MPPS providers."""
    chores: Chores = {}
    for receiver in profile.receivers:
        chores[f"tell:{receiver.name}"] = (_WORD_BEAT, partial(flows.tell, receiver, tellers[receiver.name]))
    for each in profile.mpps.destinations:
        chores[f"pass-on:{each.name}"] = (_WORD_BEAT, partial(flows.pass_on, each, requestor(each)))
    other = flows.worlds.destination
    if other is not None and other.name in callers:
        chores[f"pass-on:{other.name}"] = (_WORD_BEAT, partial(flows.pass_on, other, callers[other.name]))
    return chores


def _house_chores(profile: Profile, flows: Flows, database: Database) -> Chores:
    """Return what is done by the clock in our own house."""
    chores: Chores = {
        "segments": (_SEGMENTS_BEAT, flows.keep_segments),
        "parked": (_CHORE_BEAT, flows.move_parked),
        "disk": (_CHORE_BEAT, flows.watch_disk),
        "stale-steps": (_CHORE_BEAT, flows.note_stale_steps),
        "images-available": (_IMAGES_BEAT, flows.note_available_images),
        "absent-destinations": (_CHORE_BEAT, flows.note_absent_destinations),
        "escalation": (_CHORE_BEAT, flows.escalate),
        "clock": (_CHORE_BEAT, flows.mind_clock),
        "ledger": (_IMAGES_BEAT, flows.keep_ledger),
        "late-exams": (_CHORE_BEAT, flows.count_late_exams),
        "silence": (_CHORE_BEAT, flows.note_silence),
        "house": (_HOUSE_BEAT, flows.keep_house),
    }
    if profile.kind is World.PRODUCTION:
        chores["promotions"] = (_IMAGES_BEAT, partial(_promote, profile, database))
    return chores


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


def _commitment_chores(profile: Profile, flows: Flows, callers: Mapping[str, Callers], stop: threading.Event) -> Chores:
    """Return what is done by the clock for proofs of destinations and for requests of devices."""
    chores: Chores = {
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

    name: str
    destination: Destination
    associations: KeptAssociations


def _senders(destination: Destination, caller: EngineRequestor, stop: threading.Event) -> list[_Sender]:
    """Return as many as the profile says; together they stay below the destination's bandwidth."""
    paced = caller.paced(Pacer(destination.bandwidth_kbit, stop.wait)) if destination.bandwidth_kbit else caller
    numbers = range(1, destination.associations + 1)
    return [_Sender(f"deliver:{destination.name}:{n}", destination, KeptAssociations(paced)) for n in numbers]


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
