"""One accepted MLLP connection, from its first byte to its last: reads, has handled, answers. Accepts nothing."""

import contextlib
import socket
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
    connections: int = 512  # more wait to be accepted


Handler = Callable[[bytes, PeerAddress], bytes | None]
OnEvent = Callable[[str, dict[str, object]], None]


class _Closing(Exception):
    """The connection is to be closed; the text says why."""


class Connection:
    """Serves one socket until the peer leaves, breaks a limit, or `finish` is called."""

    def __init__(self, sock: socket.socket, handle: Handler, limits: Limits, on_event: OnEvent) -> None:
        host, port = sock.getpeername()[:2]
        self.peer = PeerAddress(host, port)
        self._socket = sock
        self._handle = handle
        self._limits = limits
        self._on_event = on_event
        self._framer = Framer(limits.maximum_frame)
        self._frame_began: float | None = None
        self._handled = 0
        self._finishing = threading.Event()
        self._abandoned = threading.Event()

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
            self._tell("mllp.closed", why=why, messages=self._handled)

    def finish(self) -> None:
        """Take no further bytes: what has been received whole is still handled and answered."""
        self._finishing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def abandon(self) -> None:
        """Handle no further message and write no further answer."""
        self._abandoned.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _prepare(self) -> None:
        with _on_the_wire("timed out"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
                if hasattr(socket, name):
                    self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def _step(self) -> None:
        """Read once and answer every message that this completes."""
        data = self._receive()
        if not data:
            self._report(self._framer.end())
            raise _Closing("stopped" if self._finishing.is_set() else "the peer closed")
        try:
            events = self._framer.feed(data)
        except TooLong as error:
            self._work_off(error.events)
            raise _Closing(str(error)) from error
        self._work_off(events)
        self._mind_clock(completed=any(isinstance(event, Frame) for event in events))

    def _receive(self) -> bytes:
        allowed, why = self._allowance()
        if allowed <= 0:
            raise _Closing(why)
        with _on_the_wire(why):
            self._socket.settimeout(allowed)
            data = self._socket.recv(_CHUNK)
            # A sender that waits for our TCP acknowledgement before its next piece (Nagle) must not wait 40 ms for it.
            if hasattr(socket, "TCP_QUICKACK"):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

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
        answer = self._handle(payload, self.peer)
        self._handled += 1
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
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            until = monotonic() + _FAREWELL
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
