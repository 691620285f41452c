"""How much a peer may cost us: seconds, bytes and sockets. Values only; who keeps to them is in the other modules."""

from dataclasses import dataclass

# P-DATA headers count into the maximum length only in part of the field's products: six bytes of grace.
GRACE = 6
# No PDU other than P-DATA has reason to be longer: 128 contexts with 45 syntaxes each stay below.
LARGEST_NEGOTIATION = 128 * 1024


NORMALIZED_BYTES = 4 * 1024 * 1024
"""Of one data set of a DIMSE-N message: it names some 38,000 images, by UIDs of 60 characters."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one listener or requestor. Times in seconds, sizes in bytes, rates in bytes per second.

    Times count only while we wait for the peer, so a slow disk of ours is never held against it, and every byte
    received draws on the same allowance, so that a dripping peer gains nothing.
    """

    first_byte: float = 5.0  # from the connection to its first byte
    associate: float = 15.0  # from the first byte to a whole A-ASSOCIATE-RQ, a TLS handshake included
    pdu: float = 10.0  # for a PDU that has begun, besides what `rate` grants its length
    message: float = 30.0  # for the gaps within one message, besides what `rate` grants its length
    rate: int = 64_000
    idle: float = 300.0  # between two messages
    artim: float = 10.0  # for the peer to close after A-ASSOCIATE-RJ, A-RELEASE-RP, A-ABORT (PS3.8 9.1.5)
    send: float = 30.0  # for the peer to take what we send, besides what `rate` grants its length
    answer: float = 30.0  # for the peer's answer to our A-ASSOCIATE-RQ: it may have to find a place for us
    response: float = 60.0  # for the peer's answer to our request
    connect: float = 10.0  # for the TCP connection that we open
    congestion: float = 60.0  # for a free place, before A-ASSOCIATE-RJ "temporary congestion"

    maximum_length: int = 128 * 1024  # of the P-DATA that we take (PS3.8 D.1)
    command: int = 64 * 1024  # of one command set
    identifier: int = 1024 * 1024  # of one identifier
    normalized: int = NORMALIZED_BYTES  # of one data set of a DIMSE-N message
    instance: int = 4 * 1024**3  # of one stored data set

    # Connections, each a descriptor. A burst from one console or gateway is honest: the caps are for hundreds.
    silent: int = 256  # that have sent nothing
    silent_per_address: int = 192
    negotiating: int = 256  # that have spoken, but are not yet associations
    negotiating_per_address: int = 224
    waiting: int = 256  # whole requests that wait for a free place; beyond, we stop accepting connections
    established: int = 256
