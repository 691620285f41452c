"""When the process that forwards is told of new images."""

import pytest

from broker.pipeline import word
from broker.pipeline.word import Word


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock."""
    at = [1000.0]
    monkeypatch.setattr(word.time, "monotonic", lambda: at[0])
    return at


def test_the_first_image_after_a_silence_is_told_and_not_each(now: list[float]) -> None:
    told: list[float] = []
    teller = Word()
    teller.of_kept = lambda: told.append(now[0])
    for _ in range(300):
        teller.kept("a")
        now[0] += 0.001
    assert len(told) == 3


def test_the_end_of_an_association_is_told_where_it_brought_images(now: list[float]) -> None:
    told: list[float] = []
    teller = Word()
    teller.kept("a")
    teller.of_kept = lambda: told.append(now[0])
    teller.ended("b")
    assert told == []
    teller.ended("a")
    teller.ended("a")
    assert len(told) == 1


def test_without_a_listener_nothing_is_told() -> None:
    teller = Word()
    teller.kept("a")
    teller.of_owed()
    teller.ended("a")
