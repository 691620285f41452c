"""What calls destinations, and what each TLS listener shows and trusts."""

from dataclasses import dataclass

from broker.delivery.senders.stow_peer import StowPeer
from broker.delivery.senders.stow_query import probe
from broker.dimse import tls
from broker.dimse.requestor import EngineRequestor
from broker.dimse.tls import Certificates
from broker.environments.model import ClientCertificates, Destination, ListenerTls, Profile
from broker.environments.model import Protocol as DestinationProtocol
from broker.errors import Unavailable


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


def web_answers(destination: Destination) -> str:
    """Return what a STOW-RS destination says when it is asked for nothing. Raises Unavailable, Misconfigured."""
    peer = stow_peer(destination)
    if peer is None:
        raise Unavailable(f"{destination.name} is not reached by STOW-RS")
    try:
        return probe(peer)
    finally:
        peer.close()


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
