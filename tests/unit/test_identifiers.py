from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.identifiers import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    AETitle,
    derived_uid,
    is_uid,
    new_id,
)


def test_outer_blanks_of_a_title_have_no_meaning() -> None:
    assert AETitle("  US ROOM2 ") == "US ROOM2"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty or blank"),
        ("    ", "empty or blank"),
        ("A" * 17, "has 17 characters, at most 16"),
        ("A\\B", "backslash"),
        ("A\tB", "control"),
        ("ÜS", "non-ASCII"),
    ],
)
def test_text_that_is_no_title_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AETitle(text)


@given(st.text(max_size=20))
def test_every_title_fits_its_field(text: str) -> None:
    try:
        title = AETitle(text)
    except ValueError:
        return
    assert len(title.encode("ascii")) in range(1, 17)


@pytest.mark.parametrize("uid", ["1.2", "1.2.840.10008.1.1", "2.25.0", "1." + "9" * 62])
def test_uid_is_recognised(uid: str) -> None:
    assert is_uid(uid)


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "1..2", "1.02", "1.a", "1.2 ", "1." + "9" * 63, "1.2\n", "1.٣"])
def test_text_that_is_no_uid_is_not_taken_for_one(text: str) -> None:
    assert not is_uid(text)


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_derived_uid_is_a_uid_and_always_the_same(key: list[str]) -> None:
    assert is_uid(derived_uid(*key))
    assert derived_uid(*key) == derived_uid(*key)


def test_different_keys_have_different_uids() -> None:
    assert len({derived_uid("a", "b"), derived_uid("ab"), derived_uid("b", "a"), derived_uid("a", "b", "")}) == 4


def test_identifiers_sort_by_time_and_are_never_alike() -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    made = [new_id(now + timedelta(milliseconds=step)) for step in range(100)]
    assert made == sorted(made)
    assert len({new_id(now) for _ in range(100)}) == 100
    assert all(len(one) == 26 and one.isalnum() for one in made)


def test_our_own_names_are_legal_in_an_association() -> None:
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
