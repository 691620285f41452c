"""What the clock applies, and what it refuses to. When a watch ends is `test_watching`'s."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from broker.alerts.store import open_alerts
from broker.database import Database, sqlite_url
from broker.environments.model import Profile
from broker.errors import Unavailable
from broker.migrations import upgrade
from broker.promotion import clockwork, flow, gate, store
from broker.promotion.gate import Here
from broker.promotion.model import CheckResult, CheckState, Life, RequestState
from broker.registry import store as registry
from broker.registry.document import read
from broker.registry.model import Binding
from tests.conftest import FakeClock
from tests.unit.promotion.test_flow import ANN, HERE, ONE, PASSED, approve, by, worlds

__all__ = ["worlds"]


class Source:
    """A test environment in the same database: its device is written there before, and is gone when asked."""

    def __init__(self, profile: Profile, database: Database, clock: FakeClock) -> None:
        self.profile, self.database, self.is_gone = profile, database, False
        with database.write("registry") as tx:
            registry.apply(tx, read(ONE, "us"), ONE, ANN, clock.now())
            registry.bind(tx, "us", Binding("10.0.0.2", 104), ANN, clock.now())

    @contextmanager
    def __call__(self, _file: Path) -> Iterator[Here]:
        if self.is_gone:
            raise Unavailable("the database does not answer")
        with self.database.read() as tx:
            yield Here(self.profile, tx)


def _checks(state: CheckState) -> tuple[CheckResult, ...]:
    return (CheckResult("verification", "Verification", state, "as it is"),)


@pytest.fixture
def source(worlds: tuple[Profile, Profile], tmp_path_factory: pytest.TempPathFactory, clock: FakeClock) -> Source:

    database = Database(sqlite_url(tmp_path_factory.mktemp("source") / "broker.db"))
    upgrade(database)
    return Source(worlds[0], database, clock)


def _scheduled(
    database: Database, worlds: tuple[Profile, Profile], source: Source, clock: FakeClock, minutes: int = 60
) -> str:

    with source(Path()) as here, database.write("promotion") as tx:
        made = gate.prepared(here, Here(worlds[1], tx), "us", HERE, lambda *_: (PASSED,), clock.now())
        asked = flow.requested(tx, made.plan, made.content, made.binding, "test.toml", by(clock))
        number = flow.number_of(asked)
        asked = store.find(tx, number, "production")
    request = approve(database, clock, asked)
    with database.write("promotion") as tx:
        flow.scheduled(tx, request, clock.now() + timedelta(minutes=minutes), by(clock))
    return request.id


def _run(
    database: Database, worlds: tuple[Profile, Profile], source: Source, clock: FakeClock, state: CheckState
) -> int:
    return clockwork.apply_due(worlds[1], database, clock, lambda *_: _checks(state), source)


def _state(database: Database, id_: str) -> RequestState:
    with database.read() as tx:
        return store.find(tx, int(id_.rpartition("/")[2]), "production").state


def test_an_approved_request_is_applied_when_its_time_has_come(
    database: Database, worlds: tuple[Profile, Profile], source: Source, clock: FakeClock
) -> None:
    id_ = _scheduled(database, worlds, source, clock)
    assert _run(database, worlds, source, clock, CheckState.PASSED) == 0
    clock.advance(3600)
    assert _run(database, worlds, source, clock, CheckState.PASSED) == 1
    assert _state(database, id_) is RequestState.APPLIED
    assert _run(database, worlds, source, clock, CheckState.PASSED) == 0
    with database.read() as tx:
        assert registry.content(tx, "us") == ONE


def test_what_cannot_be_applied_then_is_told_and_lapses(
    database: Database, worlds: tuple[Profile, Profile], source: Source, clock: FakeClock
) -> None:
    id_ = _scheduled(database, worlds, source, clock)
    clock.advance(3600)
    assert _run(database, worlds, source, clock, CheckState.FAILED) == 0
    assert _state(database, id_) is RequestState.LAPSED
    with database.read() as tx:
        (alert,) = open_alerts(tx)
        assert not registry.modalities(tx)
        assert store.life(tx, "us") is Life.DRAFT
    assert (alert.event, alert.subject) == ("promotion.not-applied", "us")


def test_a_source_that_does_not_answer_is_told_and_asked_again(
    database: Database, worlds: tuple[Profile, Profile], source: Source, clock: FakeClock
) -> None:
    id_ = _scheduled(database, worlds, source, clock)
    clock.advance(3600)
    source.is_gone = True
    assert _run(database, worlds, source, clock, CheckState.PASSED) == 0
    assert _state(database, id_) is RequestState.APPROVED
    source.is_gone = False
    assert _run(database, worlds, source, clock, CheckState.PASSED) == 1
