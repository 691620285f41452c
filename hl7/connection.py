"""One accepted MLLP connection, from its first byte to its last: reads, has handled, answers. Accepts nothing."""

import contextlib
import select
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from hl7.errors import CloseConnection
from hl7.mllp import DEFAULT_MAXIMUM, Discarded, Event, Frame, Framer, TooLong, frame

_CHUNK = 65_536
_FAREWELL = 0.5  # seconds in which what the peer still sends is read, so that closing does not destroy our last answer
_TLS_HANDSHAKE = b"\x16\x03"  # how every TLS connection begins (RFC 8446 5.1), and no HL7


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a connection comes from."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may take. Durations in seconds, sizes in bytes."""

    maximum_frame: int = DEFAULT_MAXIMUM
    idle_in_frame: float = 30.0  # without a byte inside a frame
    frame: float = 60.0  # from start block to end block, however it drips
    idle_between_frames: float = 12 * 3600.0  # hospital systems keep one connection for days
    write: float = 30.0  # for one answer to be taken
    handshake: float = 10.0  # of TLS as a whole
    connections: int = 512  # more wait to be accepted
    per_address: int = 0  # of these for one address, more are closed at once; 0 is no such limit
    # When all places are taken, one that never sent a whole message may be closed in favour of a newcomer:
    patience: float = 1.0  # after so long without a byte
    patience_in_frame: float = 10.0  # after so long since it was opened, if it does send bytes


