"""`broker order` against a listener, a database and files of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.clock import SystemClock
from broker.environments import profile as profiles
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, Arrival, EntryState, Outcome
from broker.listeners import mllp
from broker.migrations import open_database
from broker.orders import messages, store
from tests.golden.orders import CASES, CONTEXT
from tests.unit.cli.conftest import Command

REFUSED = Outcome("AE", "PID^1^3", "101", "PatientID is missing")


@pytest.fixture
def listener() -> Iterator[int]:
    server = mllp.listen("127.0.0.1", 0, lambda raw, _: REFUSED if b"|BAD|" in raw else ACCEPTED, SystemClock())
    with capture_logs():  # the listener's log is on another process's stderr in real life
        yield server.start()
        assert server.stop(5)


def two_messages(folder: Path, second: str) -> Path:
    file = folder / "two.hl7"
    header = "MSH|^~\\&|RIS|HOSP|B|R|20260131||ORM^O01|{}|T|2.3.1\r\nPID|||1\r\n"
    file.write_bytes((header.format("M1") + "\n" + header.format(second)).encode())
    return file


def test_each_message_of_a_file_is_sent_and_its_answer_shown(
    as_json: Callable[..., Any], listener: int, tmp_path: Path
) -> None:
    rows = as_json("order", "send", two_messages(tmp_path, "M2"), "--env", "test", "--port", listener)
    assert [(row["control_id"], row["code"]) for row in rows] == [("M1", "AA"), ("M2", "AA")]


def test_answer_other_than_acceptance_exits_3(run: Command, listener: int, tmp_path: Path) -> None:
    done = run("order", "send", two_messages(tmp_path, "BAD"), "--env", "test", "--port", listener, code=3)
    assert "PID^1^3" in done.stdout


def test_listener_that_is_not_there_is_named(run: Command, tmp_path: Path) -> None:
    done = run("order", "send", two_messages(tmp_path, "M2"), "--env", "test", "--port", 1, code=1)
    assert "127.0.0.1:1" in done.stderr


def test_missing_file_is_named(run: Command, tmp_path: Path) -> None:
    assert "none.hl7" in run("order", "send", tmp_path / "none.hl7", "--env", "test", code=1).stderr


@pytest.fixture
def filled(environments: Path) -> None:
    """The environment `test` with the worked example's order in it."""
    database = open_database(profiles.read(profiles.find("test")))
    raw = (CASES / "worked_example.hl7").read_bytes()
    with database.write("orders") as tx:
        entry = inbox.keep(tx, Arrival(CONTEXT.now, "127.0.0.1", 1), raw, messages.header_facts(raw))
        for change in messages.translate(raw, CONTEXT):
            store.apply(tx, change, CONTEXT.now, entry)
        inbox.finish(tx, entry, EntryState.APPLIED, ACCEPTED)
    database.close()


@pytest.mark.usefixtures("filled")
def test_order_is_shown_by_its_numbers(run: Command, as_json: Callable[..., Any]) -> None:
    for key in ("A200", "P100", "F200", "1.2.3.4.200"):
        assert as_json("order", "show", key, "--env", "test")["accession_number"] == "A200"
    assert "order list" in run("order", "show", "NONE", "--env", "test", code=1).stderr


@pytest.mark.usefixtures("filled")
def test_orders_and_inbox_are_listed(as_json: Callable[..., Any]) -> None:
    (order,) = as_json("order", "list", "--env", "test")
    assert (order["accession_number"], order["start"], order["steps"]) == ("A200", "20260201 093000", 2)
    (entry,) = as_json("order", "inbox", "--env", "test")
    assert (entry["control_id"], entry["state"], entry["code"]) == ("MSG0001", "applied", "AA")
    assert as_json("order", "inbox", "--env", "test", "--state", "refused") == []
