"""The connection to a receiver, as its profile says. Opens none yet, and judges no answer."""

from typing import Protocol

from broker.dimse import tls
from broker.dimse.tls import Certificates
from broker.environments.model import Receiver
from hl7 import client


class Sender(Protocol):
    """What sends a payload and returns the answer to it, over a connection that it opens and keeps."""

    def exchange(self, payload: bytes) -> bytes:
        """Return the answer. Raises OSError where there is none, Hl7Error for an endless one."""
        ...

    def close(self) -> None:
        """End the connection; the next exchange opens another."""
        ...


def sender(receiver: Receiver) -> Sender:
    """Return what sends to a receiver, for one thread at a time. Raises Misconfigured for unusable certificates.

    Certificates that are replaced on disk take effect with the next connection.
    """
    return client.Sender(receiver.host, receiver.port, float(receiver.timeout_seconds), _contexts(receiver))


def _contexts(receiver: Receiver) -> tls.Contexts | None:
    asked = receiver.tls
    if asked is None:
        return None
    return tls.client(Certificates(asked.certificate, asked.key, asked.trusted), asked.checks_host)
