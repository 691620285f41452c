"""The quick reader finds what the careful one finds, on whole, cut and mutated data sets."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.spool.walk import identify, scan_front, scan_of, scan_whole
from tests.peers.raw_sender import read_part10
from tests.unit.spool.datasets import BIG_ENDIAN, EXPLICIT, IMPLICIT, UNDEFINED, data_set, element

FIXTURES = Path(__file__).parents[3] / "fixtures" / "dicom"


def nested(syntax: str, depth: int) -> bytes:
    """A sequence of undefined length within another, with items of known and unknown length."""
    inner = element(0x00080100, "SH", b"CODE", syntax=syntax)
    if depth:
        inner += nested(syntax, depth - 1)
    item = element(0xFFFEE000, "", inner, syntax=syntax, length=UNDEFINED) + element(0xFFFEE00D, "", syntax=syntax)
    known = element(0xFFFEE000, "", element(0x00080100, "SH", b"OTHER", syntax=syntax), syntax=syntax)
    return element(0x00081140, "SQ", item + known, syntax=syntax, length=UNDEFINED) + element(
        0xFFFEE0DD, "", syntax=syntax
    )


def same(content: bytes, syntax: str) -> None:
    careful = scan_of(memoryview(content), syntax)
    assert scan_whole(memoryview(content), syntax) == careful
    assert scan_front(memoryview(content), syntax) in (careful, None)
    quick = identify(memoryview(content), syntax)
    assert (quick.problem, quick.cut) == (careful.problem, careful.cut)
    assert all(quick.attributes.get(uid) == careful.attributes.get(uid) for uid in ("SOPClassUID", "SOPInstanceUID"))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("depth", [0, 3, 20, 40])
def test_sequences_are_passed_over_alike(syntax: str, depth: int) -> None:
    whole = nested(syntax, depth) + data_set(syntax=syntax)
    same(whole, syntax)
    for cut in range(0, len(whole), 7):
        same(whole[:cut], syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_front_of_a_data_set_tells_what_the_whole_does_or_nothing(syntax: str) -> None:
    whole = memoryview(nested(syntax, 3) + data_set(syntax=syntax, pixels=500))
    told = [scan_front(whole[:length], syntax) for length in range(0, len(whole), 3)]
    assert {each is None or each == scan_whole(whole, syntax) for each in told} == {True}
    assert told[0] is None
    assert told[-1] is not None


def test_an_item_whose_length_spells_a_value_representation_is_an_item() -> None:
    length = int.from_bytes(b"CS\0\0", "little")
    item = element(0xFFFEE000, "", bytes(length))
    same(element(0x00081140, "SQ", item, length=UNDEFINED) + element(0xFFFEE0DD, "") + data_set(), EXPLICIT)


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=300), syntax=st.sampled_from([EXPLICIT, IMPLICIT]))
def test_any_bytes_are_read_alike(content: bytes, syntax: str) -> None:
    same(content, syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_mutated_data_sets_are_read_alike(syntax: str) -> None:
    chance = random.Random(9)
    whole = nested(syntax, 2) + data_set(syntax=syntax)
    for _ in range(3000):
        mutated = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        same(bytes(mutated), syntax)


def test_samples_are_read_alike(samples: Path | None) -> None:
    files = [*FIXTURES.rglob("*.dcm"), *((samples / "dicom").rglob("*") if samples else ())]
    for file in files:
        content = file.read_bytes() if file.is_file() else b""
        if content[128:132] == b"DICM":
            item = read_part10(file)
            same(item.data, item.transfer_syntax)
