"""A connected socket with one receive buffer, and waits that a dripping peer cannot extend. Knows no PDU."""

import mmap
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable

from broker.dimse import causes
from broker.dimse.limits import Limits
from broker.errors import Unavailable

# How often a blocked read or write looks up. A time-out in the kernel needs one system call for each read, where
# Python's own needs two and gives up the interpreter lock twice.
TICK = 0.5
_TIMEVAL = struct.Struct("@ll").pack(0, int(TICK * 1_000_000))
_BUFFER = 256 * 1024
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class Lost(Unavailable):
    """The peer closed the connection, or it broke."""


class TooSlow(Unavailable):
    """The peer used up the time it was given."""


class Interrupted(Unavailable):
    """There is something else to do than to wait for the next message, of which nothing has come yet."""


def prepare(sock: socket.socket) -> None:
    """Set what every connection of ours has: no Nagle delay, kernel time-outs, keep-alive."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(TICK)
        return
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)


def _is_readable(sock: socket.socket, seconds: float = 0) -> bool:
    """Tell whether there is something to read, or comes within so many seconds."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    # Not select(): it knows no descriptor above 1,023, and a listener may have more.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _said(error: OSError) -> str:
    # With TLS 1.3 the peer's alert about our certificate comes as late as this.
    return f": {causes.of_tls(error)}" if isinstance(error, ssl.SSLError) else ""


class Connection:
    """Bytes to and from one peer.

    `patience` is how many seconds we may still wait for the peer; every wait draws on it, whatever it brings.
    """

    def __init__(self, sock: socket.socket, limits: Limits, is_wanted: Callable[[], bool] = lambda: False) -> None:
        prepare(sock)
        self.socket = sock
        self.patience = limits.associate
        self._limits = limits
        self._is_wanted = is_wanted
        # Anonymous memory costs nothing until it is touched: a silent association takes a page, not the buffer.
        self._size = max(_BUFFER, limits.maximum_length + 4096)
        self._view = memoryview(mmap.mmap(-1, self._size))
        self._start = self._end = 0
        self._has_sent = True  # since we last read
        self.is_lost = False  # there is nobody at the other end any more
        self.is_torn = False  # something was sent in part: nothing that follows would be understood

    @property
    def available(self) -> int:
        """How many bytes have been received and not yet taken."""
        return self._end - self._start

    def has_news(self) -> bool:
        """Tell whether something has arrived that was not taken yet, the end of the connection included."""
        return self.is_lost or self.is_torn or self.available > 0 or _is_readable(self.socket)

    def comes(self, seconds: float) -> bool:
        """Tell whether anything comes within so many seconds, the end of the connection included."""
        return self.available > 0 or _is_readable(self.socket, seconds)

    def need(self, count: int, interruptible: bool = False) -> None:
        """Wait until `count` bytes, at most a buffer, are available; raise Lost, TooSlow, or Interrupted."""
        while self._end - self._start < count:
            if interruptible and self._is_wanted():
                raise Interrupted("we are stopping")
            self._receive()

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        """Return the fields of `form` at the front of what is available, without taking them."""
        return form.unpack_from(self._view, self._start)

    def skip(self, count: int) -> None:
        """Take `count` available bytes and forget them."""
        self._start += count

    def take(self, count: int) -> bytes:
        """Wait for and return `count` bytes, at most a buffer."""
        self.need(count)
        at = self._start
        self._start = at + count
        return self._view[at : at + count].tobytes()

    def peek(self, count: int) -> bytes:
        """Return `count` available bytes without taking them."""
        return self._view[self._start : self._start + count].tobytes()

    def piece(self, most: int) -> memoryview:
        """Wait for and return between one and `most` bytes, valid until the next call of any method."""
        if self._start == self._end:
            self._receive_some()
        at = self._start
        self._start = min(at + most, self._end)
        return self._view[at : self._start]

    def fill_now(self) -> None:
        """Take in what has arrived, without waiting; raise Lost."""
        if self._end == self._size:
            return
        if isinstance(self.socket, ssl.SSLSocket):  # it takes no flags
            if _is_readable(self.socket):
                self._receive()
            return
        try:
            self._arrived(self.socket.recv_into(self._view[self._end :], 0, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError as error:
            raise self._broken(error) from error

    def send(self, data: bytes | bytearray | memoryview, patience: float | None = None) -> None:
        """Send all of `data`; raise Lost, or TooSlow when the peer does not take it. `is_torn` tells then, or later."""
        view = memoryview(data)
        if patience is None:
            patience = self._limits.send + len(view) / self._limits.rate
        self.is_torn = self._has_sent = True
        while view:
            before = time.monotonic()
            try:
                view = view[self.socket.send(view) :]
            except (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError as error:
                self.is_lost = True
                raise Lost(f"the connection broke while we sent{_said(self._last_word(error))}") from error
            patience -= time.monotonic() - before
            if patience <= 0 and view:
                raise TooSlow("the peer does not take what we send")
        self.is_torn = False

    def discard(self, most: int) -> None:
        """Read and forget until the peer closes, `most` bytes have come, or patience ends."""
        while most > 0:
            most -= self.available
            self._start = self._end
            self._receive_some()

    def interrupt(self) -> None:
        """Break every wait on this connection, from any thread."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _last_word(self, error: OSError) -> OSError:
        """Return the alert that a TLS peer left before it closed, where there is one; otherwise `error`."""
        if isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket.recv(1)
            except ssl.SSLError as alert:
                return alert if alert.reason else error
            except OSError:
                return error
        return error

    def _receive_some(self) -> None:
        end = self._end
        while self._start == self._end:
            self._receive()
            if self._end != end:
                return

    def _receive(self) -> None:
        """Wait for one tick at most, and take in what comes."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == self._size:
            self._compact()
        if self._has_sent:
            self._acknowledge_at_once()
        before = time.monotonic()
        try:
            received = self.socket.recv_into(self._view[self._end :])
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            received = -1
        except OSError as error:
            raise self._broken(error) from error
        self.patience -= time.monotonic() - before
        if received >= 0:
            self._arrived(received)
        if self.patience <= 0:
            raise TooSlow("the peer is too slow")

    def _arrived(self, received: int) -> None:
        if not received:
            self.is_lost = True
            raise Lost("the peer closed the connection")
        self._end += received

    def _broken(self, error: OSError) -> Lost:
        self.is_lost = True
        return Lost(f"the connection broke{_said(error)}")

    def _acknowledge_at_once(self) -> None:
        """Have what comes acknowledged as we read it.

        A sender with Nagle's algorithm waits for our acknowledgement before it sends its next small segment; a
        delayed one costs it some 40 ms an image. Once we send something the kernel delays acknowledgements again,
        to let them go with what we send next; until then asking once is enough.
        """
        self._has_sent = False
        if _QUICKACK is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _compact(self) -> None:
        left = self._end - self._start
        self._view[:left] = self._view[self._start : self._end]
        self._start, self._end = 0, left
