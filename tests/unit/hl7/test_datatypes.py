"""Timestamps and names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.datatypes import NO_TIMESTAMP, PersonName, Precision, cnn, preferred, timestamp, xcn, xpn
from hl7.errors import Hl7Error


@pytest.mark.parametrize(
    ("text", "date", "time", "offset", "precision"),
    [
        ("2026", "", "", None, "year"),
        ("202602", "", "", None, "month"),
        ("20260201", "20260201", "", None, "day"),
        ("2026020109", "20260201", "090000", None, "hour"),
        ("202602010930", "20260201", "093000", None, "minute"),
        ("20260201093015", "20260201", "093015", None, "second"),
        ("20260201093015.1", "20260201", "093015", None, "second"),
        ("20260201093015.1234", "20260201", "093015", None, "second"),
        ("20260201093015+0100", "20260201", "093015", 60, "second"),
        ("20260201093015.12-0330", "20260201", "093015", -210, "second"),
        ("20260201+1400", "20260201", "", 840, "day"),
        (" 20240229 ", "20240229", "", None, "day"),
        ("20260201000000", "20260201", "000000", None, "second"),
    ],
)
def test_timestamp_is_taken_apart(text: str, date: str, time: str, offset: int | None, precision: str) -> None:
    found = timestamp(text)
    assert (found.date, found.time, found.offset, found.precision) == (date, time, offset, precision)


@pytest.mark.parametrize("text", ["", " ", '""', "0", "0000", "00000000", "00000000000000"])
def test_placeholder_says_nothing(text: str) -> None:
    assert timestamp(text) is NO_TIMESTAMP
    assert timestamp(text).precision is Precision.NONE


@pytest.mark.parametrize(
    "text",
    [
        "20260230",
        "20250229",
        "20261301",
        "20260100",
        "00000101",
        "2026020124",
        "202602012400",
        "202602011260",
        "20260201125960",
        "202",
        "2026020",
        "20260201093015.",
        "20260201093015.12345",
        "20260201093015123",
        "20260201+14",
        "20260201+1401",
        "20260201+0160",
        "2026-02-01",
        "tomorrow",
        "٢٠٢٦",
        "20260201093015Z",
    ],
)
def test_what_is_no_timestamp_is_a_data_type_error_without_the_value(text: str) -> None:
    with pytest.raises(Hl7Error) as refused:
        timestamp(text)
    assert (refused.value.code, refused.value.location) == ("102", "")
    assert text not in str(refused.value)
    assert refused.value.at("PID^1^7").location == "PID^1^7"


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.text(max_size=24), st.text("0123456789.+-", max_size=24)))
def test_no_text_breaks_the_reading_of_a_timestamp(text: str) -> None:
    try:
        timestamp(text)
    except Hl7Error as error:
        assert error.code == "102"


def test_xpn_swaps_suffix_and_prefix() -> None:
    assert xpn(("Muster", "Eva ", "M", "Jr", "Dr", "PhD", "L")) == PersonName("Muster", "Eva", "M", "Dr", "Jr", "PhD")
    assert xpn(("Muster",)) == PersonName("Muster")
    assert xpn(()) == PersonName()
    assert xpn(("Muster", '""')) == PersonName("Muster")


@pytest.mark.parametrize(
    ("components", "name"),
    [
        (("77", "Refer", "Rita", "", "Jr", "Dr"), PersonName("Refer", "Rita", "", "Dr", "Jr")),
        (("77",), PersonName()),
        (("Refer, Rita",), PersonName("Refer", "Rita")),
        (("Rita Refer",), PersonName("Rita Refer")),
        (("Refer, Rita", "Order"), PersonName("Order")),
        ((), PersonName()),
    ],
)
def test_xcn_begins_with_an_identifier(components: tuple[str, ...], name: PersonName) -> None:
    assert xcn(components) == name
    assert cnn(components) == name


@pytest.mark.parametrize(
    ("types", "index"), [(["A", "L"], 1), (["M", "N", "D"], 2), (["A", "M"], 0), ([""], 0), (["A", ""], 1), ([], 0)]
)
def test_legal_name_is_preferred(types: list[str], index: int) -> None:
    assert preferred([("X", "", "", "", "", "", kind) for kind in types]) == index
