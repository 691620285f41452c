"""The table of HTTP statuses: each has a meaning, and none means that something is stored by itself."""

import pytest

from broker.delivery.http_answers import RULES, HttpRefused, Kind, is_success, refusal_text, rule


@pytest.mark.parametrize("status", range(100, 1000))
def test_every_number_has_a_meaning_in_words(status: int) -> None:
    meaning = rule(status)
    assert meaning.text
    assert is_success(status) is (200 <= status < 300)
    if is_success(status):
        assert meaning.kind is Kind.STATED


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999])
def test_what_is_no_status_is_for_a_person(status: int) -> None:
    assert rule(status).kind is Kind.CONFIGURATION


@pytest.mark.parametrize(("status", "kind"), [(299, Kind.STATED), (399, Kind.CONFIGURATION), (499, Kind.INSTANCE)])
def test_a_status_without_a_rule_means_what_its_class_means(status: int, kind: Kind) -> None:
    assert status not in RULES
    assert rule(status).kind is kind


def test_a_refusal_says_its_number_and_what_to_do() -> None:
    assert refusal_text(413) == (
        "the destination refused it with HTTP 413: it is too large for it: raise the limit there,"
        " or of a proxy between us, then retry"
    )


@pytest.mark.parametrize(("asked", "obeyed"), [(None, 0), (-1, 0), (0.5, 0.5), (86_400, 3600), (float("inf"), 3600)])
def test_we_wait_as_long_as_we_are_asked_to_up_to_an_hour(asked: float | None, obeyed: float) -> None:
    assert HttpRefused(503, asked).seconds == obeyed
