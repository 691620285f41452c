"""The studies of which a receiver is to be told."""

from datetime import datetime, timedelta

from broker.database import Database
from broker.outbox import studies
from tests.conftest import FakeClock


def test_studies_are_awaited_until_they_are_quiet(database: Database, clock: FakeClock) -> None:
    now = clock.now()

    def awaited(quiet_since: datetime) -> list[str]:
        with database.read() as tx:
            return [s.study_instance_uid for s in studies.awaited_studies(tx, "ris", quiet_since, clock.now())]

    with database.write("outbox") as tx:
        assert studies.seen_deliveries(tx) == 0
        studies.note_studies(tx, ("ris",), {"1.1": now, "1.2": now - timedelta(seconds=9)}, 7)
        studies.note_studies(tx, ("ris",), {"1.1": now + timedelta(seconds=9), "1.2": now - timedelta(days=1)}, 8)
        assert studies.seen_deliveries(tx) == 8
    assert awaited(now) == ["1.2"]
    clock.advance(9)
    assert awaited(clock.now()) == ["1.2", "1.1"]
    with database.write("outbox") as tx:
        first, second = studies.awaited_studies(tx, "ris", clock.now(), clock.now())
        studies.forget_study(tx, first)
        studies.ask_later(tx, second, clock.now() + timedelta(hours=1))
    assert awaited(clock.now()) == []
    clock.advance(3600)
    assert awaited(clock.now()) == ["1.1"]
