"""Why an association did not come about, in words for a person (PS3.8 tables 9-21 and 9-18). Decides nothing."""

import errno
import socket
import ssl

from broker.dimse.service import Peer, Rejection

_REASONS = {
    (1, 1): "it refuses without saying why; usually our address or title is not registered there",
    (1, 2): "it does not support the DICOM application context",
    (1, 3): "it does not know our title {calling}; register it there, in this spelling",
    (1, 7): "it does not answer to the title {called}; correct the called title",
    (2, 1): "its upper layer refuses without saying why",
    (2, 2): "it does not support this protocol version; perhaps the port is a TLS port, or not a DICOM one",
    (3, 1): "it is congested for now",
    (3, 2): "it has as many associations as it takes",
}
_SYSTEM = {
    errno.ECONNREFUSED: "the host is up, but nothing listens on this port",
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.ENETUNREACH: "there is no route to its network",
    errno.ECONNRESET: "it closed the connection at once; perhaps an address filter, or TLS is expected",
}


def of_rejection(rejection: Rejection, peer: Peer) -> str:
    """Return what an A-ASSOCIATE-RJ means for whoever has to act."""
    key = (rejection.source, rejection.reason)
    reason = _REASONS.get(key, f"reserved reason (source {key[0]}, reason {key[1]})")
    kind = "for now" if rejection.result == 2 else "permanently"
    said = reason.format(calling=peer.calling_ae_title, called=peer.called_ae_title)
    return f"{peer.called_ae_title} refused the association {kind}: {said}"


def of_connection(error: OSError, peer: Peer) -> str:
    """Return what a failure to connect means."""
    where = f"{peer.host}:{peer.port}"
    if isinstance(error, ssl.SSLError):
        return f"{where}: TLS failed: {error.reason or 'no reason given'}"
    if isinstance(error, socket.gaierror):
        return f"{where}: the host name is not known"
    if isinstance(error, TimeoutError):
        return f"{where}: no answer: wrong address, a firewall, or the host is off"
    return f"{where}: {_SYSTEM.get(error.errno or 0, error.strerror or type(error).__name__)}"
