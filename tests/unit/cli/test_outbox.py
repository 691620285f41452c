"""`broker outbox`: what people see and do, and that it is audited."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.audit import store as audit
from broker.database import Database
from broker.environments import profile as profiles
from broker.environments.model import OrderEvent
from broker.migrations import open_database
from broker.outbox import store
from broker.owed import Delivered, Park
from tests.unit.cli.conftest import Command
from tests.unit.outbox.examples import RIS, order

Json = Callable[..., Any]
NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def database(run: Command) -> Iterator[Database]:
    """The database of the test world with two messages, of which the first is parked."""
    opened = open_database(profiles.read(profiles.find("test")))
    with opened.write("orders") as tx:
        for event in (OrderEvent.STARTED, OrderEvent.COMPLETED):
            store.owe(tx, (RIS,), order(), event, ("S1",), NOW)
        first, _ = store.lease(tx, "ris", NOW, 2, token="t", lease_seconds=60)
        store.finish(tx, first.id, "t", Park("refused with AE", "who?"), "AE", NOW)
        store.release(tx, "t")
    yield opened
    opened.close()


def deliver_the_second(database: Database) -> None:
    with database.write("outbox") as tx:
        (second,) = store.lease(tx, "ris", NOW, 1, token="u", lease_seconds=60)
        store.finish(tx, second.id, "u", Delivered(), "AA", NOW)


def audited(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(entry.action, entry.subject) for entry in audit.entries(tx)]


def test_list_is_newest_first_and_names_no_patient(database: Database, as_json: Json) -> None:
    rows = as_json("outbox", "list", "--env", "test")
    assert [(row["id"], row["state"], row["event"]) for row in rows] == [
        (2, "waiting", "completed"),
        (1, "parked", "started"),
    ]
    assert (rows[1]["order"], rows[1]["steps"], rows[1]["code"]) == (1, ["S1"], "AE")
    assert rows[1]["why"] == "refused with AE; it says: who?"
    assert "Muster" not in str(rows)
    assert audited(database) == []


def test_list_of_a_state_has_that_state_only(database: Database, as_json: Json) -> None:
    assert [row["id"] for row in as_json("outbox", "list", "--state", "parked", "--env", "test")] == [1]
    assert as_json("outbox", "list", "--state", "delivered", "--env", "test") == []


def test_shown_message_has_its_text_and_the_reading_is_audited(database: Database, as_json: Json) -> None:
    shown = as_json("outbox", "show", 1, "--env", "test")
    assert "PID|1||4711^^^HOSP||Muster^Eva^M^Jr^Dr||19800229|F" in shown["text"].splitlines()
    assert shown["control_id"] in shown["text"]
    assert audited(database) == [("outbox.read", "1")]


def test_retried_message_is_due_and_that_is_audited(database: Database, run: Command, as_json: Json) -> None:
    assert run("outbox", "retry", 1, 1, "--env", "test").stdout == "to be sent: 1\n"
    row = as_json("outbox", "list", "--env", "test")[1]
    assert (row["state"], row["tries"]) == ("waiting", 0)
    assert audited(database) == [("outbox.retried", "1")]


def test_message_that_would_put_the_order_back_is_not_retried(database: Database, run: Command) -> None:
    deliver_the_second(database)
    result = run("outbox", "retry", 1, "--env", "test", code=1)
    assert "older than message 2" in result.stderr
    assert audited(database) == []


def test_delivered_message_is_neither_retried_nor_discarded(database: Database, run: Command) -> None:
    deliver_the_second(database)
    assert "is delivered; nothing was retried" in run("outbox", "retry", 2, "--env", "test", code=1).stderr
    assert "nothing was discarded" in run("outbox", "discard", 2, "--why", "x", "--env", "test", code=1).stderr


def test_discarded_message_says_who_and_why(database: Database, run: Command, as_json: Json) -> None:
    run("outbox", "discard", 1, "--env", "test", code=2)  # a reason is asked for
    run("outbox", "discard", 1, "--why", "told by telephone", "--env", "test")
    row = as_json("outbox", "list", "--env", "test")[1]
    assert row["state"] == "discarded"
    assert row["why"].startswith("discarded by os-user:")
    assert row["why"].endswith(": told by telephone")
    assert audited(database) == [("outbox.discarded", "1")]


def test_unknown_message_is_named(database: Database, run: Command) -> None:
    for words in (("show", 9), ("retry", 9), ("discard", 9, "--why", "x")):
        assert "there is no message 9" in run("outbox", *words, "--env", "test", code=1).stderr
