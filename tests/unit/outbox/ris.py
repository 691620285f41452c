"""A RIS that listens for status messages and answers as a test tells it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from hl7.header import read_header
from hl7.mllp import Frame, Framer, frame

Answer = Callable[[bytes], bytes | None]
"""Takes a message, returns what is written back; None for nothing. Raises Hangup to close instead."""


class Hangup(Exception):
    """Close the connection without an answer."""


def control_id(message: bytes) -> str:
    header = read_header(message)
    assert header is not None
    return header.control_id


def says(code: str, error: bytes = b"", *, to: str = "") -> Answer:
    """An acknowledgement with this code, to this message's control ID or another."""

    def answer(message: bytes) -> bytes:
        msa = f"MSH|^~\\&|RIS|HOSP|BROKER||20260201||ACK|R1|T|2.3.1\rMSA|{code}|{to or control_id(message)}\r"
        return frame(msa.encode() + error)

    return answer


def nothing(_message: bytes) -> None:
    return None


def hangs_up(_message: bytes) -> None:
    raise Hangup


@dataclass
class Ris:
    """Answers by `script`, the rest by AA; keeps what it got, and how many connections it saw."""

    port: int
    script: list[Answer] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: list[socket.socket] = field(default_factory=list)

    @property
    def control_ids(self) -> list[str]:
        return [control_id(message) for message in self.got]

    def hang_up(self) -> None:
        """Close what is open, as a RIS does with an idle connection."""
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        framer = Framer()
        with (
            suppress(OSError, Hangup),
            connection if context is None else context.wrap_socket(connection, True) as talk,
        ):
            connection = talk
            while data := connection.recv(65536):
                for event in framer.feed(data):
                    if isinstance(event, Frame):
                        self._answer(connection, event.payload)

    def _answer(self, connection: socket.socket, message: bytes) -> None:
        self.got.append(message)
        answer = (self.script.pop(0) if self.script else says("AA"))(message)
        if answer is not None:
            connection.sendall(answer)


@contextmanager
def ris(*script: Answer, port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Ris]:
    """A RIS on a port of its own for the block, with a TLS context over TLS."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", port)) as listener:
        peer = Ris(listener.getsockname()[1], list(script))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    peer.connections += 1
                    peer.open.append(connection)
                    thread = threading.Thread(target=peer.serve, args=(connection, context))
                    threads.append(thread)
                    thread.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield peer
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            peer.hang_up()
            for thread in threads:
                thread.join(5)
