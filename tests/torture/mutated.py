"""Class D14: seeded mutations, over the wire and given to each reader directly. A seed gives the same bytes again."""

import io
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from broker.dimse import message
from broker.dimse.items import InvalidPdu, decode_user_information
from broker.dimse.pdu import decode_associate_ac, decode_associate_rq
from broker.spool import part10
from broker.spool.errors import DamagedInstance
from broker.spool.model import ReceiptFacts
from broker.spool.scan import Scanner
from tests.peers.raw_sender import DataSet, read_part10
from tests.wire.dimse import raw_peer
from tests.wire.dimse.raw_peer import RawPeer, data
from tests.wire.dimse.test_acceptor_states import PDUS
from tests.wire.dimse.test_bad_input import DATA, FIND, NO_DATA, STORE, command, whole_echo

FIXTURES = Path(__file__).parents[2] / "fixtures" / "dicom"
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_SCANNED = 8192  # bytes of a data set that are mutated and scanned

MESSAGES = (
    data(5, 3, command(**STORE, **DATA)) + data(5, 2, bytes(200)),
    data(3, 3, command(**FIND, **DATA)) + data(3, 2, b"\x10\0\x10\0\4\0\0\0A*  "),
    data(1, 3, whole_echo) + raw_peer.echo(2),
    data(5, 1, command(**STORE, **DATA)[:30]) + data(5, 3, command(**STORE, **DATA)[30:]) + data(5, 2, bytes(50)),
    data(1, 3, command(**{**STORE, "command_field": 0x0140}, **NO_DATA)),
)


def mutate(chance: random.Random, content: bytes) -> bytes:
    """Return `content` with one to six bytes set, and sometimes a piece taken out, doubled or cut off."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed))
        changed[at] = chance.choice(_EXTREMES) if chance.random() < 0.3 else chance.randrange(256)
    if chance.random() < 0.15:
        at = chance.randrange(len(changed))
        piece = changed[at : at + chance.randint(1, 40)]
        changed[at : at + len(piece)] = chance.choice((b"", piece * 2))
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.05 else changed)


def request_over_the_wire(port: int, chance: random.Random) -> None:
    """Send a mutated A-ASSOCIATE-RQ; whatever comes, it comes soon and is one of the answers there are."""
    with RawPeer.connect(port) as peer:
        peer.send(raw_peer.pdu(1, mutate(chance, raw_peer.rq()[6:])))
        assert peer.read()[0] in (2, 3, 7), "no answer to a request"


def message_over_the_wire(port: int, chance: random.Random) -> None:
    """Send mutated messages on an association; it ends when we do, answered or aborted."""
    sent = mutate(chance, chance.choice(MESSAGES))
    with RawPeer.associated(port) as peer:
        try:
            peer.send(sent, raw_peer.ABORT)
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # aborted and closed before we had said it all
        while (kind := peer.read()[0]) not in (0, 7):
            assert kind in (4, 6), f"answered by PDU type {kind}"


WIRE: dict[str, Callable[[int, random.Random], None]] = {
    "requests over the wire": request_over_the_wire,
    "messages over the wire": message_over_the_wire,
}


def readers() -> Iterator[tuple[str, Callable[[random.Random], None]]]:
    """Yield each reader with a function that gives it one mutation; what is not its own refusal comes out."""
    bodies = [raw_peer.rq()[6:], PDUS["ac"][6:]]
    commands = [command(**STORE, **DATA), command(**FIND, **DATA), whole_echo]
    items = [read_part10(file) for file in sorted(FIXTURES.glob("*.dcm"))]
    heads = [part10.head(_facts(item)) for item in items]
    yield "PDU reader", lambda chance: _read_pdu(chance, bodies)
    yield "command parser", lambda chance: _read_command(chance, commands)
    yield "tag scanner", lambda chance: _scan(chance, items)
    yield "spool reader", lambda chance: _read_head(chance, heads)


def _read_pdu(chance: random.Random, bodies: Sequence[bytes]) -> None:
    decode = chance.choice((decode_associate_rq, decode_associate_ac, decode_user_information))
    body = mutate(chance, chance.choice(bodies))
    try:
        decode(body[chance.choice((0, 68)) :] if decode is decode_user_information else body)
    except InvalidPdu:
        return


def _read_command(chance: random.Random, commands: Sequence[bytes]) -> None:
    try:
        message.decode(mutate(chance, chance.choice(commands)))
    except InvalidPdu:
        return


def _scan(chance: random.Random, items: Sequence[DataSet]) -> None:
    item = chance.choice(items)
    syntax = item.transfer_syntax if chance.random() < 0.7 else chance.choice(SYNTAXES)
    content = mutate(chance, item.data[:_SCANNED])
    scanner = Scanner(syntax)
    step = chance.choice((1, 7, 100, _SCANNED)) if len(content) < 500 else chance.choice((100, 1000, _SCANNED))
    for at in range(0, len(content), step):
        scanner.feed(content[at : at + step])
    scanner.finish()


SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.3")


def _read_head(chance: random.Random, heads: Sequence[bytes]) -> None:
    try:
        part10.read_head(io.BytesIO(mutate(chance, chance.choice(heads))))
    except DamagedInstance:
        return


def _facts(item: DataSet) -> ReceiptFacts:
    received = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
    return ReceiptFacts(
        "A" * 26, "PEER", "BROKER", "us", item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax, received
    )
