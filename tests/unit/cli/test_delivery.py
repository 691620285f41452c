"""`broker delivery hold` and `release`, of deliveries and of whole destinations."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.database import Database
from broker.delivery import destination_store, store
from broker.delivery.model import DestinationState
from broker.environments import profile as profiles
from broker.environments.model import Priority
from broker.migrations import open_database
from broker.spool import store as spool
from tests.unit.cli.conftest import Command
from tests.unit.cli.day import audited
from tests.unit.exams.building import instance

Ask = Callable[..., Any]

PACS = """
[[destinations]]
name = "pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 104
ae_title = "PACS"
"""


@pytest.fixture
def database(environments: Path) -> Iterator[Database]:
    """The environment `test` with a PACS to which two instances are owed."""
    file = environments / "test.toml"
    file.write_text(file.read_text() + PACS)
    opened = open_database(profiles.read(profiles.find("test")))
    now = datetime.now(UTC)
    with opened.write("spool-index") as tx:
        for number, priority in ((1, Priority.ROUTINE), (2, Priority.STAT)):
            spool.add(tx, instance(number, now))
            store.owe(tx, f"{number:026}", ("pacs",), now, {"pacs": priority})
    yield opened
    opened.close()


def due(database: Database) -> bool:
    with database.read() as tx:
        return store.has_due(tx, "pacs", datetime.now(UTC) + timedelta(days=1))


def test_what_waits_for_a_destination_that_fails_says_when_it_is_tried_again(database: Database, as_json: Ask) -> None:
    now = datetime.now(UTC)
    for due_at, why in ((now + timedelta(hours=1), "pacs: asleep; tried again at "), (now, "pacs: asleep")):
        with database.write("delivery") as tx:
            destination_store.set_destination_state(tx, DestinationState("pacs", 1, due_at, "asleep", now))
        for row in as_json("delivery", "list", "--env", "test"):
            assert row["why"].startswith(why)
            assert row["why"].endswith(("CET", "CEST", "asleep"))


@pytest.mark.usefixtures("database")
def test_a_delivery_is_held_with_its_reason_and_let_go(run: Command, as_json: Ask) -> None:
    assert run("delivery", "hold", 1, "--why", "wrong patient", "--env", "test").stdout == "held: 1\n"
    (held,) = as_json("delivery", "list", "--state", "held", "--env", "test")
    assert held["why"].endswith(": wrong patient") and held["why"].startswith("held by ")
    assert "release 1" in run("delivery", "retry", 1, "--env", "test", code=1).stderr
    assert "nothing was held" in run("delivery", "hold", 1, "--why", "x", "--env", "test", code=1).stderr
    assert run("delivery", "release", 1, "--env", "test").stdout == "released: 1\n"
    (first,) = [row for row in as_json("delivery", "list", "--env", "test") if row["id"] == 1]
    assert (first["state"], first["why"]) == ("waiting", "")
    entries = [entry for entry in audited() if entry.action.startswith("delivery.")]
    assert [(entry.action, entry.subject) for entry in entries] == [("delivery.held", "1"), ("delivery.released", "1")]
    assert entries[0].detail["why"] == "wrong patient"


def test_a_destination_is_held_and_let_go(database: Database, run: Command, as_json: Ask) -> None:
    said = run("delivery", "hold", "--destination", "pacs", "--why", "new disks", "--env", "test").stdout
    assert said == (
        "held: pacs; 2 deliveries wait, and what comes waits too, until `broker delivery release --destination pacs`\n"
    )
    assert not due(database)
    rows = as_json("delivery", "list", "--env", "test")
    assert {row["state"] for row in rows} == {"waiting"}
    assert all(row["why"].startswith("pacs: held by ") and row["why"].endswith(": new disks") for row in rows)
    again = run("delivery", "hold", "--destination", "pacs", "--why", "x", "--env", "test", code=1).stderr
    assert "already" in again
    assert "released: pacs" in run("delivery", "release", "--destination", "pacs", "--env", "test").stdout
    assert due(database)
    assert "is not held" in run("delivery", "release", "--destination", "pacs", "--env", "test", code=1).stderr
    entries = [(entry.action, entry.subject) for entry in audited()]
    assert entries == [("destination.held", "pacs"), ("destination.released", "pacs")]


def test_what_the_profile_lost_may_still_be_held(database: Database, run: Command) -> None:
    with database.write("delivery") as tx:
        store.owe(tx, "x" * 26, ("gone",), datetime.now(UTC))
    assert "held: gone" in run("delivery", "hold", "--destination", "gone", "--why", "x", "--env", "test").stdout


@pytest.mark.usefixtures("database")
def test_the_list_shows_the_priority(as_json: Ask) -> None:
    assert [row["priority"] for row in as_json("delivery", "list", "--env", "test")] == ["stat", "routine"]


@pytest.mark.usefixtures("database")
def test_mistakes_are_one_clear_line(run: Command) -> None:
    hold = ("delivery", "hold", "--why", "x", "--env", "test")
    assert "by ID, or a destination" in run(*hold, code=2).stderr
    assert "by ID, or a destination" in run(*hold, 1, "--destination", "pacs", code=2).stderr
    assert "did you mean 'pacs'?" in run(*hold, "--destination", "pac", code=1).stderr
    assert "no delivery 99" in run(*hold, 99, code=1).stderr
    assert "--why" in run("delivery", "hold", 1, "--env", "test", code=2).stderr
    assert "says nothing" in run("delivery", "hold", 1, "--why", " ", "--env", "test", code=2).stderr


def test_a_failing_destination_that_is_held_keeps_its_state(database: Database) -> None:
    now = datetime.now(UTC)
    with database.write("delivery") as tx:
        destination_store.hold_destination(tx, "pacs", "held by x: y", now)
        failing = destination_store.destination_state(tx, "pacs")
        destination_store.set_destination_state(tx, failing)
        assert destination_store.held(tx, "pacs") == "held by x: y"
