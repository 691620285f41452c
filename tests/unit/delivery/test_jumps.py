"""A clock that was set back delays nothing by more than we ever wait."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.database import Database
from broker.delivery import jumps
from broker.errors import Unavailable
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.unit.delivery.test_worker import Desk

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "is_back"),
    [(None, True), (NOW, False), (NOW - timedelta(days=1), False), (NOW + timedelta(hours=1), True)],
)
def test_a_clock_is_set_back_when_it_shows_less_than_before(before: datetime | None, is_back: bool) -> None:
    assert jumps.is_set_back(before, NOW) is is_back


@pytest.mark.parametrize("days", [1, 3652])
def test_what_failed_before_the_clock_was_set_back_is_due(
    database: Database, tmp_path: Path, clock: FakeClock, days: int
) -> None:
    desk = Desk(database, FileSpool(tmp_path / "spool"), clock)
    desk.receive("1.1")
    desk.pacs.refusals[""] = Unavailable("nobody there")
    assert desk.deliver() == 1
    clock.advance(-days * 86400)
    desk.pacs.refusals.clear()
    assert desk.deliver() == 0
    assert jumps.mend(database, ["pacs", "archive"], clock.now()) == 1
    assert desk.deliver() == 1
    assert [uid for uid, _ in desk.pacs.stored] == ["1.1"]


def test_what_waits_as_it_should_goes_on_waiting(database: Database, tmp_path: Path, clock: FakeClock) -> None:
    desk = Desk(database, FileSpool(tmp_path / "spool"), clock)
    desk.receive("1.1")
    desk.pacs.refusals[""] = Unavailable("nobody there")
    assert desk.deliver() == 1
    assert jumps.mend(database, ["pacs"], clock.now()) == 0
    assert desk.deliver() == 0
