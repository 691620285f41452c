"""The index of the spool."""

from dataclasses import replace
from datetime import UTC, datetime

from broker.database import Database
from broker.spool import store
from broker.spool.model import SpooledInstance
from tests.unit.spool.datasets import facts

NOW = datetime(2026, 2, 1, 9, 0, tzinfo=UTC)


def instance(identifier: str = "01A", uid: str = "1.2.3.4", sha256: str = "aa") -> SpooledInstance:
    attributes = {"Modality": "US", "StationName": "RAUM Ü"}
    return SpooledInstance(
        identifier,
        facts(uid),
        sha256,
        f"A/B/{identifier}.dcm",
        500,
        5_000_000_000,
        "1.2",
        "1.2.9",
        "P1",
        "A1",
        "US",
        attributes,
    )


def test_what_is_added_is_found_as_it_was(database: Database) -> None:
    with database.write("spool-index") as tx:
        store.add(tx, instance())
    with database.read() as tx:
        assert store.find(tx, "01A") == instance()
        assert store.find(tx, "01B") is None
        assert store.find_all(tx, ["01A", "01B"]) == {"01A": instance()}


def test_a_resend_is_the_same_and_other_content_a_conflict(database: Database) -> None:
    first, second = instance(), replace(instance("01B", sha256="bb"), conflicts_with="01A")
    with database.write("spool-index") as tx:
        store.add(tx, first)
        assert store.same(tx, first.facts, "aa") == first
        assert store.same(tx, first.facts, "bb") is None
        assert store.conflicting(tx, first.facts, "bb") == first
        store.add(tx, second)
    with database.read() as tx:
        assert store.find_by_sop(tx, "1.2.3.4") == [first, second]
        assert store.same(tx, first.facts, "bb") == second
        assert store.conflicting(tx, facts("9.9"), "aa") is None


def test_a_forgotten_instance_keeps_its_row(database: Database) -> None:
    with database.write("spool-index") as tx:
        store.add(tx, instance())
        store.add(tx, instance("01B", "1.5"))
        assert store.forget(tx, "01A", NOW)
        assert not store.forget(tx, "01A", NOW)
    with database.read() as tx:
        assert store.find(tx, "01A") == instance()
        assert store.known(tx, ["01A", "01B", "01C"]) == store.Known({"01B"}, {"01A"})
        assert store.counts(tx) == store.SpoolCounts(1, 5_000_000_000)
