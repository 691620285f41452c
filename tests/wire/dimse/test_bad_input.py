"""What no honest peer sends: each has a defined answer in time, costs little memory, and the next C-ECHO succeeds."""

import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.dimse import message
from broker.dimse.items import item
from broker.dimse.message import Element
from broker.dimse.service import Rejection
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import Serve
from tests.wire.dimse.raw_peer import RawPeer, data, pdu
from tests.wire.dimse.test_acceptor_states import echoes

# Of each kind of input; the full count belongs to a campaign, not to each run of the tests.
MUTATIONS = int(os.environ.get("BROKER_MUTATIONS", "100"))

FIRST_BYTES = {
    "http": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "mllp": b"\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r\x1c\r",
    "smb": b"\0\0\0\x85\xffSMB",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
}


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@contextmanager
def bounded(port: int, seconds: float = 2.0) -> Iterator[None]:
    before, begun = resident(), time.monotonic()
    yield
    assert time.monotonic() - begun <= seconds
    assert resident() - before <= 64 * 1024 * 1024
    assert echoes(port)


@pytest.mark.parametrize("name", list(FIRST_BYTES))
def test_other_protocols_are_answered_with_an_abort(serve: Serve, name: str) -> None:
    port, _ = serve()
    with bounded(port), RawPeer.connect(port) as peer:
        peer.send(FIRST_BYTES[name])
        assert peer.read() == (7, b"\0\0\0\0")


@pytest.mark.parametrize("sent", [b"", b"\1", raw_peer.rq()[:6], raw_peer.rq()[:-1]])
def test_what_never_becomes_a_request_is_closed_in_time(serve: Serve, sent: bytes) -> None:
    port, _ = serve()
    with bounded(port, 2.5), RawPeer.connect(port) as peer:
        peer.send(sent)
        assert peer.is_closed()


