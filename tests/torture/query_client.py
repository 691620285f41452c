"""A console that sends the identifier it is told to, byte for byte, and reads what is answered."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.dimse import message
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import WORKLIST, RawPeer

_CONTEXT = 3
_PIECE = 16_000


@dataclass
class Conversation:
    """What was answered."""

    final: int = -1  # -1: the association ended without one
    pending: int = 0
    identifiers: list[bytes] = field(default_factory=list)


def ask(port: int, identifier: bytes, calling: str = "ANYBODY", *, cancel_after: int = -1) -> Conversation:
    """Ask, and cancel after so many answers; the association is released."""
    with _opened(port, calling) as peer:
        _send(peer, identifier)
        if cancel_after == 0:
            peer.send(raw_peer.data(_CONTEXT, 3, message.cancel_request(1)))
        heard = Conversation()
        for status, data in _answers(peer):
            heard.final = status
            if data is None:
                break
            heard.final = -1
            heard.pending += 1
            if heard.pending <= 1_000:
                heard.identifiers.append(data)
            if heard.pending == cancel_after:
                peer.send(raw_peer.data(_CONTEXT, 3, message.cancel_request(1)))
        if heard.final >= 0:
            peer.send(raw_peer.RELEASE_REQUEST)
        return heard


def leave(port: int, identifier: bytes, after: int, parting: bytes) -> int:
    """Ask, and end the association in mid-answer; return how many answers had come."""
    with _opened(port, "ANYBODY") as peer:
        _send(peer, identifier)
        count = 0
        for count, _ in enumerate(_answers(peer), 1):
            if count >= after:
                break
        peer.send(parting)
        return count


def _opened(port: int, calling: str) -> RawPeer:
    peer = RawPeer.connect(port, 60.0)
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.send(raw_peer.rq(calling=calling, maximum_length=131_072))
    assert peer.read()[0] == 2
    return peer


def _send(peer: RawPeer, identifier: bytes) -> None:
    pieces = [identifier[at : at + _PIECE] for at in range(0, len(identifier), _PIECE)] or [b""]
    sent = [raw_peer.data(_CONTEXT, 3, message.find_request(1, WORKLIST))]
    sent += [raw_peer.data(_CONTEXT, 0, piece) for piece in pieces[:-1]]
    peer.send(*sent, raw_peer.data(_CONTEXT, 2, pieces[-1]))


def _answers(peer: RawPeer) -> Iterator[tuple[int, bytes | None]]:
    """Yield status and identifier of each answer, None for the final one's; end with the association."""
    command, data = bytearray(), bytearray()
    while True:
        kind, body = peer.read()
        if kind != 4:
            return
        for control, content in _values(body):
            (command if control & 1 else data).extend(content)
            if not control & 2:
                continue
            decoded = message.decode(bytes(command))
            status = decoded.number(message.Element.STATUS) or 0
            if control & 1 and decoded.has_data_set:
                continue
            yield status, None if control & 1 else bytes(data)
            command.clear()
            data.clear()


def _values(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        yield body[at + 5], body[at + 6 : at + 4 + length]
        at += 4 + length
