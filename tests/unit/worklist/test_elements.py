"""Reading and writing data sets, and the bounds of what is read."""

import random

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from broker.worklist import elements
from broker.worklist.elements import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    Malformed,
    read,
    write,
)
from tests.unit.worklist.building import SYNTAXES, decoded, encoded


def nested(depth: int, undefined: bool) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "deep"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([dataset])
        outer["ReferencedStudySequence"].is_undefined_length = undefined
        dataset.is_undefined_length_sequence_item = undefined
        dataset = outer
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_what_pydicom_writes_is_read_and_written_back(syntax: str, undefined: bool) -> None:
    dataset = nested(3, undefined)
    dataset.PatientName = "Muster^Eva"
    dataset.PregnancyStatus = 3
    found = read(encoded(dataset, syntax), syntax)
    assert decoded(write(reversed(found), syntax), syntax) == dataset


@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_is_bounded(undefined: bool) -> None:
    assert read(encoded(nested(8, undefined)), IMPLICIT_LITTLE_ENDIAN)
    with pytest.raises(Malformed, match="nest"):
        read(encoded(nested(9, undefined)), IMPLICIT_LITTLE_ENDIAN)


def test_a_thousand_levels_end_as_any_other_mistake() -> None:
    opening = b"\x08\x00\x10\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(Malformed, match="nest"):
        read(opening * 1000, IMPLICIT_LITTLE_ENDIAN)


def test_size_and_number_are_bounded() -> None:
    with pytest.raises(Malformed, match="bytes"):
        read(bytes(elements.MAXIMUM_BYTES + 1), IMPLICIT_LITTLE_ENDIAN)
    with pytest.raises(Malformed, match="elements"):
        read(b"\x10\x00\x10\x00\x00\x00\x00\x00" * (elements.MAXIMUM_ELEMENTS + 1), IMPLICIT_LITTLE_ENDIAN)


def test_an_unknown_sequence_of_undefined_length_is_read() -> None:
    inner = b"\x10\x00\x20\x00\x04\x00\x00\x00" + b"4711"  # implicit inside UN (PS3.5 6.2.2)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
    data = b"\x09\x00\x01\x10UN\x00\x00\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    (found,) = read(data, EXPLICIT_LITTLE_ENDIAN)
    assert found.items[0][0].value == b"4711"


@pytest.mark.parametrize(
    "data",
    [
        b"\x10",
        b"\x10\x00\x10\x00",
        b"\x10\x00\x10\x00\x05\x00\x00\x00abc",
        b"\x40\x00\x00\x01\xff\xff\xff\xff",
        b"\x40\x00\x00\x01\x08\x00\x00\x00\x10\x00\x10\x00\x00\x00\x00\x00",
        b"\x10\x00\x10\x00\xff\xff\xff\xff",
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00",
        b"\x40\x00\x00\x01\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
    ],
)
def test_what_is_cut_or_out_of_place_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data, IMPLICIT_LITTLE_ENDIAN)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_mutated_bytes_are_read_or_malformed_and_nothing_else(syntax: str) -> None:
    chance = random.Random(7)
    original = encoded(nested(4, undefined=True), syntax)
    for _ in range(500):
        data = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(bytes(data[: chance.randint(0, len(data))]), syntax)
        except Malformed:
            continue


def test_other_transfer_syntaxes_are_refused() -> None:
    with pytest.raises(Malformed, match="syntax"):
        read(b"", "1.2.840.10008.1.2.4.50")
    assert elements.byte_order(EXPLICIT_BIG_ENDIAN) == "big"
