"""A clock that was set back delays no message by more than we ever wait."""

from datetime import timedelta

import pytest

from broker.database import Database
from broker.environments.model import OrderEvent
from broker.outbox import available, store, studies
from broker.outbox.state import LONGEST_WAIT, after_silence
from tests.conftest import FakeClock
from tests.unit.outbox.examples import owed

DAY = timedelta(days=1)


def failed(database: Database, clock: FakeClock, tries: int) -> None:
    """Bring a message to where it waits after so many tries without an answer."""
    owed(database, clock, OrderEvent.STARTED)
    with database.write("outbox") as tx:
        (message,) = store.lease(tx, "ris", clock.now(), 1, token="t", lease_seconds=60)
        decision = after_silence(TimeoutError(), tries, clock.now(), 1.0)
        assert store.finish(tx, message.id, "t", decision, "", clock.now())


def mended(database: Database, clock: FakeClock) -> int:
    with database.write("outbox") as tx:
        return store.put_forward(tx, clock.now() + LONGEST_WAIT, clock.now())


@pytest.mark.parametrize("tries", [1, 99])
def test_a_message_that_failed_before_the_clock_was_set_back_is_due(
    database: Database, clock: FakeClock, tries: int
) -> None:
    failed(database, clock, tries)
    assert mended(database, clock) == 0, "it waits as it should"
    clock.advance(-3652 * 86400)
    assert mended(database, clock) == 1
    with database.read() as tx:
        assert store.has_due(tx, "ris", clock.now())


def test_a_study_that_came_before_the_clock_was_set_back_is_quiet_once_its_time_is_over(
    database: Database, clock: FakeClock
) -> None:
    with database.write("outbox") as tx:
        studies.note_studies(tx, ("ris",), {"1.2": clock.now()}, 1)
        clock.advance(-DAY.total_seconds())
        available.put_forward(tx, clock.now())
        assert studies.awaited_studies(tx, "ris", clock.now() - timedelta(minutes=1), clock.now()) == []
        clock.advance(60)
        assert len(studies.awaited_studies(tx, "ris", clock.now() - timedelta(minutes=1), clock.now())) == 1
