"""Hours of the week: their spelling, and when they begin."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.environments.schedules import is_within, opens_after, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 2, 2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("18:00-07:00", "18:00-07:00"),
        (" Mon-Fri 07:00-18:00 ", "mon,tue,wed,thu,fri 07:00-18:00"),
        ("sat,sun 00:00-24:00", "sat,sun 00:00-24:00"),
        ("fri-mon 20:00-22:00", "mon,fri,sat,sun 20:00-22:00"),
        ("mon 00:00-24:00", "mon 00:00-24:00"),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, shown: str) -> None:
    assert str(parse_hours(text)) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7:00-18:00", "must be hours such as"),
        ("25:00-26:00", "no such time"),
        ("24:00-07:00", "no such time"),
        ("08:00-08:00", "begins when it ends"),
        ("mo 08:00-09:00", "'mo' is no day"),
        ("mon- 08:00-09:00", "'' is no day"),
        ("18:60-19:00", "must be hours"),
    ],
)
def test_what_is_no_hours_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_hours(text)


@pytest.mark.parametrize(
    ("text", "day", "hour", "within"),
    [
        ("18:00-07:00", 0, (18, 0), True),
        ("18:00-07:00", 0, (6, 59), True),
        ("18:00-07:00", 0, (7, 0), False),
        ("07:00-18:00", 0, (18, 0), False),
        ("mon 18:00-07:00", 1, (6, 0), True),  # Monday's night
        ("mon 18:00-07:00", 0, (6, 0), False),
        ("sat,sun 00:00-24:00", 5, (23, 59), True),
        ("sat,sun 00:00-24:00", 4, (23, 59), False),
    ],
)
def test_hours_pass_midnight_with_the_day_they_begin_on(
    text: str, day: int, hour: tuple[int, int], within: bool
) -> None:
    civil = MONDAY.replace(day=2 + day, hour=hour[0], minute=hour[1])
    assert is_within([parse_hours(text)], civil) is within


def test_no_hours_are_all_hours() -> None:
    assert is_within((), MONDAY)
    assert opens_after((), datetime(2026, 2, 2, tzinfo=UTC), BERLIN) == datetime(2026, 2, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("texts", "now", "opens"),
    [
        (("18:00-07:00",), "2026-02-02T12:00", "2026-02-02T18:00"),
        (("18:00-07:00",), "2026-02-02T18:00", "2026-02-02T18:00"),
        (("mon 18:00-19:00",), "2026-02-02T19:00", "2026-02-09T18:00"),
        (("sun 09:00-10:00", "fri 09:00-10:00"), "2026-02-02T19:00", "2026-02-06T09:00"),
        (("02:30-03:30",), "2026-03-29T01:00", "2026-03-29T03:30"),  # the hour that the clock leaves out
        (("18:00-19:00",), "2026-03-29T01:00", "2026-03-29T18:00"),  # 17 hours by the clock, 16 in truth
    ],
)
def test_it_is_known_when_hours_begin_next(texts: tuple[str, ...], now: str, opens: str) -> None:
    schedule = [parse_hours(text) for text in texts]
    instant = datetime.fromisoformat(now).replace(tzinfo=BERLIN)
    assert opens_after(schedule, instant, BERLIN) == datetime.fromisoformat(opens).replace(tzinfo=BERLIN)
