"""The sending side of MLLP: one connection, one answer to each message. Judges no answer."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from types import TracebackType
from typing import Self

from hl7.mllp import Frame, Framer, frame

_CHUNK = 65_536
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)

Tls = ssl.SSLContext | Callable[[], ssl.SSLContext]


class Sender:
    """Sends messages over one connection, which is opened when it is needed and kept from one to the next.

    `timeout` is in seconds, for connecting (with the TLS handshake) and for each exchange as a whole. `tls` is a
    client's context, or gives one for each connection. For one thread at a time.
    """

    def __init__(self, host: str, port: int, timeout: float, tls: Tls | None = None) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._tls = tls
        self._connection: socket.socket | None = None
        self._framer = Framer()

    def exchange(self, payload: bytes) -> bytes:
        """Send a message and return what is answered to it.

        Raises TimeoutError when no answer comes, ConnectionError when the peer closes instead, other OSError (ssl's
        among them) when it cannot be reached, TooLong for an endless answer. The connection ends with any of these, so
        that a late answer is never taken for the next one; that the answer names the message (MSA-2) is the caller's
        to check, who closes when it does not.
        """
        try:
            connection = self._connected()
            until = monotonic() + self._timeout
            _write(connection, frame(payload), until)
            return self._answer(connection, until)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, if there is one. The next exchange opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _connected(self) -> socket.socket:
        if self._connection is not None and _is_stale(self._connection):
            self.close()
        if self._connection is None:
            self._framer = Framer()
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> socket.socket:
        until = monotonic() + self._timeout
        connection = socket.create_connection(self._address, self._timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._tls is None:
                return connection
            context = self._tls() if callable(self._tls) else self._tls
            connection.settimeout(_left(until))
            return context.wrap_socket(connection, server_hostname=self._address[0])
        except BaseException:
            connection.close()
            raise

    def _answer(self, connection: socket.socket, until: float) -> bytes:
        while True:
            connection.settimeout(_left(until))
            data = connection.recv(_CHUNK)
            if not data:
                raise ConnectionError("the peer closed without an answer")
            answers = [event.payload for event in self._framer.feed(data) if isinstance(event, Frame)]
            if len(answers) > 1 or (answers and self._framer.in_frame):
                self.close()  # what follows must not be taken for the next message's answer
            if answers:
                return answers[0]


def send(host: str, port: int, payloads: Iterable[bytes], timeout: float) -> Iterator[bytes]:
    """Send each payload over one connection, and yield the answer to it before the next is sent.

    Timeout and errors as those of `Sender`. The connection ends with the iterator.
    """
    with Sender(host, port, timeout) as sender:
        for payload in payloads:
            yield sender.exchange(payload)


def _write(connection: socket.socket, data: bytes, until: float) -> None:
    rest = memoryview(data)
    while rest:
        connection.settimeout(_left(until))
        rest = rest[connection.send(rest) :]


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _is_stale(connection: socket.socket) -> bool:
    """Tell whether the peer has closed meanwhile, or has said something that nobody asked for."""
    connection.settimeout(0)
    try:
        connection.recv(1)
    except _NOTHING_YET:
        return False
    except OSError:
        return True
    return True
