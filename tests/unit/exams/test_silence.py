"""When a silent RIS is worth a word: a table of moments, and that it is said once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import Profile, SilenceSettings
from broker.exams import silence
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, Arrival, EntryState, HeaderFacts
from tests.unit.environments.test_profile import WHOLE

BERLIN = ZoneInfo("Europe/Berlin")
SETTINGS = SilenceSettings(minutes=30)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of February 2026 in Berlin; the 2nd is a Monday."""
    return datetime(2026, 2, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("last", "now", "since"),
    [
        (at(2, 10), at(2, 10, 29), None),
        (at(2, 10), at(2, 10, 30), at(2, 10)),
        (at(2, 17, 50), at(3, 7, 20), None),  # a quiet night is no silence
        (at(2, 17, 50), at(3, 7, 30), at(3, 7)),
        (at(2, 10), at(2, 18), None),  # the day is over
        (at(2, 10), at(3, 6, 59), None),
        (at(6, 10), at(7, 12), None),  # Saturday
        (None, at(2, 7, 10), None),
        (None, at(2, 9), at(2, 7)),  # it never sent anything
    ],
)
def test_a_silence_counts_within_working_hours(last: datetime | None, now: datetime, since: datetime | None) -> None:
    assert silence.silent_since(last, SETTINGS, BERLIN, now.astimezone(UTC)) == since
    assert silence.silent_since(last, replace(SETTINGS, minutes=0), BERLIN, now) is None


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE.replace("port = 2575", "port = 2575\nsilent_minutes = 30"), encoding="utf-8")
    return profiles.read(file)


def message(database: Database, received: datetime) -> None:
    with database.write("inbox") as tx:
        arrival = Arrival(received, "127.0.0.1", 4000)
        inbox.keep(tx, arrival, b"MSH|", HeaderFacts(True, False), state=EntryState.APPLIED, outcome=ACCEPTED)


def test_a_silence_is_told_once_and_a_new_one_again(database: Database, profile: Profile) -> None:
    message(database, at(2, 8))
    with database.write("alerts") as tx:
        assert silence.untold(tx, profile, at(2, 8, 20)) is None
        assert silence.untold(tx, profile, at(2, 8, 40)) == timedelta(minutes=40)
        assert silence.untold(tx, profile, at(2, 8, 41)) is None
        assert silence.silence(tx, profile, at(2, 8, 41)) == timedelta(minutes=41)
    message(database, at(2, 9))
    with database.write("alerts") as tx:
        assert silence.silence(tx, profile, at(2, 9, 10)) is None
        assert silence.untold(tx, profile, at(2, 9, 30)) == timedelta(minutes=30)


def test_it_says_what_may_be_wrong_and_what_to_do() -> None:
    text = silence.alert_text(timedelta(minutes=95))
    assert "1 h 35 min" in text
    assert "broker worklist print" in text
