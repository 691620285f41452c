"""Conversations that bring the product into a state of PS3.8 table 9-10, and what its machines then take."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.limits import Limits
from broker.dimse.pdu import AnsweredContext, AssociateAc, encode_associate_ac
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AssociationRequest, Peer, Rejection
from broker.dimse.state import State
from broker.errors import Unavailable
from tests.wire.dimse import raw_peer
from tests.wire.dimse.provider import Keeping
from tests.wire.dimse.raw_peer import RawPeer

# Short where a deadline has to end the case; nothing here depends on who is faster.
LIMITS = Limits(associate=0.4, pdu=0.4, idle=10.0, artim=0.4, send=2.0, answer=0.4, response=0.6, connect=3.0)
PATIENT = Limits(associate=5.0, pdu=5.0, idle=10.0, artim=5.0, send=5.0, answer=5.0, response=5.0)
ACCEPT = encode_associate_ac(AssociateAc("A", "B", (AnsweredContext(1, 0, raw_peer.IMPLICIT),)))
_WANTED = [(raw_peer.VERIFICATION, raw_peer.IMPLICIT)]
_SECONDS = 5.0


@dataclass
class Gated(Keeping):
    """A provider that decides about an association when it is told to: Sta3 lasts as long as a test wants."""

    asked: threading.Event = field(default_factory=threading.Event)
    decide: threading.Event = field(default_factory=threading.Event)

    def admit(self, request: AssociationRequest) -> Rejection | None:
        self.asked.set()
        assert self.decide.wait(_SECONDS), "nobody let the services decide"
        return super().admit(request)


@dataclass
class Stage:
    """The product in some state once `before` has been sent; what follows it has to leave with it, in one segment."""

    peer: RawPeer
    before: bytes = b""
    go_on: Callable[[], None] = lambda: None  # once everything has been sent

    def send(self, *parts: bytes) -> None:
        """Send what follows."""
        self.peer.send(self.before, *parts)
        self.go_on()

    def close(self, *parts: bytes) -> None:
        """Send what follows and close our side: the last segment says both."""
        content = b"".join((self.before, *parts))
        if content:
            self.peer.socket.send(content, socket.MSG_MORE)
        self.peer.socket.shutdown(socket.SHUT_WR)
        self.go_on()


@contextmanager
def served(limits: Limits = LIMITS, provider: Keeping | None = None) -> Iterator[tuple[Server, int]]:
    """Run our acceptor."""
    server = Server("127.0.0.1", 0, provider or Keeping(), SystemClock(), limits=limits)
    port = server.start()
    try:
        yield server, port
    finally:
        server.stop(0.5)


def call(port: int, limits: Limits = LIMITS, echoes: int = 0) -> None:
    """Let our requestor call, send C-ECHO so often, and release. Raises Unavailable."""
    peer = Peer("127.0.0.1", port, "CALLED", "CALLING")
    with EngineRequestor(limits).associate(peer, _WANTED) as association:
        for _ in range(echoes):
            association.echo()


@contextmanager
def calling(
    limits: Limits = LIMITS, echoes: int = 0, listening: socket.socket | None = None
) -> Iterator[Callable[[], RawPeer]]:
    """Let our requestor call from a thread; gives a function that accepts its connection."""

    def run() -> None:
        with suppress(Unavailable):
            call(accepting.getsockname()[1], limits, echoes)

    with ExitStack() as stack:
        accepting = listening or stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        accepting.settimeout(_SECONDS)
        thread = threading.Thread(target=run)
        thread.start()
        stack.callback(_join, thread)
        with ExitStack() as peers:  # closed first: nobody waits for them then
            yield lambda: peers.enter_context(RawPeer(accepting.accept()[0]))


def _join(thread: threading.Thread) -> None:
    thread.join(_SECONDS)
    assert not thread.is_alive()


def read(peer: RawPeer, *kinds: int) -> None:
    """Read PDUs of these types, in order."""
    for kind in kinds:
        found, _ = peer.read()
        assert found == kind, f"PDU type {found}, not {kind}"


@contextmanager
def _sta2() -> Iterator[Stage]:
    with served() as (_, port), RawPeer.connect(port) as peer:
        yield Stage(peer)


@contextmanager
def _sta3() -> Iterator[Stage]:
    provider = Gated()
    with served(provider=provider) as (_, port), RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq())
        assert provider.asked.wait(_SECONDS)
        try:
            yield Stage(peer, go_on=provider.decide.set)
        finally:
            provider.decide.set()


@contextmanager
def _sta5() -> Iterator[Stage]:
    with calling() as accepted:
        peer = accepted()
        read(peer, 1)
        yield Stage(peer)


@contextmanager
def _sta6() -> Iterator[Stage]:
    with served() as (_, port), RawPeer.associated(port) as peer:
        yield Stage(peer)


@contextmanager
def _sta7() -> Iterator[Stage]:
    with calling() as accepted:
        peer = accepted()
        read(peer, 1)
        peer.send(ACCEPT)
        read(peer, 5)
        yield Stage(peer)


@contextmanager
def _sta8() -> Iterator[Stage]:
    with _sta6() as stage:
        yield Stage(stage.peer, raw_peer.RELEASE_REQUEST)


@contextmanager
def _sta9() -> Iterator[Stage]:
    with _sta7() as stage:
        yield Stage(stage.peer, raw_peer.RELEASE_REQUEST)


@contextmanager
def _sta10() -> Iterator[Stage]:
    with releasing() as peer:
        yield Stage(peer, raw_peer.RELEASE_REQUEST)


@contextmanager
def _sta11() -> Iterator[Stage]:
    with _sta7() as stage:
        stage.send(raw_peer.RELEASE_REQUEST)
        read(stage.peer, 6)
        yield stage


@contextmanager
def _sta12() -> Iterator[Stage]:
    with releasing() as peer:
        yield Stage(peer, raw_peer.RELEASE_REQUEST + raw_peer.RELEASE_RESPONSE)


@contextmanager
def _sta13() -> Iterator[Stage]:
    with _sta6() as stage:
        stage.send(raw_peer.RELEASE_REQUEST)
        read(stage.peer, 6)
        yield stage


@contextmanager
def releasing() -> Iterator[RawPeer]:
    """Stop our acceptor while an association is idle: it asks to release."""
    with served() as (server, port), RawPeer.associated(port) as peer:
        stopping = threading.Thread(target=server.stop, args=(_SECONDS,))
        stopping.start()
        try:
            read(peer, 5)
            yield peer
        finally:
            peer.socket.close()  # or ARTIM would have to end it
            _join(stopping)


STAGES = {
    State.STA2: _sta2,
    State.STA3: _sta3,
    State.STA5: _sta5,
    State.STA6: _sta6,
    State.STA7: _sta7,
    State.STA8: _sta8,
    State.STA9: _sta9,
    State.STA10: _sta10,
    State.STA11: _sta11,
    State.STA12: _sta12,
    State.STA13: _sta13,
}
