"""What asks a target whether it is ready, built of the running product's own callers. Decides nothing."""

from broker.app import requestor, stow_peer
from broker.delivery.senders.stow_query import probe
from broker.environments.model import Destination
from broker.errors import Unavailable
from broker.promotion.probing import Network


def network() -> Network:
    """Return what asks destinations, ports, disk and certificates, each thing once."""
    return Network(requestor, _answers)


def _answers(destination: Destination) -> str:
    peer = stow_peer(destination)
    if peer is None:
        raise Unavailable(f"{destination.name} is not reached by STOW-RS")
    try:
        return probe(peer)
    finally:
        peer.close()
