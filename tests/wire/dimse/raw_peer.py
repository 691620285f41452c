"""A peer that sends exactly the bytes it is told to, and reads whole PDUs. It has no upper layer of its own."""

import socket
import struct
import time
from types import TracebackType

from broker.dimse import message
from broker.dimse.items import UserInformation
from broker.dimse.pdu import HEADER, RELEASE_RP, RELEASE_RQ, Abort, AssociateRq, encode_abort, encode_associate_rq
from broker.dimse.service import ProposedContext

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

CONTEXTS = (
    ProposedContext(1, VERIFICATION, (IMPLICIT,)),
    ProposedContext(3, WORKLIST, (IMPLICIT,)),
    ProposedContext(5, ULTRASOUND, (IMPLICIT, EXPLICIT)),
)


def rq(contexts: tuple[ProposedContext, ...] = CONTEXTS, maximum_length: int = 16384, calling: str = "PEER") -> bytes:
    user = UserInformation(maximum_length, "1.2.3.4", "RAW")
    return encode_associate_rq(AssociateRq("BROKER", calling, contexts, user))


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return HEADER.pack(kind, len(body) if length is None else length) + body


def pdv(context_id: int, control: int, content: bytes) -> bytes:
    return struct.pack(">IBB", len(content) + 2, context_id, control) + content


def data(context_id: int, control: int, content: bytes) -> bytes:
    return pdu(4, pdv(context_id, control, content))


def echo(message_id: int = 1) -> bytes:
    return data(1, 3, message.echo_request(message_id, VERIFICATION))


RELEASE_REQUEST, RELEASE_RESPONSE = RELEASE_RQ, RELEASE_RP
ABORT = encode_abort(Abort(0, 0))


class RawPeer:
    """One connection, ours to script; every read has a deadline."""

    def __init__(self, sock: socket.socket, seconds: float = 5.0) -> None:
        self.socket = sock
        self._seconds = seconds

    @classmethod
    def connect(cls, port: int, seconds: float = 5.0) -> "RawPeer":
        return cls(socket.create_connection(("127.0.0.1", port), 5), seconds)

    @classmethod
    def associated(cls, port: int, maximum_length: int = 16384) -> "RawPeer":
        peer = cls.connect(port)
        peer.send(rq(maximum_length=maximum_length))
        kind, _ = peer.read()
        assert kind == 2
        return peer

    def __enter__(self) -> "RawPeer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def read(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; (0, b"") when the connection has closed."""
        deadline = time.monotonic() + self._seconds
        header = self._exactly(6, deadline)
        if len(header) < 6:
            return 0, b""
        kind, length = HEADER.unpack(header)
        return kind, self._exactly(length, deadline)

    def response(self) -> message.Command:
        """Return the command of the next P-DATA-TF, which has to hold it whole."""
        kind, body = self.read()
        assert kind == 4, f"PDU type {kind}, not P-DATA-TF"
        return message.decode(body[6:])

    def is_closed(self) -> bool:
        """Tell whether the connection closes within the deadline, whatever is still sent before."""
        try:
            return self.read() == (0, b"")
        except TimeoutError:
            return False

    def _exactly(self, count: int, deadline: float) -> bytes:
        content = b""
        while len(content) < count:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                received = self.socket.recv(count - len(content))
            except ConnectionError:
                return content
            if not received:
                return content
            content += received
        return content
