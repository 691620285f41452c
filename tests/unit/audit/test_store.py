from pathlib import Path

import pytest

from broker.audit import store
from broker.audit.model import CLOCK, Actor, ActorKind, AuditEntry
from broker.database import Database
from tests.conftest import FakeClock


def test_entries_come_back_as_they_were_recorded_oldest_first(database: Database, clock: FakeClock) -> None:
    first = AuditEntry(clock.now(), Actor(ActorKind.OS_USER, "ada"), "modality.apply", "us-1", {"revision": "abc"})
    clock.advance(1)
    second = AuditEntry(clock.now(), CLOCK, "spool.forget", "x", {})
    with database.write("audit") as tx:
        store.record(tx, first)
        store.record(tx, second)
    with database.read() as tx:
        assert list(store.entries(tx)) == [first, second]


def test_act_and_its_entry_are_committed_together_or_not_at_all(database: Database, clock: FakeClock) -> None:
    with pytest.raises(RuntimeError), database.write("audit") as tx:
        store.record(tx, AuditEntry(clock.now(), CLOCK, "a.b", "x", {}))
        raise RuntimeError
    with database.read() as tx:
        assert list(store.entries(tx)) == []


def test_fact_that_is_no_json_is_kept_as_text(database: Database, clock: FakeClock) -> None:
    with database.write("audit") as tx:
        store.record(tx, AuditEntry(clock.now(), CLOCK, "a.b", "x", {"file": Path("/x"), "at": clock.now()}))
    with database.read() as tx:
        (entry,) = store.entries(tx)
    assert entry.detail == {"file": "/x", "at": "2026-02-01 08:00:00+00:00"}


def test_actor_is_written_with_how_he_is_known() -> None:
    assert str(Actor(ActorKind.DEVICE, "US_1")) == "device:US_1"
