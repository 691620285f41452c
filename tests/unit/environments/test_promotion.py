"""`[promotion]` of a profile."""

import pytest

from broker.environments.promotion import PromotionSettings, read_promotion
from broker.environments.reading import parse
from broker.errors import Misconfigured


def test_what_is_asked_of_a_device_by_default_and_by_a_site() -> None:
    assert read_promotion(parse(b"", "f")) == PromotionSettings(soak_exams=3, soak_days=2, clock_minutes=5)
    root = parse(b"[promotion]\nsoak_exams = 10\nsoak_days = 5\nclock_minutes = 1\n", "f")
    assert read_promotion(root) == PromotionSettings(10, 5, 1)


@pytest.mark.parametrize("line", ["soak_exams = 0", "soak_days = 400", "soak_day = 2"])
def test_a_mistake_is_named(line: str) -> None:
    root = parse(f"[promotion]\n{line}\n".encode(), "f")
    read_promotion(root)
    with pytest.raises(Misconfigured, match=r"promotion\.soak_"):
        root.mistakes.stop()
