"""Wildcards against a second opinion, and their bounded time."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from broker.worklist.wildcards import fold, literal_prefix, matches, name_forms


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_they_match_as_a_regular_expression_would(pattern: str, value: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    assert matches(pattern, value) is (re.fullmatch(expression, value) is not None)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_what_matches_begins_with_the_literal_prefix(pattern: str, value: str) -> None:
    assert not matches(pattern, value) or value.startswith(literal_prefix(pattern))


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_eight_asterisks_cost_no_time() -> None:
    start = time.monotonic()
    for _ in range(100):
        assert not matches("*a*a*a*a*a*a*a*b", "a" * 64)
    assert time.monotonic() - start < 1


def test_separators_of_names_are_understood_where_no_caret_is() -> None:
    assert name_forms("SMITH, JOHN") == ("smith, john", "smith^john")
    assert name_forms("SMITH^JOHN PAUL") == ("smith^john paul",)
    assert name_forms("Smith") == ("smith",)
