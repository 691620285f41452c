"""A listener for MLLP: accepts, gives each connection a thread, and stops them all. Reads no bytes itself."""

import selectors
import socket
import threading
from collections.abc import Callable, Collection
from time import monotonic

from hl7.connection import Connection, Handler, Limits, OnEvent, PeerAddress, Tls, TlsContexts

__all__ = ["Handler", "Limits", "MllpServer", "PeerAddress", "TlsContexts"]

_BACKLOG = 128
_PAUSE = 0.1  # seconds after accept has failed, for want of descriptors for instance
_LOOK = 0.1  # seconds between looks for a place while all are taken
_LAST_GRACE = 1.0  # seconds for threads to end after their sockets are shut
_MAKE_ROOM = "its place was needed"


class MllpServer:
    """Listens on one port. `handle` is called on the connection's thread with each payload and returns the answer.

    `handle` returning None sends nothing, raising CloseConnection closes without an answer; any other error closes
    the connection too, and is reported. At the limit of connections callers wait and none is refused, but a connection
    that has never sent a whole message gives up its place after a while, the longest silent first (`Limits`).
    `tls` is asked for a context at each connection; without it the port is plain. `admits` tells whether an address
    may connect at all. `on_event(name, facts)` is told of what happens (mllp.opened, mllp.secured, mllp.refused,
    mllp.answering, mllp.answered, mllp.closed, mllp.discarded, mllp.handler_failed, mllp.accept_failed); facts hold no
    payload.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handle: Handler,
        limits: Limits,
        on_event: OnEvent,
        *,
        tls: TlsContexts | None = None,
        admits: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._address = (host, port)
        self._handle = handle
        self._limits = limits
        self._on_event = on_event
        self._contexts = tls
        self._admits = admits
        self._places = threading.Semaphore(limits.connections)
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._stopping = threading.Event()
        self._acceptor: threading.Thread | None = None

    def start(self) -> int:
        """Listen, and return the bound port. Raises OSError when the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.create_server(self._address, family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._waker, self._woken = socket.socketpair()  # a byte in it, which nobody takes out, says stop
        self._tls = Tls(self._contexts, self._woken) if self._contexts else None
        self._acceptor = threading.Thread(target=self._accept_all, name="mllp-accept", daemon=True)
        self._acceptor.start()
        return int(self._listener.getsockname()[1])

    def stop(self, timeout: float) -> bool:
        """Stop accepting, let messages in flight be answered for `timeout` seconds, end every thread.

        Returns whether all ended; a handler that never returns is left behind on its daemon thread.
        """
        if self._acceptor is None:
            return True
        self._stopping.set()
        self._waker.send(b"\0")
        self._acceptor.join()
        self._acceptor = None
        until = monotonic() + timeout
        open_ones = self._open()
        for connection in open_ones:
            connection.finish()
        self._join(open_ones, until)
        remaining = self._open()
        for connection in remaining:
            connection.abandon()
        self._join(remaining, monotonic() + _LAST_GRACE)
        for closing in (self._waker, self._woken):
            closing.close()
        return not self._open()

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if not self._stopping.is_set() and (accepted := self._accepted()):
                    self._place_or_tell(*accepted)

    def _place_or_tell(self, accepted: socket.socket, host: str) -> None:
        try:
            self._place(accepted, host)
        except Exception as error:  # noqa: BLE001 - outermost loop: what befell one connection must not close the door
            self._on_event("mllp.accept_failed", {"why": type(error).__name__})
            accepted.close()

    def _accepted(self) -> tuple[socket.socket, str] | None:
        try:
            accepted, address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            self._on_event("mllp.accept_failed", {"why": error.strerror or type(error).__name__})
            self._stopping.wait(_PAUSE)
            return None
        return accepted, address[0]

    def _place(self, accepted: socket.socket, host: str) -> None:
        """Serve a connection when there is room for it, or close it."""
        if why := self._refusal(host):
            self._on_event("mllp.refused", {"address": host, "why": why})
            accepted.close()
        elif not self._await_place():
            accepted.close()
        elif not self._serve(accepted):
            self._places.release()

    def _refusal(self, host: str) -> str:
        if not self._admits(host):
            return "the address is not allowed"
        limit = self._limits.per_address
        theirs = [each for each in self._open() if each.peer.host == host and not each.is_leaving]
        if limit and len(theirs) >= limit and not _make_room(theirs):
            return "too many connections from this address"
        return ""

    def _await_place(self) -> bool:
        """Wait until there is room, and make some if need be. Others that call meanwhile wait in the queue."""
        if self._places.acquire(blocking=False):
            return True
        while not self._stopping.is_set():
            _make_room(self._open())
            if self._places.acquire(timeout=_LOOK):
                return True
        return False

    def _serve(self, accepted: socket.socket) -> bool:
        try:
            connection = Connection(accepted, self._handle, self._limits, self._on_event, self._tls)
            thread = threading.Thread(target=self._run, args=(connection,), name="mllp-connection", daemon=True)
            with self._lock:
                thread.start()  # under the lock, so that it cannot end before it is known
                self._connections[connection] = thread
        except (OSError, RuntimeError) as error:  # it has gone again, or no thread can be had
            self._on_event("mllp.accept_failed", {"why": type(error).__name__})
            accepted.close()
            return False
        return True

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                del self._connections[connection]
            self._places.release()

    def _open(self) -> dict[Connection, threading.Thread]:
        with self._lock:
            return dict(self._connections)

    def _join(self, connections: dict[Connection, threading.Thread], until: float) -> None:
        for thread in connections.values():
            thread.join(max(0.0, until - monotonic()))


def _make_room(connections: Collection[Connection]) -> bool:
    """Have the connection end that has kept its place for nothing for longest; tell whether one is ending."""
    if any(connection.is_leaving for connection in connections):
        return True
    now = monotonic()
    longest = max(connections, key=lambda connection: connection.idle(now), default=None)
    if longest is None or longest.idle(now) <= 0:
        return False
    longest.abandon(_MAKE_ROOM)
    return True
