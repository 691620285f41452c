import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.registry.model import Registry
from broker.registry.nearest import Nearest, advice, distance
from tests.unit.registry.devices import device

REGISTRY = Registry(
    1,
    (
        device("us-room-2", "US_ROOM2", host="10.0.0.2"),
        device("ct-1", "CT_1", "CT_1_SR"),
        device("us-1", "OTHER", ae_title="US_1"),
    ),
)


@pytest.mark.parametrize(
    ("calling", "title", "how"),
    [
        ("us_room2", "US_ROOM2", "in upper and lower case"),
        ("US-ROOM2", "US_ROOM2", "in punctuation"),
        ("US ROOM2", "US_ROOM2", "in blanks and punctuation"),
        ("US_ROOM2 ", "US_ROOM2", "in blanks"),
        ("us-room2", "US_ROOM2", "in upper and lower case and punctuation"),
        ("USR_OOM2", "US_ROOM2", "in the place of blanks or punctuation"),
        ("US1", "US_1", "in punctuation"),
        ("US_ROOM3", "US_ROOM2", "by one letter"),
        ("US_ROM2", "US_ROOM2", "by one letter"),
        ("SU_ROOM2", "US_ROOM2", "by one letter"),
        ("us_room22", "US_ROOM2", "by one letter"),
        ("US_RAUM2", "US_ROOM2", "by two letters"),
        ("CT_2", "CT_1", "by one letter"),
    ],
)
def test_slip_is_named_with_the_title_that_was_meant(calling: str, title: str, how: str) -> None:
    found = advice(calling, "192.0.2.1", REGISTRY)
    assert found.title == title
    assert found.why.startswith(f'"{calling}" differs from the registered title "{title}" (')
    assert found.why.endswith(f") {how}")


def test_words_name_both_titles_and_the_device() -> None:
    expected = '"us_room2" differs from the registered title "US_ROOM2" (us-room-2) in upper and lower case'
    assert advice("us_room2", "", REGISTRY) == Nearest("US_ROOM2", expected)


def test_unlike_title_from_a_bound_address_is_that_device() -> None:
    expected = '"VOLUSON" comes from 10.0.0.2, which is bound to "US_ROOM2" (us-room-2)'
    assert advice("VOLUSON", "10.0.0.2", REGISTRY) == Nearest("US_ROOM2", expected)


def test_address_says_more_than_one_letter_and_less_than_the_spelling() -> None:
    assert advice("CT_2", "10.0.0.2", REGISTRY).title == "US_ROOM2"
    assert advice("ct_1", "10.0.0.2", REGISTRY).title == "CT_1"


def test_title_that_a_binding_replaces_is_not_advised() -> None:
    assert advice("other", "", REGISTRY).title == ""


@pytest.mark.parametrize("calling", ["", "___", "CT_33", "SOMETHING"])
def test_title_like_none_gets_no_title_but_a_reason(calling: str) -> None:
    assert advice(calling, "", REGISTRY) == Nearest("", f'no registered title is near "{calling}"')


def test_empty_registry_says_so() -> None:
    assert advice("US_1", "10.0.0.2", Registry(0, ())).why == "no modality is registered in this environment"


@given(st.text("ABC", max_size=6), st.text("ABC", max_size=6))
def test_distance_is_symmetric_and_zero_only_for_the_same(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))
