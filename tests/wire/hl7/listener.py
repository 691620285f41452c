"""A listener that acknowledges what it reads, for tests; keeps what it was told and what it took."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, sleep

from hl7.header import read_header
from hl7.message import Message
from hl7.mllp import Frame, Framer
from hl7.reply import acknowledge
from hl7.server import Limits, MllpServer, PeerAddress, TlsContexts

WAIT = 10.0
ORDER = (
    "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ORM^O01|{}|P|2.3.1||||||UNICODE UTF-8\r"
    "PID|||4711^^^HOSP||Müßig^Eva||19800229|F\rORC|NW|P{}|F1\rOBR|1|P{}|F1|USABD\r"
)
Handle = Callable[[bytes, PeerAddress], bytes | None]


def order(control_id: str) -> bytes:
    return ORDER.format(control_id, control_id, control_id).encode()


@dataclass
class Listening:
    """A listener under test."""

    server: MllpServer
    port: int = 0
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT)

    def why(self, name: str = "mllp.closed") -> list[object]:
        return [facts["why"] for told, facts in list(self.events) if told == name]

    def count(self, name: str) -> int:
        return sum(told == name for told, _ in list(self.events))

    def await_that(self, what: Callable[[], bool]) -> None:
        until = monotonic() + WAIT
        while not what():
            assert monotonic() < until, self.events[-5:]
            sleep(0.005)


@contextmanager
def listening(
    limits: Limits | None = None,
    *,
    tls: TlsContexts | None = None,
    admits: Callable[[str], bool] = lambda _: True,
    handle: Handle | None = None,
) -> Iterator[Listening]:
    """Run a listener that answers AA in the sender's layout, or as `handle` does."""
    events: list[tuple[str, dict[str, object]]] = []
    taken: list[bytes] = []
    lock = threading.Lock()

    def accept(payload: bytes, _: PeerAddress) -> bytes | None:
        header = read_header(payload)
        assert header is not None
        Message.read(payload)
        with lock:
            taken.append(payload)
            number = len(taken)
        return acknowledge(header, "AA", datetime.now(UTC), f"B{number}")

    server = MllpServer(
        "127.0.0.1",
        0,
        handle or accept,
        limits or Limits(),
        lambda name, facts: events.append((name, facts)),
        tls=tls,
        admits=admits,
    )
    listener = Listening(server, server.start(), events, taken)
    try:
        yield listener
    finally:
        server.stop(WAIT)


def answers(connection: socket.socket | ssl.SSLSocket, count: int) -> list[bytes]:
    framer = Framer()
    found: list[bytes] = []
    while len(found) < count and (data := connection.recv(65_536)):
        found += [event.payload for event in framer.feed(data) if isinstance(event, Frame)]
    return found


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(WAIT)
    try:
        return connection.recv(65_536) == b""
    except OSError as error:
        return not isinstance(error, TimeoutError)
