"""One bad-input case over MLLP: what is sent, what may come back, and that the next good order is taken."""

import itertools
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

from hl7.header import read_batch_header, read_header
from hl7.mllp import Frame, Framer, frame
from tests.torture import hl7_messages

NONE = "none"
TAKEN = frozenset({"AA"})
CONTENT = frozenset({"AE"})
KIND = frozenset({"AR"})
EITHER = frozenset({"AA", "AE"})
REFUSED = frozenset({"AE", "AR"})
UNANSWERED = frozenset({NONE})
ANSWERED = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})

SECONDS = 2.0
_PATIENCE = 10.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """One answer: MSA-1 with what ERR says ("AE 102 OBR^1^18"), and the bytes of MSA-2."""

    text: str
    control_id: bytes


@dataclass(frozen=True)
class Case:
    """What is said on one connection, and what each payload may get: a code, or a code with its error ("AE 102").

    Without `sent` every payload goes in a frame of its own. Where it `closes`, the product ends the connection.
    """

    name: str
    payloads: tuple[bytes, ...]
    answers: tuple[frozenset[str], ...]
    sent: tuple[bytes, ...] = ()
    closes: bool = False

    @property
    def seconds(self) -> float:
        """How long it may take: two seconds for a message, and less for each of many."""
        return SECONDS * max(1.0, len(self.payloads) / 5)

    @property
    def answered(self) -> list[tuple[bytes, frozenset[str]]]:
        """The payloads that get an answer, with what it may be."""
        pairs = zip(self.payloads, self.answers, strict=True)
        return [(payload, allowed) for payload, allowed in pairs if allowed != UNANSWERED]

    def run(self, port: int) -> None:
        """Raise AssertionError where an answer is not one of those that are defined."""
        answers, closed = exchange(port, self.sent or tuple(map(frame, self.payloads)))
        assert closed == self.closes, "the connection was closed" if closed else "the connection was not closed"
        assert len(answers) == len(self.answered), (
            f"{[said.text for said in answers]} for {len(self.answered)} messages"
        )
        for said, (payload, allowed) in zip(answers, self.answered, strict=True):
            assert fits(said.text, allowed), f"answered {said.text}, not {sorted(allowed)}"
            header = read_header(payload) or read_batch_header(payload)
            assert header is not None, "what cannot be read was answered"
            assert said.control_id == header.control_id_raw, f"MSA-2 is {said.control_id[:40]!r}"


def single(name: str, payload: bytes, *answers: str) -> Case:
    """Return the case of one message with its defined answers; "none" is no answer."""
    return Case(name, (payload,), (frozenset(answers),))


def fits(text: str, allowed: frozenset[str]) -> bool:
    """Tell whether "AE 102 OBR^1^18" is one of what is allowed, where that may say less."""
    return any(text == one or text.startswith(one + " ") for one in allowed)


def exchange(port: int, pieces: Sequence[bytes]) -> tuple[list[Said], bool]:
    """Send the pieces and a good order behind them; return the answers before the order's, and whether it closed.

    The order must be taken: on this connection, or where the product has closed that, on another.
    """
    probe = good_order()
    with closing(_connected(port)) as peer:
        answers, probed = _said(peer, pieces, probe)
    if not probed:
        with closing(_connected(port)) as peer:
            again, taken = _said(peer, (), probe)
        assert taken and not again, "a good order on a new connection was not taken"
    return answers, not probed


def good_order() -> bytes:
    """Return an order that has to be taken: the same one again and again, under ever new control identifiers."""
    return hl7_messages.order("GOOD", control=f"PROBE{next(_numbers)}")


def _said(peer: socket.socket, pieces: Sequence[bytes], probe: bytes) -> tuple[list[Said], bool]:
    expected = read_header(probe)
    assert expected is not None
    with suppress(OSError):  # closed before all was said: what was answered can still be read
        for piece in pieces:
            peer.sendall(piece)
        peer.sendall(frame(probe))
    answers: list[Said] = []
    for payload in frames(peer):
        said = _read(payload)
        if said.control_id == expected.control_id_raw:
            assert said.text == "AA", f"the next good order got {said.text}"
            return answers, True
        answers.append(said)
    return answers, False


def _read(payload: bytes) -> Said:
    """Read an answer as bytes: what is sent back in it may be in no character set at all."""
    lines = [line.split(payload[3:4]) for line in payload.split(b"\r")]
    msa = next(line for line in lines if line[0] == b"MSA")
    code = msa[1].decode("latin-1")
    # Beside AA, ERR is a warning.
    errors = [_error(line, payload[4:5]) for line in lines if line[0] == b"ERR" and code not in ("AA", "CA")][:1]
    return Said(" ".join([code, *errors]), msa[2] if len(msa) > 2 else b"")


def _error(err: list[bytes], component: bytes) -> str:
    """Return "102 OBR^1^18" of ERR, in the layout of 2.5 or the one before it."""
    if len(err) > 3:
        place, code = err[2].split(component)[:3], err[3].split(component)[0]
    else:
        parts = err[1].split(component)
        place, code = parts[:3], re.split(rb"[^0-9]", parts[3])[0]
    return f"{code.decode('latin-1')} {b'^'.join(place).decode('latin-1')}"


def frames(peer: socket.socket) -> Iterator[bytes]:
    """Yield the payloads that a peer sends until it closes."""
    framer, until = Framer(), time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0:
        peer.settimeout(left)
        try:
            data = peer.recv(65536)
        except ConnectionError:
            return
        if not data:
            return
        yield from (event.payload for event in framer.feed(data) if isinstance(event, Frame))
    raise AssertionError("neither an answer nor a close")


def _connected(port: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), _PATIENCE)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


Generator = Callable[[], Iterable[Case]]
