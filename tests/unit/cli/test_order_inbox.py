"""`broker order inbox` and `message`: what waits for a person, why, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.cli.order_inbox import what_next
from broker.inbox.model import FOR_PEOPLE, Arrival, EntryState, InboxEntry
from tests.unit.cli.conftest import Command
from tests.unit.cli.day import ARRIVED, EVA, MAX, audited, merge, order, pid, take

NOISE = b"GET / HTTP/1.1\r\nHost: \x1b[2Jx\r\n"


@pytest.fixture
def filled(environments: Path) -> None:
    """Messages 1 to 5: taken, for a person (unmapped), for a person (merge), refused, noise."""
    take(
        [
            order(1, "NW", EVA, 200, "202611220930"),
            order(2, "ZZ", EVA, 200, "202611220930"),
            order(3, "NW", MAX, 201, "202611221000"),
            merge(4, MAX, "4711"),
            order(5, "NW", pid("", "Ohne^Nummer", "19700101", "M"), 202, "202611221000"),
            NOISE,
        ]
    )


@pytest.mark.usefixtures("filled")
def test_by_default_only_what_waits_for_a_person_is_listed_newest_first(as_json: Callable[..., Any]) -> None:
    found = as_json("order", "inbox", "--env", "test")
    assert [(entry["id"], entry["state"]) for entry in found] == [(6, "unreadable"), (4, "person"), (2, "person")]
    assert "order control" in found[2]["next"]
    assert "--decided" in found[1]["next"]
    assert [entry["id"] for entry in as_json("order", "inbox", "--env", "test", "--all")] == [6, 5, 4, 3, 2, 1]
    assert [entry["id"] for entry in as_json("order", "inbox", "--env", "test", "--state", "refused")] == [5]


@pytest.mark.usefixtures("filled")
def test_the_table_says_why_and_what_to_do(run: Command) -> None:
    shown = run("order", "inbox", "--env", "test").stdout
    assert "broker order replay 2" in shown
    assert "broker order dismiss 6 --why TEXT" in shown
    assert "it does not begin with an MSH segment" in shown
    assert "AE 204 at MRG^1" in shown


def test_an_inbox_in_which_nothing_waits_says_so(run: Command) -> None:
    assert "no message waits for a person" in run("order", "inbox", "--env", "test").stdout


@pytest.mark.usefixtures("filled")
def test_one_message_is_shown_with_its_text_and_its_answer(run: Command, as_json: Callable[..., Any]) -> None:
    shown = run("order", "message", 2, "--env", "test").stdout
    assert "Müster^Eva" in shown
    assert "MSA|AE|M2" in shown
    assert shown == run("order", "inbox", "--env", "test", "show", 2).stdout
    assert as_json("order", "message", 2, "--env", "test")["raw"].startswith("MSH|")
    assert ("message.read", "2") in [(entry.action, entry.subject) for entry in audited()]
    assert "order inbox" in run("order", "message", 99, "--env", "test", code=1).stderr


@pytest.mark.usefixtures("filled")
def test_controls_of_a_message_do_not_steer_the_terminal(run: Command) -> None:
    shown = run("order", "message", 6, "--env", "test").stdout
    assert "Host: \\x1b[2Jx" in shown
    assert "\x1b[2J" not in shown
    assert "(not at all)" in shown


def test_everything_that_waits_for_a_person_says_what_to_do(entry: Callable[[EntryState], InboxEntry]) -> None:
    for state in EntryState:
        assert bool(what_next(entry(state))) == (state in FOR_PEOPLE | {EntryState.REFUSED})


@pytest.fixture
def entry() -> Callable[[EntryState], InboxEntry]:
    return lambda state: InboxEntry(7, Arrival(ARRIVED, "10.1.4.20", 1), b"", "", "RIS", "HOSP", "ADT^A08", "M7", state)
