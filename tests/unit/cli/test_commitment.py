"""`broker commitment`: what people see and do, and that it is audited."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.associations import store as associations
from broker.associations.model import Association
from broker.audit import store as audit
from broker.commitment.devices import store as requests
from broker.commitment.devices.state import Park
from broker.commitment.model import Outcome, Request
from broker.commitment.proof import store as proofs
from broker.commitment.proof.model import Proof
from broker.commitment.proof.state import Disproved, Proven
from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from tests.unit.cli.conftest import Command
from tests.unit.commitment.devices.test_store import ASKER, ONE, TWO
from tests.unit.commitment.proof.test_store import owed

Json = Callable[..., Any]
NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def database(run: Command) -> Iterator[Database]:
    opened = open_database(profiles.read(profiles.find("test")))
    yield opened
    opened.close()


def prove(database: Database) -> list[Proof]:
    """Ask for three proofs; one comes, one is refused, one is awaited."""
    with database.write("proof") as tx:
        found = [owed(tx, number, NOW) for number in (1, 2, 3)]
        proofs.ask(tx, "2.25.7", found, NOW, NOW)
        proofs.answered(tx, "2.25.7", 0, NOW)
        proofs.conclude(tx, found[0], Proven(), NOW)
        proofs.conclude(tx, found[1], Disproved("it does not have it"), NOW)
    return found


def ask(database: Database) -> None:
    """Keep a device's request of which the report was given up."""
    with database.write("commitment") as tx:
        row = Association("01A", NOW, "US1", "BROKER", "127.0.0.1", "", "", (), "us-1", "", "")
        associations.add(tx, row)
        number = requests.keep(tx, Request("2.25.9", (ONE, TWO)), ASKER, NOW)
        first, second = requests.lines(tx, number)
        requests.decide(tx, number, [(first, Outcome(ONE)), (second, Outcome(TWO, 0x0112))])
        requests.ready(tx, number, NOW)
        (due,) = requests.due_reports(tx, NOW, 1)
        requests.lease(tx, due, "token", NOW)
        requests.finish(tx, "token", Park("nothing listens on the port"), NOW)


def audited(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(entry.action, entry.subject) for entry in audit.entries(tx)]


def test_list_shows_both_directions(database: Database, as_json: Json) -> None:
    prove(database)
    ask(database)
    ours, devices = sorted(as_json("commitment", "list", "--env", "test"), key=lambda row: row["transaction"])
    assert (ours["by"], ours["to"], ours["state"]) == ("test", "pacs", "awaited")
    assert (ours["instances"], ours["committed"], ours["failed"]) == (3, 1, 1)
    assert (devices["by"], devices["to"], devices["state"]) == ("us-1", "test", "parked")
    assert (devices["instances"], devices["committed"], devices["failed"]) == (2, 1, 1)
    assert devices["why"] == "nothing listens on the port"


def test_show_says_what_became_of_each_instance(database: Database, as_json: Json) -> None:
    prove(database)
    ask(database)
    shown = as_json("commitment", "show", "2.25.9", "--env", "test")
    assert (shown["called"], shown["mode"]) == ("BROKER", "own")
    assert [line["state"] for line in shown["instances"]] == ["committed", "failed"]
    assert shown["instances"][1]["why"] == "it does not have the instance (0112)"
    ours = as_json("commitment", "show", "2.25.7", "--env", "test")
    assert [line["state"] for line in ours["instances"]] == ["proven", "failed", "asked"]


def test_an_unknown_transaction_is_said_with_what_to_do(run: Command, database: Database) -> None:
    refused = run("commitment", "show", "1.2", "--env", "test", code=1)
    assert refused.stderr == "there is no request 1.2; `broker commitment list` shows them\n"


def test_proofs_lists_what_is_open(database: Database, as_json: Json) -> None:
    prove(database)
    rows = as_json("commitment", "proofs", "--env", "test")
    assert [(row["state"], row["why"]) for row in rows] == [("failed", "it does not have it"), ("asked", "")]
    assert len(as_json("commitment", "proofs", "--state", "proven", "--env", "test")) == 1
    assert as_json("commitment", "proofs", "--destination", "other", "--env", "test") == []


def test_delivery_show_has_the_proof(database: Database, as_json: Json) -> None:
    found = prove(database)
    shown = as_json("delivery", "show", found[2].delivery_id, "--env", "test")
    assert (shown["proof"]["state"], shown["proof"]["transaction"]) == ("asked", "2.25.7")


def test_waived_proofs_let_the_spool_go_and_are_audited(run: Command, database: Database) -> None:
    found = prove(database)
    done = run("commitment", "waive", found[2].delivery_id, "--why", "seen there", "--env", "test")
    assert done.stdout == "waived: 1; 1 left the spool\n"
    assert audited(database)[-1] == ("proof.waived", str(found[2].delivery_id))
    again = run("commitment", "waive", found[2].delivery_id, "--why", "x", "--env", "test", code=1)
    assert "has no open proof" in again.stderr
    assert run("commitment", "waive", "--destination", "pacs", "--why", "x", "--env", "test").stdout.startswith(
        "waived: 1"
    )
    run("commitment", "waive", "--why", "x", "--env", "test", code=2)


def test_a_report_is_sent_again(run: Command, database: Database) -> None:
    ask(database)
    run("commitment", "report-again", "2.25.9", "--env", "test")
    with database.read() as tx:
        assert requests.requests(tx)[0].state.value == "ready"
    assert audited(database)[-1] == ("commitment.report-again", "2.25.9")
    assert "has not been sent yet" in run("commitment", "report-again", "2.25.9", "--env", "test", code=1).stderr
    run("commitment", "report-again", "1.2", "--env", "test", code=1)
