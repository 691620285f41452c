"""Classes D01 to D05: each case is something that is sent, and what may be answered to it first.

A peer that has not said all it began to say closes its side here; what becomes of it where it does not is `waiting`.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broker.dimse.message import Element
from broker.dimse.state import TRANSITIONS, Event, State
from tests.wire.dimse import raw_peer, test_every_transition
from tests.wire.dimse.raw_peer import RawPeer, data
from tests.wire.dimse.stages import STAGES
from tests.wire.dimse.test_acceptor_states import PDUS
from tests.wire.dimse.test_bad_input import ABORTED, ANSWERED, FIRST_BYTES, hostile_requests

CLOSED, ACCEPTED, REJECTED, RELEASED, ABORT = 0, 2, 3, 6, 7
KINDS = (*range(10), 0x80, 0x99, 0xFF)
LENGTHS = (0, 1, 2, 3, 4, 5, 10, 67, 68, 131078, 131079, 2**31, 2**32 - 1)
_MOST_SENT = 200_000
# The states of our requestor, and of an acceptor that stops; Sta1 and Sta4 have no connection to send a PDU on.
STAGED = (State.STA5, State.STA7, State.STA9, State.STA10, State.STA11, State.STA12)


@dataclass(frozen=True)
class Case:
    """One conversation with the acceptor at a port."""

    name: str
    run: Callable[[int], None]


def first_bytes() -> Iterator[Case]:
    """D01: what other protocols, or nobody, say first."""
    for name, sent in openings():
        yield _opening(name, sent, {CLOSED, ABORT}, half_closes=True)


def openings() -> Iterator[tuple[str, bytes]]:
    """Yield first bytes that are no whole request."""
    request = raw_peer.rq()
    for cut in (0, 1, 2, 5, 6, 7, 10, 73, 74, 75, 100, len(request) - 1):
        yield f"request cut at {cut}", request[:cut]
    for name, content in FIRST_BYTES.items():
        for cut in (1, 6, len(content)):
            yield f"{name} cut at {cut}", content[:cut]


def lengths() -> Iterator[Case]:
    """D02: every PDU type and every length, items and sub-items that lie, as many contexts as there can be."""
    for kind in KINDS:
        for length in LENGTHS:
            sent = struct.pack(">BxI", kind, length) + bytes(min(length, _MOST_SENT))
            yield _opening(f"first PDU {kind:#x} of length {length}", sent, {CLOSED, REJECTED, ABORT})
            yield _associated(f"PDU {kind:#x} of length {length}", sent, {CLOSED, RELEASED, ABORT})
    for name, body in hostile_requests():
        yield _opening(name, raw_peer.pdu(1, body), {ABORT})
    request = raw_peer.rq()
    for at in _item_lengths(request[6:]):
        said = struct.unpack_from(">H", request, 6 + at)[0]
        for value in {0, 1, max(said - 1, 0), said + 1, said + 4, 0x7FFF, 0xFFFF} - {said}:
            sent = request[: 6 + at] + struct.pack(">H", value) + request[8 + at :]
            yield _opening(f"item length {value} at {at}", sent, {ACCEPTED, REJECTED, ABORT})


def states() -> Iterator[Case]:
    """D03: each PDU in each state in which one side or the other waits."""
    answers = {CLOSED, ACCEPTED, REJECTED, 4, RELEASED, ABORT}
    half = data(5, 1, bytes(10))
    for name, content in PDUS.items():
        ended = {CLOSED} if name == "abort" else {ABORT}
        yield _opening(f"Sta2 {name}", content, answers)
        yield _opening(f"Sta3 {name} behind the request", raw_peer.rq() + content, ended)
        yield _associated(f"Sta6 {name}", content, answers)
        yield _associated(f"Sta6 {name} inside a command", half + content, answers)
        yield _associated(f"Sta6 {name} inside a PDU", half[:-3] + content, {CLOSED, ABORT})
        yield _associated(f"Sta8 {name} behind the release", raw_peer.RELEASE_REQUEST + content, ended)
        yield _left_behind(f"Sta13 {name} after the release", RawPeer.associated, RELEASED, content)
        yield _left_behind(f"Sta13 {name} after a rejection", RawPeer.connect, REJECTED, content)
    for state in STAGED:
        for event, content in test_every_transition.PDUS.items():
            yield _staged(state, event, content)


def messages() -> Iterator[Case]:
    """D04: commands and data sets that are strange or impossible; at once, behind others, and in pieces."""
    for name, (content, field, status) in ANSWERED.items():
        for how, send in SENDERS.items():
            yield Case(f"{name} {how}", _answered(send, content, field, status))
    for name, content in ABORTED.items():
        for how, send in SENDERS.items():
            yield Case(f"{name} {how}", _aborted(send, content))


def titles() -> Iterator[Case]:
    """D05: titles that are no titles, on either side, and the right one from the wrong address."""
    for title in TITLES:
        yield Case(f"calling {title!r}", _titled(title, 20, "PEER"))
        yield Case(f"called {title!r}", _titled(title, 4, "BROKER"))
    yield Case("the right title from another address", _from_elsewhere)


TITLES = (
    *("../X", "..", ".", "/", "", "*", "?", "\0" * 16, "a\r\nb", "\r", "\n", "\t", "\x1b[31m", "us_room2", "peer"),
    *("broker", "'; DROP TABLE", "ÄÖ", "%s%n", "x" * 16, "<script>", "{{7*7}}", "$(reboot)", "`id`", "C:\\X"),
    *("PEER\0", "PE ER", " PEER", "PEER ", "BROKER", "BROKER\0", "  BROKER", "\\", "^", "=", "\x7f", "\xff" * 16),
)


def _send_whole(peer: RawPeer, content: bytes) -> None:
    peer.send(content)


def _send_behind_an_echo(peer: RawPeer, content: bytes) -> None:
    peer.send(raw_peer.echo(9), content)
    assert peer.response().number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 9


def _send_in_pieces(peer: RawPeer, content: bytes) -> None:
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, min(len(content), 60), 7):
        peer.send(content[at : min(at + 7, 60)])
    peer.send(content[60:])


SENDERS = {"at once": _send_whole, "behind an echo": _send_behind_an_echo, "in pieces": _send_in_pieces}


def _opening(name: str, sent: bytes, expected: set[int], *, half_closes: bool = False) -> Case:
    def run(port: int) -> None:
        with RawPeer.connect(port) as peer:
            _try_to_send(peer, sent, half_closes)
            _expect(peer, expected)

    return Case(name, run)


def _associated(name: str, sent: bytes, expected: set[int]) -> Case:
    def run(port: int) -> None:
        with RawPeer.associated(port) as peer:
            _try_to_send(peer, sent)
            _expect(peer, expected)

    return Case(name, run)


def _left_behind(name: str, connect: Callable[[int], RawPeer], answer: int, content: bytes) -> Case:
    """Return a case that sends `content` once we wait for the connection to close, and then closes its side."""
    sent = raw_peer.RELEASE_REQUEST if answer == RELEASED else raw_peer.rq(calling="NOBODY")

    def run(port: int) -> None:
        with connect(port) as peer:
            peer.send(sent)
            _expect(peer, {answer})
            _try_to_send(peer, content, half_closes=True)
            _expect(peer, {CLOSED, ABORT})

    return Case(name, run)


def _staged(state: State, event: Event, content: bytes) -> Case:
    """Return a case in this process: nobody else can make our requestor call, or our acceptor stop."""
    sight = test_every_transition.SIGHTS.get(TRANSITIONS[event, state])

    def run(_: int) -> None:
        with STAGES[state]() as stage:
            stage.close(content)
            seen = stage.peer.read()
        assert sight is None or sight(seen), f"answered by PDU type {seen[0]}"

    return Case(f"{state.name.title()} {event.name} from a scripted peer", run)


def _try_to_send(peer: RawPeer, sent: bytes, half_closes: bool = False) -> None:
    try:
        peer.send(sent)
        if half_closes:
            peer.socket.shutdown(socket.SHUT_WR)
    except OSError:
        return  # answered and closed before we had said it all


def _expect(peer: RawPeer, expected: set[int]) -> None:
    kind, _ = peer.read()
    assert kind in expected, f"answered by PDU type {kind}, not one of {sorted(expected)}"


def _answered(send: Callable[[RawPeer, bytes], None], content: bytes, field: int, status: int) -> Callable[[int], None]:
    def run(port: int) -> None:
        with RawPeer.associated(port) as peer:
            send(peer, content)
            response = peer.response()
            found = response.field, response.number(Element.STATUS)
            assert found == (field, status), f"answered {found}, not {(field, status)}"
            peer.send(raw_peer.echo(2))
            assert peer.response().number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 2

    return run


def _aborted(send: Callable[[RawPeer, bytes], None], content: bytes) -> Callable[[int], None]:
    def run(port: int) -> None:
        with RawPeer.associated(port) as peer:
            send(peer, content)
            _expect(peer, {ABORT})

    return run


def _titled(title: str, at: int, right: str) -> Callable[[int], None]:
    request = bytearray(raw_peer.rq())
    request[6 + at : 6 + at + 16] = title.encode("latin-1").ljust(16)[:16]
    is_right = title.strip(" \0") == right

    def run(port: int) -> None:
        with RawPeer.connect(port) as peer:
            peer.send(bytes(request))
            kind, body = peer.read()
            expected = (REJECTED, b"\0\1\1" + (b"\3" if at == 20 else b"\7"))
            assert kind == ACCEPTED if is_right else (kind, body) == expected, f"answered by {kind}, {body[:4].hex()}"

    return run


def _from_elsewhere(port: int) -> None:
    with RawPeer(socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.2", 0))) as peer:
        peer.send(raw_peer.rq())
        assert peer.read() == (REJECTED, b"\0\1\1\3")


def _item_lengths(body: bytes) -> Iterator[int]:
    """Yield where the length of each item and sub-item of an A-ASSOCIATE-RQ stands."""
    at = 68
    while at < len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        yield at + 2
        inner, end = at + {0x20: 8, 0x50: 4}.get(kind, 4 + length), at + 4 + length
        while inner < end:
            yield inner + 2
            inner += 4 + struct.unpack_from(">H", body, inner + 2)[0]
        at = end
