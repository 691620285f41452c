"""How long: the tables of a profile for exams, silence, expiry and retention."""

from datetime import time
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.model import ExamSettings, Identity, Profile, SilenceSettings
from broker.errors import Misconfigured
from tests.unit.environments.test_profile import WHOLE


def read(tmp_path: Path, hl7: str = "", more: str = "") -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE.replace("port = 2575", f"port = 2575\n{hl7}", 1) + more, encoding="utf-8")
    return profiles.read(file)


def test_without_a_word_nothing_is_held_purged_or_silent_and_items_expire_after_a_week(tmp_path: Path) -> None:
    profile = read(tmp_path)
    assert profile.exams == ExamSettings(60, 60, 30, 15, Identity.FLAG)
    assert profile.hl7.silence == SilenceSettings(0, time(7), time(18), frozenset(range(5)))
    assert (profile.expire_days, profile.retention_days) == (7, 0)


def test_every_limit_can_be_said(tmp_path: Path) -> None:
    profile = read(
        tmp_path,
        'silent_minutes = 20\nworking_hours = "06:30-22:00"\nworking_days = ["Mon", "sun"]',
        '\n[exams]\nstarted_late_minutes = 10\nquiet_minutes = 5\nidentity = "hold"\n'
        "[worklist]\nexpire_days = 0\n[retention]\ndays = 400\n",
    )
    assert profile.hl7.silence == SilenceSettings(20, time(6, 30), time(22), frozenset({0, 6}))
    assert profile.exams == ExamSettings(10, 60, 30, 5, Identity.HOLD)
    assert (profile.expire_days, profile.retention_days) == (0, 400)


@pytest.mark.parametrize(
    ("hl7", "more", "key"),
    [
        ('working_hours = "7 to 18"', "", "hl7.working_hours"),
        ('working_hours = "18:00-07:00"', "", "hl7.working_hours"),
        ('working_days = ["Mo"]', "", "hl7.working_days"),
        ("silent_minutes = -1", "", "hl7.silent_minutes"),
        ("", '[exams]\nidentity = "stop"\n', "exams.identity"),
        ("", "[exams]\nquiet_minutes = 0\n", "exams.quiet_minutes"),
        ("", "[exams]\nlate = 5\n", "exams.late"),
        ("", "[worklist]\nexpire_days = -1\n", "worklist.expire_days"),
        ("", '[retention]\ndays = "all"\n', "retention.days"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, hl7: str, more: str, key: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, hl7, f"\n{more}")
    assert f": {key}: " in str(caught.value)
