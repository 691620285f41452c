"""A message asked for its fields."""

import tracemalloc
from collections.abc import Callable
from time import monotonic

import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.errors import Hl7Error, Unreadable
from hl7.message import Message, Segment
from tests.unit.hl7.orders import ORDER

MSH = b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ORM^O01|1|P|2.3.1||||||UNICODE UTF-8\r"


def segment(text: str) -> Segment:
    return Message.read(MSH + text.encode() + b"\r").segments[1]


def test_fields_components_subcomponents_and_repetitions_count_from_one() -> None:
    pid = Message.read(ORDER).first("PID")
    assert pid is not None
    assert pid.get(3) == "4711"
    assert pid.get(3, 4) == "HOSP"
    assert pid.get(3, 4, 2) == "1.2.3"
    assert pid.get(3, 4, repetition=2) == "OTHER"
    assert pid.repetitions(3) == 2
    assert pid.raw(3) == "4711^^^HOSP&1.2.3&ISO^MR~0815^^^OTHER"
    assert pid.components(3) == ("4711", "", "", "HOSP", "MR")
    assert pid.subcomponents(3, 4) == ("HOSP", "1.2.3", "ISO")
    assert pid.components(3, 2) == ("0815", "", "", "OTHER")


@pytest.mark.parametrize("finer", ["", "|a~b", "|a&b", "|\\T\\"])
def test_a_field_reads_the_same_whatever_stands_in_the_others(finer: str) -> None:
    found = segment(f"OBR|1^2|x||^z{finer}")
    leaves = [[found.get(field, component) for component in range(4)] for field in range(1, 5)]
    assert leaves == [["", "1", "2", ""], ["", "x", "", ""], ["", "", "", ""], ["", "", "z", ""]]
    assert (found.get(1, 1, 2), found.get(1, 1, 1, 2), found.get(1, 2, 1, 1)) == ("", "", "2")
    assert (found.components(1), found.components(4)) == (("1", "2"), ("", "z"))


def test_absent_is_empty() -> None:
    pid = Message.read(ORDER).first("PID")
    assert pid is not None
    assert pid.get(99) == pid.get(3, 99) == pid.get(3, 1, 99) == pid.get(3, repetition=9) == pid.raw(99) == ""
    assert pid.get(0) == pid.get(-1) == pid.get(3, 0) == ""
    assert pid.repetitions(99) == pid.repetitions(1) == 0
    assert pid.components(99) == pid.subcomponents(99) == ()


def test_msh_is_numbered_as_in_the_standard() -> None:
    msh = Message.read(ORDER).segments[0]
    assert (msh.get(1), msh.get(2), msh.get(3), msh.get(9), msh.get(9, 2), msh.get(10)) == (
        "|",
        "^~\\&",
        "RIS",
        "ORM",
        "O01",
        "MSG0001",
    )
    assert (msh.repetitions(1), msh.repetitions(2), msh.components(2)) == (1, 1, ("^~\\&",))
    assert msh.get(2, 2) == msh.get(2, repetition=2) == ""


def test_segments_are_found_by_name_and_know_their_place() -> None:
    message = Message.read(ORDER)
    first, second = message.all("OBR")
    assert (first.position, second.position) == (1, 2)
    assert second.location(20, 1) == "OBR^2^20^1"
    assert second.location(20) == "OBR^2^20"
    assert second.location() == "OBR^2"
    assert message.first("ZDS") is message.segments[-1]
    assert message.first("NTE") is None
    assert message.all("NTE") == ()


def test_null_is_not_absent() -> None:
    pid = segment('PID|||1||""^X|""|')
    assert pid.is_null(6)
    assert not pid.is_null(5)
    assert not pid.is_null(7)


def test_values_are_unescaped_after_splitting() -> None:
    obr = segment(r"OBR|1||a\S\b^c\T\d&e\R\f")
    assert obr.components(3) == ("a^b", "c&d")
    assert obr.subcomponents(3, 2) == ("c&d", "e~f")
    assert obr.raw(3) == r"a\S\b^c\T\d&e\R\f"


