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
    errno.ECONNRESET: "it closed the connection at once; perhaps an address filter, or TLS on one side only",
}
_OURS_REFUSED = "it does not take our certificate: check `certificate`, and that it trusts its issuer"
_NOT_TLS = "it does not speak TLS on this port, or closed the connection"
_TLS = {  # by the words of OpenSSL's reasons
    "CERTIFICATE_REQUIRED": "it wants a certificate of ours: give `certificate` and `key`",
    "UNKNOWN_CA": _OURS_REFUSED,
    "BAD_CERTIFICATE": _OURS_REFUSED,
    "CERTIFICATE_UNKNOWN": _OURS_REFUSED,
    "UNSUPPORTED_CERTIFICATE": _OURS_REFUSED,
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired: renew it",
    "CERTIFICATE_REVOKED": "it says that our certificate is revoked",
    "HANDSHAKE_FAILURE": "nothing in common: it wants a certificate of ours, or suites that are not safe any more",
    "NO_SHARED_CIPHER": "nothing in common: its suites are not safe any more",
    "PROTOCOL_VERSION": "it speaks no version of TLS from 1.2 on",
    "UNSUPPORTED_PROTOCOL": "it speaks no version of TLS from 1.2 on",
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "UNEXPECTED_EOF_WHILE_READING": _NOT_TLS,
}

_OTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


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
        return f"{where}: {of_tls(error)}"
    if isinstance(error, socket.gaierror):
        return f"{where}: the host name is not known"
    if isinstance(error, TimeoutError):
        return f"{where}: no answer: wrong address, a firewall, or the host is off"
    return f"{where}: {_SYSTEM.get(error.errno or 0, error.strerror or type(error).__name__)}"


def of_silence(error: Exception, peer: Peer, is_tls: bool) -> str:
    """Return what it means that no answer came to an A-ASSOCIATE-RQ."""
    hint = "" if is_tls else "; perhaps it is no DICOM port, or one that expects TLS"
    return f"{peer.host}:{peer.port} gave no DICOM answer to our association request: {error}{hint}"


def of_tls(error: ssl.SSLError) -> str:
    """Return what a failure of TLS means, with OpenSSL's reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed: {_of_certificate(error)} (CERTIFICATE_VERIFY_FAILED)"
    # With TLS 1.3 a peer that does not take our certificate hangs up when we believe that all is well.
    reason = error.reason or "closed without a reason: perhaps it does not take our certificate"
    words = next((text for word, text in _TLS.items() if reason.endswith(word)), "")
    return f"TLS failed: {words} ({reason})" if words else f"TLS failed: {reason}"


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_NAME:
        return f"{said}: correct the host, or have the name added to the certificate, or set checks_host = false"
    return f"its certificate is not trusted: {said}; check `trusted`, and its certificate's dates"
