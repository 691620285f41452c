"""Peers that still owe us something and say nothing: each is cut by the product's own deadline, not by ours.

How long that may take is part of the case. All of them wait side by side.
"""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from broker.dimse.limits import Limits
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer, data
from tests.wire.dimse.test_bad_input import DATA, FIND, STORE, command

LIMITS = Limits()
_DRIP_SECONDS = 1.0  # between two bytes


@dataclass(frozen=True)
class Wait:
    """A peer that has said `sent` and then leaves its side open, or drips, until it is cut after `deadline` seconds."""

    name: str
    deadline: float
    sent: bytes
    is_associated: bool = False
    drips: bytes = b""
    answers: tuple[int, ...] = ()  # PDUs that come at once, before the wait begins

    def run(self, port: int) -> None:
        """Wait until the acceptor says or does something."""
        seconds = self.deadline + 5
        with self._peer(port, seconds) as peer:
            peer.send(self.sent)
            for kind in self.answers:
                found = peer.read()[0]
                assert found == kind, f"answered by PDU type {found}, not {kind}"
            _drip(peer.socket, self.drips, seconds)
            assert peer.read()[0] in (0, 7), "answered, where nothing could be"

    def _peer(self, port: int, seconds: float) -> RawPeer:
        peer = RawPeer.associated(port) if self.is_associated else RawPeer.connect(port)
        return RawPeer(peer.socket, seconds)


def waits(first_bytes: Iterator[tuple[str, bytes]]) -> Iterator[Wait]:
    """Yield every wait; `first_bytes` are the openings of D01, which are left open here."""
    for name, sent in first_bytes:
        yield Wait(name, LIMITS.associate if sent else LIMITS.first_byte, sent)
    yield Wait("request, a byte a second", LIMITS.associate, b"", drips=raw_peer.rq())
    yield from _in_a_pdu()
    yield from _between_pdus()
    yield from _unclosed()


def _in_a_pdu() -> Iterator[Wait]:
    whole = data(5, 3, command(**STORE, **DATA))
    for cut in (1, 5):
        yield _associated(f"PDU header cut at {cut}", LIMITS.pdu, whole[:cut])
    for cut in (6, 11, 12, len(whole) - 1):
        yield _associated(f"P-DATA cut at {cut}", LIMITS.pdu + _earned(len(whole)), whole[:cut])
    for length in (1_000, 64_000, LIMITS.maximum_length):
        sent = raw_peer.pdu(4, raw_peer.pdv(1, 1, bytes(20))[:10], length)
        yield _associated(f"P-DATA of {length} bytes that stops at 10", LIMITS.pdu + _earned(length), sent)
    for kind in (1, 2, 3, 5, 6, 7):
        yield _associated(f"PDU of type {kind} without its body", LIMITS.pdu, raw_peer.pdu(kind, b"", 10))
    yield _associated("P-DATA, a byte a second", LIMITS.pdu + _earned(5_000), raw_peer.pdu(4, b"", 5_000), bytes(5_000))


def _between_pdus() -> Iterator[Wait]:
    half = data(5, 1, command(**STORE, **DATA)[:20])
    yield _associated("half a command", LIMITS.message, half)
    yield _associated("C-STORE without its data set", LIMITS.message, data(5, 3, command(**STORE, **DATA)))
    yield _associated("C-FIND without its identifier", LIMITS.message, data(3, 3, command(**FIND, **DATA)))
    yield _associated("nothing on an association", LIMITS.idle, b"")
    yield Wait("nothing behind an answer", LIMITS.idle, raw_peer.echo(), is_associated=True, answers=(4,))


def _unclosed() -> Iterator[Wait]:
    yield Wait("connection left open behind a release", LIMITS.artim, raw_peer.RELEASE_REQUEST, True, answers=(6,))
    yield Wait("connection left open behind a rejection", LIMITS.artim, raw_peer.rq(calling="NOBODY"), answers=(3,))
    yield Wait("connection left open behind an abort of ours", LIMITS.artim, b"\x99" * 6, True, answers=(7,))


def _associated(name: str, deadline: float, sent: bytes, drips: bytes = b"") -> Wait:
    return Wait(name, deadline, sent, is_associated=True, drips=drips)


def _earned(length: int) -> float:
    return length / LIMITS.rate


def _drip(sock: socket.socket, content: bytes, seconds: float) -> None:
    """Send a byte now and then until the acceptor objects."""
    until = time.monotonic() + seconds
    sock.settimeout(_DRIP_SECONDS)
    for byte in content:
        try:
            sock.sendall(bytes((byte,)))
            sock.recv(1, socket.MSG_PEEK)
            return
        except TimeoutError:
            assert time.monotonic() < until, "a dripping peer is not cut"
        except OSError:
            return
