"""What is done by the clock for proofs: asks each destination in its way, and tells who waits for too long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from broker.commitment.proof import asking, finding, searching, state, store
from broker.commitment.proof.outcome import UNPROVEN, Asked, Desk, let_go
from broker.database import Transaction
from broker.delivery.jumps import LONGEST_WAIT
from broker.delivery.senders import stow_query
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.requestor import EngineRequestor
from broker.environments.commitment import ProofBy
from broker.environments.model import Destination, Protocol
from broker.spool.model import SpooledInstance

_HELD = 200  # instances looked at in one transaction


@dataclass(frozen=True, slots=True)
class Callers:
    """How one destination is reached: by DIMSE, and where it is asked by QIDO-RS, over the web."""

    dimse: EngineRequestor
    web: StowPeer | None = None


_Way = Callable[[Asked, Callers], int]


def web_peer(destination: Destination) -> StowPeer:
    """Return what asks a destination by QIDO-RS at the URL of its proof, else its own. Raises Misconfigured."""
    url = destination.proof.url or destination.url
    certificates = destination.tls if url.startswith("https://") else None
    return StowPeer(replace(destination, protocol=Protocol.STOW, url=url, tls=certificates))


def prove(asked: Asked, callers: Callers) -> int:
    """Ask one destination for what is due; return how many instances that were."""
    return _WAYS[asked.destination.proof.by](asked, callers)


def _commitment(asked: Asked, callers: Callers) -> int:
    return asking.ask(asked, callers.dimse)


def _find(asked: Asked, callers: Callers) -> int:
    return searching.search(asked, partial(finding.found, callers.dimse, asked.peer))


def _qido(asked: Asked, callers: Callers) -> int:
    return searching.search(asked, partial(_listed, callers.web or web_peer(asked.destination)))


def _listed(peer: StowPeer, wanted: Sequence[SpooledInstance]) -> set[str]:
    return {
        each.facts.sop_instance_uid
        for each in wanted
        if stow_query.lists(peer, each.study_instance_uid, each.facts.sop_instance_uid)
    }


def _nothing(asked: Asked, callers: Callers) -> int:
    return 0


_WAYS: dict[ProofBy, _Way] = {
    ProofBy.AUTO: _commitment,
    ProofBy.COMMITMENT: _commitment,
    ProofBy.FIND: _find,
    ProofBy.QIDO: _qido,
    ProofBy.NONE: _nothing,
}


def put_forward(tx: Transaction, destination: Destination, now: datetime) -> int:
    """Have what waits for longer than we ever wait asked for at once; return how many proofs that were."""
    store.ask_at_once(tx, destination.name, now + state.LONGEST_PAUSE, now)
    longest = max(LONGEST_WAIT, timedelta(minutes=destination.proof.minutes))
    return store.put_forward(tx, destination.name, now + longest, now)


def forget_held(desk: Desk) -> int:
    """Let everything go whose time has come; return how much. What is left over by a changed profile goes here too."""
    count, after = 0, ""
    received_by = desk.clock.now() - timedelta(hours=desk.keeping.spool_hours)
    while True:
        with desk.database.read() as tx:
            ids = store.held(tx, after, received_by, _HELD)
            now = desk.clock.now()
            may = [each for each in ids if store.may_forget(tx, each, desk.keeping.spool_hours, now)]
        count += let_go(desk, may)
        if len(ids) < _HELD:
            return count
        after = ids[-1]


def waive_unwanted(desk: Desk) -> None:
    """Ask no more of destinations of which the profile wants no proof any more. Others that it lacks wait."""
    with desk.database.read() as tx:
        wanted = {name for name, _ in store.open_counts(tx)}
    unwanted = wanted & desk.keeping.known - desk.keeping.proofs.keys()
    if not unwanted:
        return
    now = desk.clock.now()
    with desk.database.write("proof") as tx:
        for name in unwanted:
            store.waive(tx, name, (), "the profile asks this destination for no proof", now)


def tell_unproven(desk: Desk, hours: int) -> None:
    """Say of each destination that something was delivered to it long ago, and is not proven."""
    if not hours:
        return
    now = desk.clock.now()
    with desk.database.read() as tx:
        late = store.oldest_open(tx, now - timedelta(hours=hours))
    if not late:
        return
    with desk.database.write("proof") as tx:
        for name, (count, oldest) in late.items():
            text = (
                f"{count} delivered over {hours} h ago and not proven, the oldest at {oldest:%Y-%m-%d %H:%M} UTC;"
                f" the spool keeps them: see `broker commitment list`"
            )
            desk.on_event(tx, UNPROVEN, name, text)
