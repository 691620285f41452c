"""Any bytes into the framer, the reader and the answers: nothing but Hl7Error, in bounded time, and nothing is lost.

`BROKER_EXAMPLES` is how many cases each property tries, by chance; without it, a few that are always the same.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hl7.datatypes import timestamp, xcn, xpn
from hl7.encoding import codecs_of, decode
from hl7.errors import Hl7Error
from hl7.header import is_batch, read_batch_header, read_header, without_lead
from hl7.message import Message, Segment
from hl7.mllp import Discarded, Event, Frame, Framer, TooLong, frame
from hl7.reply import ReplyError, acknowledge, read_acknowledgement
from hl7.response import order_response

EXAMPLES = int(os.environ.get("BROKER_EXAMPLES", "60"))
SECONDS = 2.0  # for one case, in the worst moment of a busy machine
NOW = datetime(2026, 1, 31, 10, 22, 34, tzinfo=UTC)
FIXTURES = Path(__file__).parents[3] / "fixtures" / "hl7"
SEEDS = [file.read_bytes() for file in sorted(FIXTURES.rglob("*.hl7"))]
MSH = b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ORM^O01|1|P|2.5.1||||||"
SETS = [b"", b"8859/1", b"~ISO IR87", b"ISO IR14~ISO IR87", b"GB 18030-2000", b"UNICODE UTF-8", b"~KS X 1001", b"BIG-5"]
# What matters to a reader, far more often than chance would have it.
PIECES = [
    *(
        b"|",
        b"^",
        b"~",
        b"\\",
        b"&",
        b"\r",
        b"\n",
        b"\r\n",
        b"\x0b",
        b"\x1c",
        b"\x1c\r",
        b"\x1b$B",
        b"\x1b(B",
        b'""',
        b" ",
    ),
    *(
        b"MSH|^~\\&|",
        b"PID|",
        b"ORC|NW|",
        b"\\X0D\\",
        b"\\M2442\\",
        b"\\.br\\",
        b"\xc3\xa4",
        b"\xfc",
        b"\0",
        b"MSA|AA|1",
    ),
]

thorough = settings(
    deadline=None,
    max_examples=EXAMPLES,
    derandomize="BROKER_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
wild = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=40).map(b"".join)
declared = st.builds(lambda name, body: MSH + name + b"\r" + body, st.sampled_from(SETS), wild)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message of the fixtures with some of its bytes gone, doubled or replaced."""
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(raw)))
        end = min(len(raw), begin + draw(st.integers(0, 12)))
        raw[begin:end] = draw(
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=4), st.just(bytes(raw[begin:end]) * 2))
        )
    return bytes(raw)


payloads = st.one_of(wild, declared, mutated())


def feed(stream: bytes, cuts: list[int], maximum: int) -> tuple[list[Event], bool]:
    """Return what a framer makes of a stream that comes in pieces, and whether it gave up."""
    framer = Framer(maximum)
    events: list[Event] = []
    ends = sorted({cut % (len(stream) + 1) for cut in cuts} | {len(stream)})
    try:
        for begin, end in zip([0, *ends], ends, strict=False):
            events += framer.feed(stream[begin:end])
    except TooLong as error:
        return events + error.events, True
    return events + framer.end(), False


def frames(events: list[Event]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Frame)]


@thorough
@given(wild, st.lists(st.integers(0, 400), max_size=10))
def test_framer_finds_the_same_frames_however_the_stream_is_cut_and_accounts_for_every_byte(
    stream: bytes, cuts: list[int]
) -> None:
    events, gave_up = feed(stream, cuts, 10_000)
    assert not gave_up
    assert frames(events) == frames(feed(stream, [], 10_000)[0])
    thrown = sum(event.count for event in events if isinstance(event, Discarded))
    assert thrown + sum(len(payload) + 3 for payload in frames(events)) == len(stream)


@thorough
@given(wild, st.integers(0, 30))
def test_framer_keeps_no_more_than_its_limit(stream: bytes, maximum: int) -> None:
    events, _ = feed(stream, list(range(0, 400, 7)), maximum)
    assert all(len(payload) <= maximum for payload in frames(events))


@thorough
@given(st.lists(payloads, max_size=4), st.lists(st.integers(0, 4000), max_size=10))
def test_what_is_framed_is_found_whole(bodies: list[bytes], cuts: list[int]) -> None:
    sendable = [body for body in bodies if b"\x1c\r" not in body + b"\r" and b"\x0b" not in body]
    assert frames(feed(b"".join(map(frame, sendable)), cuts, 100_000)[0]) == sendable


@thorough
@given(payloads)
def test_no_bytes_break_the_header(raw: bytes) -> None:
    is_batch(raw)
    for header in (read_header(raw), read_batch_header(raw)):
        if header is not None:
            assert header.raw(10) == header.control_id_raw
            assert header.control_id.encode("latin-1") == header.control_id_raw