@pytest.mark.parametrize("length", [0, 1, 3, 5, 131079, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", range(1, 8))
def test_every_length_of_every_pdu_has_an_answer(serve: Serve, kind: int, length: int) -> None:
    port, _ = serve()
    with bounded(port), RawPeer.associated(port) as peer:
        peer.send(struct.pack(">BxI", kind, length), bytes(min(length, 200000)))
        assert peer.read()[0] == 7


def hostile_requests() -> Iterator[tuple[str, bytes]]:
    good = raw_peer.rq()[6:]
    fixed, items_ = good[:68], good[68:]
    uid = item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    yield "fixed fields cut", fixed[:60]
    yield "item beyond the PDU", good + struct.pack(">BxH", 0x20, 65535)
    yield "item header cut", good + b"\x20"
    yield "sub-item beyond its item", fixed + item(0x20, b"\1\0\0\0" + struct.pack(">BxH", 0x30, 500))
    yield "context of 3 bytes", fixed + item(0x20, b"\1\0\0")
    yield "context without abstract syntax", fixed + item(0x20, b"\1\0\0\0")
    yield "even context id", fixed + item(0x20, b"\2\0\0\0" + uid)
    yield "context id 0", fixed + item(0x20, b"\0\0\0\0" + uid)
    yield "repeated context id", fixed + item(0x20, b"\1\0\0\0" + uid) * 2
    yield "maximum length of 3 bytes", fixed + item(0x50, item(0x51, b"123"))
    yield "role without flags", fixed + item(0x50, item(0x54, b"\0\x031.2"))
    yield "role uid too long", fixed + item(0x50, item(0x54, b"\xff\xff1.2"))
    yield "identity cut", fixed + item(0x50, item(0x58, b"\1\1\xff\xff"))
    yield "common negotiation cut", fixed + item(0x50, item(0x57, b"\0\3"))
    yield "window of 1 byte", fixed + item(0x50, item(0x53, b"1"))
    yield "items cut", fixed + items_[:-1]


@pytest.mark.parametrize(("name", "body"), list(hostile_requests()))
def test_impossible_requests_are_aborted(serve: Serve, name: str, body: bytes) -> None:
    port, _ = serve()
    with bounded(port), RawPeer.connect(port) as peer:
        peer.send(pdu(1, body))
        assert peer.read()[0] == 7, name


def test_strange_but_possible_requests_are_answered(serve: Serve) -> None:
    port, _ = serve()
    good = raw_peer.rq()[6:]
    context = b"\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    many = b"".join(item(0x20, bytes((number,)) + context) for number in range(7, 256, 2))
    padding = item(0x50, b"".join(item(0x99, bytes(1000)) for _ in range(60)))
    for body in (good + many, good + padding, good + item(0x99, bytes(60000))):
        with bounded(port), RawPeer.connect(port) as peer:
            peer.send(pdu(1, body))
            assert peer.read()[0] == 2


@pytest.mark.parametrize("seed", range(4))
def test_mutated_requests_get_an_answer_or_a_closed_connection(serve: Serve, seed: int) -> None:
    port, _ = serve()
    chance = random.Random(seed)
    for _ in range(MUTATIONS // 4):
        body = bytearray(raw_peer.rq()[6:])
        for _ in range(chance.randint(1, 6)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        with RawPeer.connect(port) as peer:
            peer.send(pdu(1, bytes(body)))
            assert peer.read()[0] in (2, 3, 7)
    assert echoes(port)


@pytest.mark.parametrize(
    "title", ["../X", "..", "", "*", "\0" * 16, "a\r\nb", "us_room2", "'; DROP TABLE", "ÄÖ", "%s%n", "x" * 16]
)
def test_titles_are_text_that_services_judge(serve: Serve, title: str) -> None:
    port, provider = serve()
    provider.rejection = Rejection(1, 1, 3)
    raw = bytearray(raw_peer.rq())
    raw[6 + 20 : 6 + 36] = title.encode("latin-1").ljust(16)[:16]
    with RawPeer.connect(port) as peer:
        peer.send(bytes(raw))
        assert peer.read() == (3, b"\0\1\1\3")
    seen = provider.requests[0].calling_ae_title
    assert seen.isascii()
    assert seen.isprintable()


def command(**values: int | str) -> bytes:
    return message.encode({Element[name.upper()]: value for name, value in values.items()})


ECHO = {"affected_sop_class_uid": raw_peer.VERIFICATION, "command_field": 0x30, "message_id": 1}
NO_DATA = {"command_data_set_type": 0x0101}
STORE = {
    "affected_sop_class_uid": raw_peer.ULTRASOUND,
    "command_field": 1,
    "message_id": 1,
    "priority": 0,
    "affected_sop_instance_uid": "1.2.3",
}
FIND = {"affected_sop_class_uid": raw_peer.WORKLIST, "command_field": 0x20, "message_id": 1}
DATA = {"command_data_set_type": 1}
whole_echo = command(**ECHO, **NO_DATA)

ANSWERED = {
    "echo without group length": (data(1, 3, whole_echo[12:]), 0x8030, 0x0000),
    "echo with message id 0": (data(1, 3, command(**{**ECHO, "message_id": 0}, **NO_DATA)), 0x8030, 0x0000),
    "command in fragments": (
        b"".join(data(1, 1, whole_echo[at : at + 2]) for at in range(0, 20, 2)) + data(1, 3, whole_echo[20:]),
        0x8030,
        0x0000,
    ),
    "command ended by an empty fragment": (data(1, 1, whole_echo) + data(1, 3, b""), 0x8030, 0x0000),
    "echo with a data set": (data(1, 3, command(**ECHO, **DATA)) + data(1, 2, bytes(9)), 0x8030, 0x0000),
    "echo with an element nobody knows": (data(1, 3, whole_echo + b"\0\0\x10\x51\3\0\0\0odd"), 0x8030, 0x0000),
    "unknown command": (data(1, 3, command(**{**ECHO, "command_field": 0x77}, **NO_DATA)), 0x8077, 0x0211),
    "C-MOVE": (data(3, 3, command(**{**FIND, "command_field": 0x21}, **DATA)) + data(3, 2, b""), 0x8021, 0x0211),
    "find without identifier": (data(3, 3, command(**FIND, **NO_DATA)), 0x8020, 0xC000),
    "find on a storage context": (data(5, 3, command(**FIND, **DATA)) + data(5, 2, b""), 0x8020, 0x0122),
    "find of another class": (
        data(3, 3, command(**{**FIND, "affected_sop_class_uid": "1.2"}, **DATA)) + data(3, 2, b""),
        0x8020,
        0xA900,
    ),
    "store with priority 7": (
        data(5, 3, command(**{**STORE, "priority": 7}, **DATA)) + data(5, 2, b"x"),
        0x8001,
        0x0000,
    ),
    "store without data set": (data(5, 3, command(**STORE, **NO_DATA)), 0x8001, 0xC000),
    "store on a worklist context": (data(3, 3, command(**STORE, **DATA)) + data(3, 2, b"x"), 0x8001, 0x0122),
    "store of another class": (
        data(5, 3, command(**{**STORE, "affected_sop_class_uid": "1.2"}, **DATA)) + data(5, 2, b"x"),
        0x8001,
        0xA900,
    ),
    **{
        f"store of instance {uid[:20]!r}": (
            data(5, 3, command(**{**STORE, "affected_sop_instance_uid": uid}, **DATA)) + data(5, 2, b"x"),
            0x8001,
            0x0117,
        )
        for uid in ("", ".", "..", "../../x", "1..2", "1.2 .3", "1.2\\3", "1" * 65, "1.2." + "3" * 1000)
    },
    "store of an instance with leading zeros": (
        data(5, 3, command(**{**STORE, "affected_sop_instance_uid": "1.02.003"}, **DATA)) + data(5, 2, b"x"),
        0x8001,
        0x0000,
    ),
}

ABORTED = {
    "data before a command": data(5, 2, b"x"),
    "command instead of data": data(5, 3, command(**STORE, **DATA)) + data(5, 3, whole_echo),
    "data on another context": data(5, 3, command(**STORE, **DATA)) + data(3, 2, b"x"),
    "context never negotiated": data(99, 3, whole_echo),
    "no command field": data(1, 3, command(message_id=1, **NO_DATA)),
    "no data set type": data(1, 3, command(**ECHO)),
    "no message id": data(1, 3, command(command_field=0x30, **NO_DATA)),
    "response without a request": data(1, 3, command(**{**ECHO, "command_field": 0x8030}, **NO_DATA)),
    "element of another group": data(1, 3, b"\x08\0\x18\0\2\0\0\0" + b"1\0"),
    "element beyond the command": data(1, 3, b"\0\0\2\0\xff\xff\xff\xff"),
    "command set beyond the limit": data(1, 1, bytes(65000)) + data(1, 1, bytes(65000)),
    "PDV beyond its PDU": pdu(4, struct.pack(">IBB", 5000, 1, 3) + whole_echo),
    "PDV of length 0": pdu(4, struct.pack(">IBB", 0, 1, 3)),
    "PDV header cut": data(1, 1, whole_echo[:2])[:-2].replace(b"\0\0\0\x08", b"\0\0\0\x06", 1)[:6] + pdu(4, b"123"),
    "identifier beyond the limit": data(3, 3, command(**FIND, **DATA)) + data(3, 0, bytes(120000)) * 10,
}


@pytest.mark.parametrize("name", list(ANSWERED))
def test_strange_messages_are_answered(serve: Serve, name: str) -> None:
    port, _ = serve()
    sent, field, status = ANSWERED[name]
    with bounded(port), RawPeer.associated(port) as peer:
        peer.send(sent)
        response = peer.response()
        assert (response.field, response.number(Element.STATUS)) == (field, status)
        peer.send(raw_peer.echo(2))  # the association goes on
        assert peer.response().number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 2


@pytest.mark.parametrize("name", list(ABORTED))
def test_impossible_messages_are_aborted(serve: Serve, name: str) -> None:
    port, _ = serve()
    with bounded(port), RawPeer.associated(port) as peer:
        peer.send(ABORTED[name])
        assert peer.read()[0] == 7


@pytest.mark.parametrize("seed", range(4))
def test_mutated_messages_are_answered_or_aborted(serve: Serve, seed: int) -> None:
    port, _ = serve()
    chance = random.Random(seed)
    whole = data(5, 3, command(**STORE, **DATA)) + data(5, 2, bytes(200))
    for _ in range(MUTATIONS // 4):
        sent = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            sent[chance.randrange(len(sent))] = chance.randrange(256)
        with RawPeer.associated(port) as peer:
            peer.send(bytes(sent))
            peer.send(raw_peer.ABORT)
            while peer.read()[0] not in (0, 7):
                pass
    assert echoes(port)
