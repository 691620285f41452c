"""`[promotion]` of a profile."""

import pytest

from broker.environments.promotion import PromotionSettings, read_promotion
from broker.environments.reading import parse
from broker.environments.secret import Secret
from broker.errors import Misconfigured


def test_what_is_asked_of_a_device_by_default_and_by_a_site() -> None:
    assert read_promotion(parse(b"", "f")) == PromotionSettings(soak_exams=3, soak_days=2, clock_minutes=5)
    root = parse(b"[promotion]\nsoak_exams = 10\nsoak_days = 5\nclock_minutes = 1\n", "f")
    assert read_promotion(root) == PromotionSettings(10, 5, 1)
    root = parse(b'[promotion]\nwatch_exams = 4\nwatch_hours = 8\npacket_hours = 2\npacket_key = { env = "K" }\n', "f")
    assert read_promotion(root) == PromotionSettings(
        watch_exams=4, watch_hours=8, packet_hours=2, packet_key=Secret(variable="K")
    )


@pytest.mark.parametrize("line", ["soak_exams = 0", "soak_days = 400", "soak_day = 2"])
def test_a_mistake_is_named(line: str) -> None:
    root = parse(f"[promotion]\n{line}\n".encode(), "f")
    read_promotion(root)
    with pytest.raises(Misconfigured, match=r"promotion\.soak_"):
        root.mistakes.stop()
