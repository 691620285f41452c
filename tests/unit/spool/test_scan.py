"""Reading what routing needs: every encoding, and every lie about a length."""

import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.spool import names
from broker.spool.scan import Scan, Scanner
from tests.unit.spool.datasets import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    data_set,
    element,
    pieces,
)

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def scanned(data: bytes, syntax: str = EXPLICIT, size: int = 7) -> Scan:
    scanner = Scanner(syntax)
    for piece in pieces(data, size):
        scanner.feed(piece)
    return scanner.finish()


def nested(depth: int, syntax: str = EXPLICIT) -> bytes:
    inner = b""
    for _ in range(depth):
        item = element(ITEM, "", inner, length=UNDEFINED, syntax=syntax) + element(ITEM_END, "", syntax=syntax)
        end = element(SEQUENCE_END, "", syntax=syntax)
        inner = element(0x00081140, "SQ", item, length=UNDEFINED, syntax=syntax) + end
    return inner


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_encoding_gives_the_same_attributes(syntax: str, size: int) -> None:
    found = scanned(data_set(syntax=syntax), syntax, size)
    assert found.problem == "" and not found.cut
    assert found.attributes["StudyInstanceUID"] == "1.2.3"
    assert found.attributes["Modality"] == "US"
    assert found.attributes["StationName"] == "USROOM2"


def test_a_deflated_data_set_is_inflated_for_reading() -> None:
    deflate = zlib.compressobj(wbits=-15)
    found = scanned(deflate.compress(data_set()) + deflate.flush(), DEFLATED)
    assert found.attributes["SeriesInstanceUID"] == "1.2.3.9"


def test_names_and_birth_dates_of_patients_are_not_read() -> None:
    data = element(0x00100010, "PN", b"Secret^Name") + element(0x00100030, "DA", b"19700101")
    assert scanned(data).attributes == {names.DIGEST: names.digest("Secret^Name")}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_sequences_of_undefined_length_are_passed_over(syntax: str) -> None:
    found = scanned(nested(3, syntax) + data_set(syntax=syntax), syntax)
    assert found.problem == ""
    assert found.attributes["PatientID"] == "P1"


def test_unknown_sequence_of_undefined_length_is_implicit_inside() -> None:
    inner = element(0x00080060, "CS", b"XX", syntax=IMPLICIT)
    item = element(ITEM, "", inner, length=len(inner))
    data = element(0x00091001, "UN", item, length=UNDEFINED) + element(SEQUENCE_END, "") + data_set()
    assert scanned(data).attributes["Modality"] == "US"


def test_an_attribute_inside_a_sequence_is_not_the_instances_own() -> None:
    inner = element(0x00080060, "CS", b"XX")
    item = element(ITEM, "", inner, length=len(inner))
    data = element(0x00081140, "SQ", item) + element(0x00080060, "CS", b"US")
    assert scanned(data).attributes["Modality"] == "US"


def test_nesting_beyond_the_bound_stops_reading() -> None:
    assert "nested deeper" in scanned(nested(40) + data_set()).problem
    assert "nested deeper" in scanned(nested(5000)).problem


def test_more_elements_than_the_bound_stop_reading() -> None:
    assert "4096 elements" in scanned(element(0x00080001, "UL", b"\0\0\0\0") * 5000, size=4096).problem


@pytest.mark.parametrize("length", [UNDEFINED - 1, 0x7FFFFFFF])
def test_a_huge_length_is_counted_and_not_allocated(length: int) -> None:
    scanner = Scanner(EXPLICIT)
    tracemalloc.start()
    scanner.feed(element(0x00091001, "OB", b"x", length=length))
    for _ in range(100):
        scanner.feed(bytes(10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    assert scanner.finish().cut


def test_a_long_value_is_passed_over() -> None:
    assert scanned(element(0x00081030, "LO", b"x" * 2000) + data_set()).attributes.get("StudyDescription") is None


def test_the_first_of_two_equal_elements_counts() -> None:
    assert scanned(element(0x00080060, "CS", b"US") + element(0x00080060, "CS", b"CT")).attributes["Modality"] == "US"


@pytest.mark.parametrize("cut", [3, 9, 15])
def test_a_data_set_that_ends_inside_an_element_is_cut(cut: int) -> None:
    assert scanned(data_set()[:cut]).cut


def test_a_deflate_bomb_is_given_up() -> None:
    deflate = zlib.compressobj(wbits=-15)
    start = element(0x00091001, "OB", length=200_000_000)
    bomb = deflate.compress(start + bytes(100_000_000)) + deflate.flush()
    tracemalloc.start()
    found = scanned(bomb, DEFLATED, 16_384)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "beyond bounds" in found.problem
    assert peak < 2_000_000


def test_what_is_no_element_is_a_problem() -> None:
    assert scanned(b"GET / HTTP/1.1\r\n\r\n").problem or scanned(b"GET / HTTP/1.1\r\n\r\n").cut
    assert "value representation" in scanned(b"\x08\x00\x05\x00\x01\x02\x00\x00").problem
    assert "outside a sequence" in scanned(element(ITEM, "")).problem


@pytest.mark.parametrize(
    ("character_set", "raw", "text"),
    [
        (b"", b"Mueller", "Mueller"),
        (b"ISO_IR 100", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", "Łódź \\ 東京".encode(), "Łódź\\東京"),
        (b"ISO_IR 144", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
        (b"GB18030", "王小东".encode("gb18030"), "王小东"),
        (b"\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        (b"\\ISO 2022 IR 149", b"\x1b$)C" + "홍길동".encode("euc_kr"), "홍길동"),
        (b"ISO_IR 192", b"\xff\x00a\x1b", "\ufffda"),
        (b"nonsense", b"abc", "abc"),
    ],
)
def test_text_is_decoded_by_the_character_set(character_set: bytes, raw: bytes, text: str) -> None:
    data = element(0x00080005, "CS", character_set) + element(0x00080080, "LO", raw)
    assert scanned(data).attributes["InstitutionName"] == text


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=600), syntax=st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]))
def test_any_bytes_give_a_scan(data: bytes, syntax: str) -> None:
    found = scanned(data, syntax, 50)
    assert all(len(value) <= 1024 for value in found.attributes.values())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_data_set_gives_a_scan(data: st.DataObject) -> None:
    whole = bytearray(nested(4) + data_set())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    scanned(bytes(whole), EXPLICIT, 64)