@pytest.mark.parametrize("terminator", [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\r \t\r"])
def test_terminators_and_blank_lines_do_not_matter(terminator: bytes) -> None:
    message = Message.read(b"\r\n" + ORDER.replace(b"\r", terminator) + b"  ")
    assert message.encode().encode("latin-1") == ORDER


@pytest.mark.parametrize(("before", "after"), [(b"", b" "), (b" ", b""), (b"\x0c", b"\t "), (b"", b"\x1a")])
def test_outer_blanks_of_a_line_are_kept_and_belong_to_no_field(before: bytes, after: bytes) -> None:
    lines = ORDER.split(b"\r")[:-1]
    outer = lines[0] + after + b"\r" + b"\r".join(before + line + after for line in lines[1:]) + b"\r"
    message = Message.read(outer)
    assert message.encode().encode("latin-1") == outer
    assert [[each.raw(n) for n in range(30)] for each in message.segments] == [
        [each.raw(n) for n in range(30)] for each in Message.read(ORDER).segments
    ]


def test_missing_last_terminator_is_no_loss() -> None:
    assert Message.read(ORDER.rstrip(b"\r")).encode().encode("latin-1") == ORDER


def test_line_that_is_no_segment_lends_its_text_to_no_place() -> None:
    stray = segment("Doe came back|today")
    assert stray.location(1) == "???^1^1"
    assert stray.text == "Doe came back|today"
    assert segment("ZDS").name == "ZDS"


def test_delimiters_not_in_use_do_not_split() -> None:
    pid = Message.read(b"MSH|^|RIS|||||||1\rPID|||1~2&3\\F\\^4\r").segments[1]
    assert pid.components(3) == ("1~2&3\\F\\", "4")
    assert pid.repetitions(3) == 1


def test_without_msh_there_is_no_message() -> None:
    with pytest.raises(Unreadable):
        Message.read(b"PID|||1\r")


def test_second_msh_is_a_segment_like_any() -> None:
    assert len(Message.read(ORDER + ORDER).all("MSH")) == 2


@pytest.mark.parametrize(
    ("body", "code", "location"),
    [
        (b"OBX|1\r" * 100_001, "100", ""),
        (b"\rX" * 100_001, "100", ""),
        (b"OBX" + b"|" * 10_001, "102", "OBX^1"),
    ],
)
def test_flood_is_refused_when_read(body: bytes, code: str, location: str) -> None:
    with pytest.raises(Hl7Error) as refused:
        Message.read(MSH + body)
    assert (refused.value.code, refused.value.location) == (code, location)


def test_flood_within_a_field_is_refused_where_it_is_asked_for() -> None:
    asks: list[tuple[str, Callable[[Segment], object]]] = [
        ("~" * 10_000, lambda s: s.repetitions(3)),
        ("^" * 10_000, lambda s: s.components(3)),
        ("&" * 10_000, lambda s: s.subcomponents(3)),
    ]
    for field, ask in asks:
        pid = segment(f"PID|||{field}|")
        assert pid.get(3) == pid.get(3, 500, 500, 500) == ""
        with pytest.raises(Hl7Error, match=r"PID\^1\^3"):
            ask(pid)


def test_a_hundred_thousand_blank_lines_are_no_segments() -> None:
    assert len(Message.read(MSH + b"\r" * 1_000_000 + b"PID|1\r").segments) == 2


@pytest.mark.parametrize(
    "body", [b"OBX|1\r" * 99_000, b"NTE|1||" + b"x" * 5_000_000, b"OBX|1|ED|" + b"\\X41" * 250_000]
)
def test_large_message_takes_bounded_time_and_memory(body: bytes) -> None:
    began = monotonic()
    tracemalloc.start()
    message = Message.read(MSH + body)
    assert message.segments[-1].get(3) is not None
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 * 1024 * 1024
    assert monotonic() - began < 10


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(
        [b"", b"MSH|^~\\&|", MSH, b"MSH|^~\\&||||||||||||||||~ISO IR87\r", b"MSH|^~\\&||||||||||||||||8859/5\r"]
    ),
    st.binary(max_size=200),
)
def test_any_bytes_are_read_or_refused_and_ask_for_nothing_more(lead: bytes, tail: bytes) -> None:
    try:
        message = Message.read(lead + tail)
    except Hl7Error:
        return
    again = Message.read(lead + tail)
    assert message.encode() == again.encode()
    for each in message.segments:
        for field in range(5):
            each.get(field, 2, 2, 2)
            each.components(field)
            each.repetitions(field)
            each.is_null(field)


FIELD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(FIELD, max_size=5), max_size=5))
def test_reading_and_encoding_loses_nothing(bodies: list[list[str]]) -> None:
    lines = [MSH.decode().rstrip("\r")] + ["|".join(["ZZZ", *fields, "end"]) for fields in bodies]
    text = "".join(f"{line}\r" for line in lines)
    message = Message.read(text.encode())
    assert message.encode() == text
    for line, each in zip(lines, message.segments, strict=True):
        shift = 1 if each.name == "MSH" else 0
        assert [each.raw(number + shift) for number in range(1, line.count("|") + 1)] == line.split("|")[1:]


DIFFERENTIAL = [
    ORDER,
    ORDER.replace(b"|P|2.3.1|", b"|T|2.4|"),
    b"MSH|^~\\&|HIS|H|B|R|20260131||ADT^A08^ADT_A01|5|P|2.5\rEVN|A08|20260131\r"
    b"PID|1||9~8^^^A&1.2&ISO||Doe^Jane^^^Dr~Roe^Jane||1980|F\rPV1|1|O|W^1^2\r",
    b"MSH$%*!?$HIS$H$B$R$20260131$$ADT%A08%ADT_A01$5$P$2.5\rEVN$A08$20260131\rPID$1$$9*8%%%A?1.2?ISO$$Doe%Jane\r",
]


@pytest.mark.parametrize("raw", DIFFERENTIAL)
def test_hl7apy_reads_the_same_leaves(raw: bytes) -> None:
    ours = Message.read(raw)
    theirs = parse_message(raw.decode("latin-1"), find_groups=False)
    assert [each.name for each in ours.segments] == [child.name for child in theirs.children]
    for mine, other in zip(ours.segments, theirs.children, strict=True):
        for number in range(3, 30) if mine.name == "MSH" else range(1, 30):
            found = [f for f in other.children if f.name == f"{mine.name}_{number}"]
            separator = ours.header.delimiters.repetition
            assert separator.join(f.to_er7() for f in found) == mine.raw(number)
