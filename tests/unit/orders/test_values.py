"""Lengths, repertoires and cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.orders import values
from broker.orders.model import Refusal


@pytest.mark.parametrize("text", ["A" * 17, "A\\B", "A\tB", "A\u0085B"])
def test_identifier_is_refused_rather_than_mended(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        values.identifier(text, 16, "OBR^1^18", "AccessionNumber")
    assert (caught.value.answer, caught.value.code, caught.value.location) == ("AE", "102", "OBR^1^18")
    assert text not in caught.value.text


def test_identifier_counts_characters_not_bytes() -> None:
    assert values.identifier(" " + "ä" * 16 + " ", 16, "", "") == "ä" * 16


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("a" * 65, values.LO, "a" * 63 + "+"),
        ("a" * 64, values.LO, "a" * 64),
        ("a" * 17, values.SH, "a" * 16),
        ("a\\b\r\nc", values.LO, "a/b c"),
    ],
)
def test_line_is_cut_and_freed_of_separators(text: str, limit: int, expected: str) -> None:
    assert values.line(text, limit) == expected


@given(st.text(max_size=300), st.sampled_from([values.SH, values.LO]))
def test_line_always_fits(text: str, limit: int) -> None:
    line = values.line(text, limit)
    assert len(line) <= limit
    assert "\\" not in line
    assert line == line.strip()
    assert all(ord(c) >= 0x20 for c in line)


@given(*[st.text(max_size=80)] * 5)
def test_person_name_always_fits_one_group(family: str, given: str, middle: str, prefix: str, suffix: str) -> None:
    name = values.person_name(family, given, middle, prefix, suffix=suffix, degree="MD")
    assert len(name) <= 64
    assert name.count("^") <= 4
    assert "=" not in name
    assert "\\" not in name


def test_person_name_gives_up_the_degree_first() -> None:
    assert values.person_name("F" * 30, "G" * 25, "M", suffix="Jr", degree="PhD") == f"{'F' * 30}^{'G' * 25}^M^^Jr"


@pytest.mark.parametrize(("text", "sex"), [("F", "F"), ("m", "M"), ("A", "O"), ("N", "O"), ("U", ""), ("", "")])
def test_sex_is_one_of_three_or_empty(text: str, sex: str) -> None:
    assert values.patient_sex(text) == sex


@pytest.mark.parametrize("text", ["1.2.03", "1..2", "1.2.3.", "x", "1." + "2" * 64])
def test_uid_is_not_mended(text: str) -> None:
    with pytest.raises(Refusal):
        values.uid(text, "ZDS^1^1", "StudyInstanceUID")


def test_comment_keeps_lines_and_loses_controls() -> None:
    assert values.lines(["a\nb\x07", "c\\d"]) == "a\r\nb \r\nc\\d"


@pytest.mark.parametrize(("text", "title"), [("US_ROOM2", "US_ROOM2"), ("A" * 17, ""), ("", ""), ("Gerät", "")])
def test_station_is_an_ae_title_or_nothing(text: str, title: str) -> None:
    assert values.ae_title(text) == title
