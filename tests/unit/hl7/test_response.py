"""Answers that name each order of the message."""

from datetime import UTC, datetime

import pytest
from hl7apy.parser import parse_message

from hl7.charsets import encode
from hl7.message import Message
from hl7.reply import ReplyError, acknowledge, read_acknowledgement
from hl7.response import order_response
from tests.unit.hl7.orders import ORDER, header_of

NOW = datetime(2026, 1, 31, 10, 22, 34, tzinfo=UTC)
OMI = ORDER.replace(
    b"ORM^O01|MSG0001|P|2.3.1||||||8859/1", b"OMI^O23^OMI_O23|MSG0002|P|2.5.1||||||UNICODE UTF-8"
).replace(b"ZDS|1.2.3.4.200^100^Application^DICOM", b"IPC|A200|RP200|1.2.3.4.200|S1|US")
OMG = OMI.replace(b"OMI^O23^OMI_O23", b"OMG^O19^OMG_O19")


def answer(raw: bytes, code: str = "AA", error: ReplyError | None = None) -> bytes:
    return order_response(header_of(raw), raw, code, NOW, "B1", error)


def segments(raw: bytes) -> list[bytes]:
    return raw.split(b"\r")[:-1]


def test_accepted_order_message_is_answered_order_by_order() -> None:
    pid = segments(ORDER)[1]
    assert segments(answer(ORDER)) == [
        b"MSH|^~\\&|BROKER|RAD|RIS|HOSP|20260131102234+0000||ORR^O02|B1|P|2.3.1||||||8859/1",
        b"MSA|AA|MSG0001",
        pid,
        b"ORC|OK|P100^HIS|F200^RIS",
        b"ORC|OK|P100^HIS|F200^RIS",
    ]


def test_refused_order_message_says_so_of_each_order() -> None:
    found = segments(answer(ORDER, "AE", ReplyError("103", "ORC^2^1", "no")))
    assert found[2] == b"ERR|ORC^2^1^103&Table value not found&HL70357"
    assert found[-2:] == [b"ORC|UA|P100^HIS|F200^RIS"] * 2


@pytest.mark.parametrize(
    ("asked", "done", "not_done"),
    [
        (b"NW", b"OK", b"UA"),
        (b"CA", b"CR", b"UC"),
        (b"DC", b"DR", b"UD"),
        (b"HD", b"HR", b"UH"),
        (b"RL", b"OR", b"UR"),
        (b"RP", b"RQ", b"UM"),
        (b"XO", b"XR", b"UX"),
        (b"xo ", b"XR", b"UX"),
        (b"SC", b"OK", b"UA"),
        (b"", b"OK", b"UA"),
    ],
)
def test_order_control_answers_the_one_that_was_asked(asked: bytes, done: bytes, not_done: bytes) -> None:
    raw = ORDER.replace(b"ORC|NW|", b"ORC|" + asked + b"|")
    assert segments(answer(raw))[-1].startswith(b"ORC|" + done + b"|P100^HIS")
    assert segments(answer(raw, "AR"))[-1].startswith(b"ORC|" + not_done + b"|P100^HIS")


@pytest.mark.parametrize(
    ("raw", "message_type", "names"),
    [
        (ORDER, "ORR^O02", ["MSH", "MSA", "PID", "ORC", "ORC"]),
        (ORDER.replace(b"|2.3.1|", b"|2.2|"), "ORR^O02", ["MSH", "MSA", "PID", "ORC", "ORC"]),
        (ORDER.replace(b"|2.3.1|", b"|2.4|"), "ORR^O02^ORR_O02", ["MSH", "MSA", "PID", "ORC", "ORC"]),
        (OMG, "ORG^O20^ORG_O20", ["MSH", "MSA", "PID", "ORC", "ORC"]),
        (OMI, "ORI^O24^ORI_O24", ["MSH", "MSA", "PID", "ORC", "OBR", "ORC", "OBR", "IPC"]),
    ],
)
def test_answer_is_of_the_kind_that_belongs_to_the_order(raw: bytes, message_type: str, names: list[str]) -> None:
    message = Message.read(answer(raw))
    assert message.segments[0].raw(9) == message_type
    assert [segment.name for segment in message.segments] == names
    theirs = parse_message(answer(raw).decode("ascii"), find_groups=False)
    assert [child.name for child in theirs.children] == names


def test_numbers_are_sent_back_byte_for_byte() -> None:
    raw = ORDER.replace(b"P100^HIS", b" P\xfc\\T\\1^H&1.2&ISO~x ").replace(b"\r", b"\r\n")
    assert segments(answer(raw))[-1] == b"ORC|OK| P\xfc\\T\\1^H&1.2&ISO~x |F200^RIS"


@pytest.mark.parametrize("declared", ["GB 18030-2000", "BIG-5", "ISO IR14", "~ISO IR87"])
def test_numbers_whose_bytes_equal_delimiters_are_sent_back_whole(declared: str) -> None:
    codec = {"GB 18030-2000": "gb18030", "BIG-5": "big5", "ISO IR14": "shift_jis", "~ISO IR87": "iso2022_jp"}[declared]
    name = next(c for c in map(chr, range(0x4E00, 0x9FFF)) if b"|" in c.encode(codec, "ignore")).encode(codec)
    raw = ORDER.replace(b"8859/1", declared.encode()).replace(b"P100^HIS", name)
    assert segments(answer(raw))[-1] == b"ORC|OK|" + name + b"|F200^RIS"


def test_patient_is_sent_back_only_in_a_set_that_the_answer_declares() -> None:
    raw = ORDER.replace(b"8859/1", b"KLINGON").replace(b"Muster", b"M\xfcller")
    assert b"PID|" not in answer(raw, "AR", ReplyError("103", "MSH^1^18"))
    assert encode("Müller", "8859/1") in answer(ORDER.replace(b"Muster", b"M\xfcller"))


@pytest.mark.parametrize("raw", [ORDER.replace(b"ORM^O01", b"ADT^A08"), ORDER])
def test_other_messages_and_accept_level_get_the_general_acknowledgement(raw: bytes) -> None:
    code = "CA" if raw is ORDER else "AA"
    assert answer(raw, code) == acknowledge(header_of(raw), code, NOW, "B1")


def test_answer_to_a_broken_order_message_is_still_one() -> None:
    raw = b"MSH|^~\\&|A|B|C|D|||ORM^O01|5|P|2.3\rORC\rORCX|1\rORC|NW\x1c\r\rPID|x\x1c\r"
    found = answer(raw, "AE", ReplyError("101", "PID^1^3", "missing"))
    assert b"\x1c\r" not in found
    assert [line[:3] for line in segments(found)] == [b"MSH", b"MSA", b"ERR", b"ORC", b"ORC", b"PID"]
    assert read_acknowledgement(found).control_id == "5"