ASKS: list[Callable[[Segment, int], object]] = [
    lambda segment, field: segment.get(field),
    lambda segment, field: segment.get(field, 2, 2, 2),
    lambda segment, field: [segment.get(field, repetition=number) for number in range(segment.repetitions(field) + 2)],
    lambda segment, field: xpn(segment.components(field)),
    lambda segment, field: xcn(segment.components(field, 2)),
    lambda segment, field: segment.subcomponents(field, 3),
    lambda segment, field: segment.is_null(field),
    lambda segment, field: segment.location(field, 1),
    lambda segment, field: timestamp(segment.get(field)),
]


@thorough
@given(payloads)
def test_any_message_is_read_or_refused_and_every_field_of_it_can_be_asked_for(raw: bytes) -> None:
    began = monotonic()
    try:
        message = Message.read(raw)
    except Hl7Error:
        return
    for segment in message.segments[:30]:
        for field in range(-1, 12):
            for ask in ASKS:
                try:
                    ask(segment, field)
                except Hl7Error as error:
                    assert error.code == "102"
    assert monotonic() - began < SECONDS


@thorough
@given(payloads)
def test_reading_and_encoding_loses_nothing_but_terminators(raw: bytes) -> None:
    try:
        message = Message.read(raw)
    except Hl7Error:
        return
    header = message.header
    unified = without_lead(raw).replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    codecs = codecs_of(header.character_set, header.delimiters.repetition)
    text, codec = decode(unified, codecs, header.delimiters.escape)
    blank = " \t\f\v\0\x1a\x1c"
    assert codec == message.codec
    assert message.encode() == "".join(f"{line}\r" for line in text.split("\r") if line.strip(blank))


@thorough
@given(payloads)
def test_fields_are_what_stands_between_the_separators(raw: bytes) -> None:
    try:
        message = Message.read(raw)
    except Hl7Error:
        return
    separator = message.header.delimiters.field
    for segment in message.segments:
        shift = 1 if segment.name in ("MSH", "FHS", "BHS") else 0
        split = segment.text.strip(" \t\f\v\0\x1a\x1c").split(separator)
        assert [segment.raw(number + shift) for number in range(1, len(split))] == split[1:]


@thorough
@given(
    payloads, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.sampled_from(["AA", "AE", "AR", "CE"])
)
def test_whatever_has_a_header_gets_an_answer_that_fits_a_frame_and_names_it(raw: bytes, text: str, code: str) -> None:
    header = read_header(raw) or read_batch_header(raw)
    if header is None:
        return
    error = ReplyError("101", "PID^1^3", text) if code != "AA" else None
    for answer in (
        acknowledge(header, code, NOW, "B1", error, text=text, warnings=(text,)),
        order_response(header, raw, code, NOW, "B1", error, text=text, warnings=(text,)),
    ):
        assert frames(feed(frame(answer), [], len(answer) + 100)[0]) == [answer] or b"\x0b" in answer
        separator = header.delimiters.field.encode("ascii")
        lines = answer.split(b"\r")
        assert [line[:3] for line in lines[:2]] == [b"MSH", b"MSA"]
        assert (lines[1] + separator * 2).split(separator)[2] == header.control_id_raw
        assert read_acknowledgement(acknowledge(header, code, NOW, "B1", error)).code == code


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"PID|||" + b"~" * 10_000, id="repetitions"),
        pytest.param(b"PID|||" + b"^" * 10_000, id="components"),
        pytest.param(b"PID|||" + b"&" * 10_000, id="subcomponents"),
        pytest.param(b"OBX|1|ED|" + b"QUJD" * 262_144, id="a megabyte of base64"),
        pytest.param(b"NTE|1||" + b"x" * 5_242_880, id="five megabytes of note"),
        pytest.param(b"NTE|1||" + b"\\" * 100_000, id="escape characters"),
        pytest.param(b"NTE|1||" + b"\\X" * 50_000, id="unfinished hexadecimal"),
        pytest.param(b"NTE|1||" + b"\x1b$B" * 30_000, id="switches"),
        pytest.param(b"\r".join(b"OBX|%d|TX|a||b" % n for n in range(90_000)), id="segments"),
    ],
)
def test_flood_takes_bounded_time(body: bytes) -> None:
    began = monotonic()
    try:
        message = Message.read(MSH + b"~ISO IR87\r" + body)
        for ask in ASKS:
            for segment in (*message.segments[:2], message.segments[-1]):
                for field in (1, 3):
                    ask(segment, field)
    except Hl7Error as error:
        assert error.code in ("100", "102")
    assert monotonic() - began < 2 * SECONDS
