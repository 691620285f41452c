"""The listening socket: who may connect, and a thread for each that speaks. What is said is in `session.py`."""

import selectors
import socket
import threading
import time
from collections.abc import Mapping
from functools import partial

import structlog

from broker.clock import Clock
from broker.dimse.contexts import SUPPORTED, Supported
from broker.dimse.limits import Limits
from broker.dimse.notices import Answered, Notices
from broker.dimse.places import Places
from broker.dimse.remembered import Remembered
from broker.dimse.service import NormalizedRequest, Provider
from broker.dimse.session import House, Session, TlsContext
from broker.dimse.silence import Silence
from broker.dimse.workers import Workers

log = structlog.get_logger()

_BACKLOG = 512
_LOOK_UP = 0.25  # seconds: how often deadlines and crowding are looked at
_ACCEPTED_AT_ONCE = 64


class Server:
    """Accepts associations and answers them through a Provider, one thread for each."""

    def __init__(
        self,
        host: str,
        port: int,
        provider: Provider,
        clock: Clock,
        supported: Mapping[str, Supported] = SUPPORTED,
        *,
        limits: Limits | None = None,
        tls: TlsContext | None = None,
        places: Places | None = None,
    ) -> None:
        self._address = (host, port)
        self._limits = limits or Limits()
        self._stopping = threading.Event()
        self._places = places or Places(self._limits)  # may be shared: several listeners, one number of associations
        self._notices = Notices()
        remembered = Remembered(supported, self._limits.maximum_length)
        self._house = House(provider, remembered, self._limits, clock, self._places, tls, self._stopping, self._notices)
        self._silence = Silence(self._limits)
        self._workers = Workers("dicom-association")
        self._sessions: set[Session] = set()
        self._lock = threading.Lock()

    def start(self) -> int:
        """Bind, listen, and return the port; raise OSError when the address cannot be had."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listening = socket.create_server(self._address, family=family, backlog=_BACKLOG)
        self._listening.setblocking(False)
        self._waking, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waking, selectors.EVENT_READ)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._is_listening = True
        self._thread = threading.Thread(target=self._run, name="dicom-listener", daemon=True)
        self._thread.start()
        port: int = self._listening.getsockname()[1]
        return port

    def stop(self, grace: float) -> None:
        """Stop listening; messages in flight have `grace` seconds to end, then every connection is cut."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake.send(b"\0")
        self._thread.join()
        for sock in (self._listening, self._waking, self._wake):
            sock.close()
        self._workers.end(grace)
        for session in self._left():
            session.drop()
        self._workers.end(5.0)

    def adopt(self, sock: socket.socket) -> None:
        """Serve a connection that somebody else has accepted."""
        host, port = sock.getpeername()[:2]
        self._begin(sock, host, port)

    def notify(self, association_id: str, request: NormalizedRequest, answered: Answered) -> bool:
        """Send a DIMSE-N request, such as N-EVENT-REPORT, on an association that a peer has opened.

        It leaves between two messages, and `answered` is called on the association's thread: with None where no
        answer came. Returns False when the association is not open any more.
        """
        return self._notices.post(association_id, request, answered)

    def _left(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    # --- the listener's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._look_again()
        finally:
            self._listening.close()
            self._silence.close()
            self._selector.close()

    def _look_again(self) -> None:
        try:
            self._look()
        except Exception:  # outermost loop: what befell one connection must not close the door
            log.error("association.listener-failed", exc_info=True)
            time.sleep(_LOOK_UP)

    def _look(self) -> None:
        """Hand over who has spoken, then let in who has come, then drop who was silent for too long."""
        ready = [key.fileobj for key, _ in self._selector.select(_LOOK_UP)]
        for sock in ready:
            if sock is not self._listening and sock is not self._waking:
                self._spoken(sock)  # type: ignore[arg-type]
        if self._listening in ready:
            self._accept()
        for sock in self._silence.expired(time.monotonic()):
            self._dismiss(sock)
        self._listen(not self._places.is_crowded)

    def _listen(self, wanted: bool) -> None:
        if wanted == self._is_listening:
            return
        self._is_listening = wanted
        if wanted:
            self._selector.register(self._listening, selectors.EVENT_READ)
        else:
            self._selector.unregister(self._listening)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Out of descriptors, or the peer has gone again: the next look may do better.
                log.warning("association.not-accepted", errno=error.errno)
                time.sleep(0.05)
                return
            if (said := _first_byte(sock)) is None:
                self._wait_for(sock, address[0], address[1])
            elif said:
                self._begin(sock, address[0], address[1])
            else:
                sock.close()

    def _wait_for(self, sock: socket.socket, address: str, port: int) -> None:
        for dropped in self._silence.add(sock, address, port, time.monotonic()):
            self._dismiss(dropped)
        self._selector.register(sock, selectors.EVENT_READ)

    def _spoken(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        address, port = self._silence.remove(sock)
        if _first_byte(sock):
            self._begin(sock, address, port)
        else:
            sock.close()

    def _dismiss(self, sock: socket.socket) -> None:
        # Sta2, ARTIM expired: the connection is closed without a word (PS3.8 table 9-10, AA-2).
        self._selector.unregister(sock)
        self._silence.remove(sock)
        sock.close()

    def _begin(self, sock: socket.socket, address: str, port: int) -> None:
        session = Session(sock, address, port, self._house)
        leaving = self._places.enter(session)
        if isinstance(leaving, Session):
            leaving.drop()
        with self._lock:
            self._sessions.add(session)
        try:
            self._workers.give(partial(self._serve, session))
        except RuntimeError:  # the system has no thread left for us
            log.error("association.no-thread")
            self._forget(session)
            sock.close()

    def _serve(self, session: Session) -> None:
        try:
            session.run()
        finally:
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self._places.leave(session)
        with self._lock:
            self._sessions.discard(session)


def _first_byte(sock: socket.socket) -> bytes | None:
    """Return the first byte that a peer has sent, still to be read; empty where it has gone, None: nothing yet."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""
