"""A listener for MLLP: accepts, gives each connection a thread, and stops them all. Reads no bytes itself."""

import selectors
import socket
import threading
from time import monotonic

from hl7.connection import Connection, Handler, Limits, OnEvent, PeerAddress

__all__ = ["Handler", "Limits", "MllpServer", "PeerAddress"]

_BACKLOG = 128
_PAUSE = 0.1  # seconds after accept has failed, for want of descriptors for instance
_LAST_GRACE = 1.0  # seconds for threads to end after their sockets are shut


class MllpServer:
    """Listens on one port. `handle` is called on the connection's thread with each payload and returns the answer.

    `handle` returning None sends nothing, raising CloseConnection closes without an answer; any other error closes
    the connection too, and is reported. At the limit of connections no more are accepted until one ends: callers
    wait, none is refused. `on_event(name, facts)` is told of what happens (mllp.opened, mllp.answering, mllp.answered,
    mllp.closed, mllp.discarded, mllp.handler_failed, mllp.accept_failed); facts hold no payload.
    """

    def __init__(self, host: str, port: int, handle: Handler, limits: Limits, on_event: OnEvent) -> None:
        self._address = (host, port)
        self._handle = handle
        self._limits = limits
        self._on_event = on_event
        self._slots = threading.Semaphore(limits.connections)
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._stopping = threading.Event()
        self._acceptor: threading.Thread | None = None

    def start(self) -> int:
        """Listen, and return the bound port. Raises OSError when the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.create_server(self._address, family=family, backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._waker, self._woken = socket.socketpair()
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
        self._slots.release()
        self._waker.send(b"\0")
        self._acceptor.join()
        self._acceptor = None
        for closing in (self._waker, self._woken):
            closing.close()
        until = monotonic() + timeout
        open_ones = self._open()
        for connection in open_ones:
            connection.finish()
        self._join(open_ones, until)
        remaining = self._open()
        for connection in remaining:
            connection.abandon()
        self._join(remaining, monotonic() + _LAST_GRACE)
        return not self._open()

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                # A connection is taken out of the queue only when there is room for it.
                self._slots.acquire()
                if not self._accept_one(selector):
                    self._slots.release()

    def _accept_one(self, selector: selectors.BaseSelector) -> bool:
        """Wait for a connection and serve it; tell whether there was one."""
        selector.select()
        if self._stopping.is_set():
            return False
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._on_event("mllp.accept_failed", {"why": error.strerror or type(error).__name__})
            self._stopping.wait(_PAUSE)
            return False
        return self._serve(accepted)

    def _serve(self, accepted: socket.socket) -> bool:
        try:
            connection = Connection(accepted, self._handle, self._limits, self._on_event)
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
            self._slots.release()

    def _open(self) -> dict[Connection, threading.Thread]:
        with self._lock:
            return dict(self._connections)

    def _join(self, connections: dict[Connection, threading.Thread], until: float) -> None:
        for thread in connections.values():
            thread.join(max(0.0, until - monotonic()))
