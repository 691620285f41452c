"""The sending side of MLLP: one connection, one answer to each message. Judges no answer."""

import socket
from collections.abc import Iterable, Iterator
from time import monotonic

from hl7.mllp import Frame, Framer, frame

_CHUNK = 65_536


def send(host: str, port: int, payloads: Iterable[bytes], timeout: float) -> Iterator[bytes]:
    """Send each payload over one connection, and yield the answer to it before the next is sent.

    `timeout` is in seconds, for connecting and for each exchange as a whole. Raises TimeoutError when no answer
    comes, ConnectionError when the peer closes instead, other OSError when it cannot be reached, TooLong for an
    endless answer. The connection ends with the iterator, so that a late answer is never taken for the next one.
    """
    with socket.create_connection((host, port), timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        framer = Framer()
        for payload in payloads:
            until = monotonic() + timeout
            connection.settimeout(timeout)
            connection.sendall(frame(payload))
            yield _answer(connection, framer, until)


def _answer(connection: socket.socket, framer: Framer, until: float) -> bytes:
    while True:
        left = until - monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        connection.settimeout(left)
        data = connection.recv(_CHUNK)
        if not data:
            raise ConnectionError("the peer closed without an answer")
        answers = [event.payload for event in framer.feed(data) if isinstance(event, Frame)]
        if answers:
            return answers[0]
