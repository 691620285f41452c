"""Class H17: callers of the TLS port who show no, or a stranger's, certificate, speak plainly, or too old a TLS."""

import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from hl7.mllp import frame
from tests.torture.hl7_exchange import frames, good_order
from tests.torture.hl7_server import Served

TAKEN, REFUSED = True, False


def peers(served: Served) -> dict[str, Callable[[], None]]:
    """H17: return what each caller does; whom the hospital has not issued a certificate gets no answer."""
    folder, port = served.folder, served.tls_port
    calls: dict[str, tuple[ssl.SSLContext | None, int, bool]] = {
        "a certificate of the hospital's": (_context(folder, "hospital"), port, TAKEN),
        "another certificate of the hospital's": (_context(folder, "hospital", "other"), port, TAKEN),
        "TLS 1.2": (_only(_context(folder, "hospital"), ssl.TLSVersion.TLSv1_2), port, TAKEN),
        "TLS 1.3": (_only(_context(folder, "hospital"), ssl.TLSVersion.TLSv1_3), port, TAKEN),
        "no certificate": (_context(folder, ""), port, REFUSED),
        "no certificate, TLS 1.2": (_only(_context(folder, ""), ssl.TLSVersion.TLSv1_2), port, REFUSED),
        "a stranger's certificate": (_context(folder, "stranger"), port, REFUSED),
        "a stranger's, TLS 1.2": (_only(_context(folder, "stranger"), ssl.TLSVersion.TLSv1_2), port, REFUSED),
        "a certificate it issued itself": (_context(folder, "stranger", "ca"), port, REFUSED),
        "plain text on the TLS port": (None, port, REFUSED),
        "TLS on the plain port": (_context(folder, "hospital"), served.port, REFUSED),
    }
    scripts = {name: partial(_call, *call) for name, call in calls.items()}
    return {**scripts, "half a hello": partial(_half_a_hello, port)}


def _context(folder: Path, authority: str, name: str = "ris") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / "hospital" / "ca.pem")
    if authority:
        context.load_cert_chain(folder / authority / f"{name}.pem", folder / authority / f"{name}.key")
    return context


def _only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


def _call(context: ssl.SSLContext | None, port: int, taken: bool) -> None:
    """Send a good order; it must be answered AA, or nothing must be answered at all."""
    answers: list[bytes] = []
    try:
        with closing(socket.create_connection(("127.0.0.1", port), 10)) as plain:
            peer = context.wrap_socket(plain) if context else plain
            peer.sendall(frame(good_order()))
            peer.settimeout(10)
            answers = [next(frames(peer))] if taken else list(frames(peer))
    except (OSError, StopIteration):
        assert not taken, "a caller whom the hospital knows was not let in"
    assert bool(answers) is taken, "answered" if answers else "not answered"
    assert not taken or b"MSA|AA" in answers[0]


def _half_a_hello(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as peer:
        peer.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        peer.shutdown(socket.SHUT_WR)
        assert not peer.recv(1000).startswith(b"\x0b")