TlsContexts = Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connection needs to be secured: contexts, and a socket that becomes readable when reading is to end."""

    contexts: TlsContexts
    stopped: socket.socket


Handler = Callable[[bytes, PeerAddress], bytes | None]
OnEvent = Callable[[str, dict[str, object]], None]


class _Closing(Exception):
    """The connection is to be closed; the text says why."""


class Connection:
    """Serves one socket until the peer leaves, breaks a limit, or `finish` is called.

    With `tls`, its context for a listener is asked for and the handshake made on the connection's own thread.
    """

    def __init__(
        self, sock: socket.socket, handle: Handler, limits: Limits, on_event: OnEvent, tls: "Tls | None" = None
    ) -> None:
        host, port = sock.getpeername()[:2]
        self.peer = PeerAddress(host, port)
        self.handled = 0
        """Whole messages so far."""
        self._socket = sock
        self._handle = handle
        self._limits = limits
        self._on_event = on_event
        self._tls = tls
        self._framer = Framer(limits.maximum_frame)
        self._frame_began: float | None = None
        self._opened = self._heard = monotonic()
        self._received = 0
        self._finishing = threading.Event()
        self._abandoned = threading.Event()
        self._why_abandoned = "stopped"

    def run(self) -> None:
        """Serve to the end. Closes the socket; raises nothing that a peer or a handler can cause."""
        why = ""
        try:
            self._tell("mllp.opened")
            self._prepare()
            while True:
                self._step()
        except (_Closing, CloseConnection) as reason:
            why = str(reason) or type(reason).__name__
        except Exception as failure:  # noqa: BLE001 - the outermost loop of this thread: others must go on serving
            why = "the handler failed"
            self._tell("mllp.handler_failed", error=type(failure).__name__, place=_place(failure))
        finally:
            self._part()
            self._tell(
                "mllp.closed", why=self._why_abandoned if self._abandoned.is_set() else why, messages=self.handled
            )

    def idle(self, now: float) -> float:
        """Return for how many seconds this has kept its place for nothing: 0 where it may not be taken from it."""
        if self.handled or self.is_leaving:
            return 0.0
        silent, opened = now - self._heard, now - self._opened
        if silent >= self._limits.patience:
            return silent
        return silent if opened >= self._limits.patience_in_frame else 0.0

    def finish(self) -> None:
        """Take no further bytes: what has been received whole is still handled and answered."""
        self._finishing.set()
        if self._tls is None:
            # Under TLS this would look like a cut, which the peer would be told: `Tls.stopped` ends the reading there.
            self._shut(socket.SHUT_RD)

    def abandon(self, why: str = "stopped") -> None:
        """Handle no further message and write no further answer."""
        self._why_abandoned = why
        self._abandoned.set()
        self._shut(socket.SHUT_RDWR)

    @property
    def is_leaving(self) -> bool:
        """Whether this has been abandoned and is about to end."""
        return self._abandoned.is_set()

    def _shut(self, how: int) -> None:
        # Of the TCP connection below: SSLSocket.shutdown() would end the encryption under the reading thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, how)

    def _prepare(self) -> None:
        with _on_the_wire("timed out"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
                if hasattr(socket, name):
                    self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if self._tls is not None:
            self._shake_hands(self._tls.contexts())

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        with _on_the_wire("the TLS handshake took too long"):
            self._socket.settimeout(self._limits.handshake)
            secured = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            self._socket = secured
            if self._finishing.is_set() or self._abandoned.is_set():
                raise _Closing("stopped")  # what was shut has been replaced meanwhile
            try:
                secured.do_handshake()
            except ssl.SSLError as error:
                raise _Closing(f"no TLS: {error.reason or type(error).__name__}") from error
        self._tell("mllp.secured", version=secured.version())

    def _step(self) -> None:
        """Read once and answer every message that this completes."""
        data = self._receive()
        if not data:
            self._report(self._framer.end())
            raise _Closing("stopped" if self._finishing.is_set() else "the peer closed")
        self._mind_peer(data)
        try:
            events = self._framer.feed(data)
        except TooLong as error:
            self._work_off(error.events)
            raise _Closing(str(error)) from error
        self._work_off(events)
        self._mind_clock(completed=any(isinstance(event, Frame) for event in events))

    def _mind_peer(self, data: bytes) -> None:
        if not self._received and self._tls is None and data.startswith(_TLS_HANDSHAKE):
            # It would wait for our part of the handshake for as long as we allow silence.
            raise _Closing("TLS on the port without TLS")
        self._received += len(data)
        self._heard = monotonic()

    def _receive(self) -> bytes:
        allowed, why = self._allowance()
        if allowed <= 0:
            raise _Closing(why)
        with _on_the_wire(why):
            self._socket.settimeout(allowed)
            if self._tls is not None and self._is_stopped_first(self._tls.stopped, allowed):
                return b""
            data = self._socket.recv(_CHUNK)
            # A sender that waits for our TCP acknowledgement before its next piece (Nagle) must not wait 40 ms for it.
            if hasattr(socket, "TCP_QUICKACK"):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def _is_stopped_first(self, stopped: socket.socket, allowed: float) -> bool:
        """Wait for bytes; tell whether there are none and reading is to end."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(stopped, select.POLLIN)
        ready = dict(poll.poll(allowed * 1000))
        if not ready:
            raise TimeoutError
        return self._socket.fileno() not in ready

    def _allowance(self) -> tuple[float, str]:
        """Return how long to wait for the next bytes, and what it means when none come."""
        if self._frame_began is None:
            return self._limits.idle_between_frames, "idle between frames"
        left = self._frame_began + self._limits.frame - monotonic()
        if left < self._limits.idle_in_frame:
            return left, "a frame took too long"
        return self._limits.idle_in_frame, "idle inside a frame"

    def _mind_clock(self, completed: bool) -> None:
        """Start the frame's clock at its start block; neither dripping nor beginning anew may set it back."""
        if not self._framer.in_frame:
            self._frame_began = None
        elif completed or self._frame_began is None:
            self._frame_began = monotonic()

    def _work_off(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Frame):
                self._answer(event.payload)
            else:
                self._report([event])

    def _answer(self, payload: bytes) -> None:
        if self._abandoned.is_set():
            raise _Closing("stopped")
        self.handled += 1  # before it is handled: from here on, its place is not taken from it
        answer = self._handle(payload, self.peer)
        if answer is not None:
            # Written whole before the next message is handled, so that answers keep their order.
            with _on_the_wire("the peer takes no answer"):
                self._tell("mllp.answering")
                self._socket.settimeout(self._limits.write)
                self._socket.sendall(frame(answer))
                self._tell("mllp.answered")

    def _report(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Discarded):
                self._tell("mllp.discarded", count=event.count, why=event.reason)

    def _tell(self, name: str, **facts: object) -> None:
        self._on_event(name, {"address": self.peer.host, "port": self.peer.port, **facts})

    def _part(self) -> None:
        until = monotonic() + _FAREWELL
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket) and not self._abandoned.is_set():
                # Says that nothing is missing (RFC 8446 6.1); does not wait long for the peer to say so too.
                self._socket.settimeout(_FAREWELL / 2)
                self._socket = self._socket.unwrap()
        with contextlib.suppress(OSError, ValueError):
            self._shut(socket.SHUT_WR)
            while (left := until - monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(_CHUNK):
                    break
        self._socket.close()


@contextlib.contextmanager
def _on_the_wire(when_late: str) -> Iterator[None]:
    """Tell the socket's failures from the handler's: they end the connection, and are nobody's fault here."""
    try:
        yield
    except TimeoutError as error:
        raise _Closing(when_late) from error
    except OSError as error:
        raise _Closing(error.strerror or type(error).__name__) from error


def _place(failure: Exception) -> str:
    """Return file and line of a failure: its text may hold what a patient is called, these cannot."""
    last = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
