"""`broker order list` and `show`: what stands, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, MAX, audited, order, take


@pytest.fixture
def filled(environments: Path) -> None:
    """The environment `test` with three orders, one of them changed and one canceled."""
    take(
        [
            order(1, "NW", EVA, 200, "202611220930"),
            order(2, "NW", MAX, 201, "202611221000"),
            order(3, "XO", EVA, 200, "202611221115"),
            order(4, "NW", MAX, 202, "202611231400"),
            order(5, "CA", MAX, 202, "202611231400"),
        ]
    )


def test_every_verb_is_in_the_help_and_can_be_imported(run: Command) -> None:
    shown = run("order", "--help").stdout
    for verb in ("send", "try", "list", "show", "inbox", "message", "replay", "dismiss", "status", "golden"):
        assert verb in shown
        assert "Usage" in run("order", verb, "--help").stdout


@pytest.mark.usefixtures("filled")
def test_order_is_shown_by_its_numbers(run: Command, as_json: Callable[..., Any]) -> None:
    for key in ("A200", "P200", "F200", "1"):
        assert as_json("order", "show", key, "--env", "test")["accession_number"] == "A200"
    assert "order list" in run("order", "show", "NONE", "--env", "test", code=1).stderr


@pytest.mark.usefixtures("filled")
def test_every_value_says_which_field_of_which_message_gave_it(run: Command, as_json: Callable[..., Any]) -> None:
    shown = as_json("order", "show", "A200", "--env", "test")
    found = {row["attribute"]: row["from"] for row in shown["provenance"]}
    assert found["AccessionNumber"] == "OBR-18 of message 1"
    assert found["ScheduledProcedureStepStartTime"] == "ORC-7.4 of message 3"
    assert found["StudyInstanceUID"].startswith("made here: ")
    assert all(row["from"] and "not recorded" not in row["from"] for row in shown["provenance"])
    table = run("order", "show", "A200", "--env", "test").stdout
    assert "OBR-18 of message 1" in table
    assert "made here: " in table


@pytest.mark.usefixtures("filled")
def test_history_names_the_messages_and_how_each_was_acknowledged(as_json: Callable[..., Any]) -> None:
    history = as_json("order", "show", "A202", "--env", "test")["history"]
    assert [(line["did"], line["message"], line["control_id"], line["acknowledged"]) for line in history] == [
        ("created", 4, "M4", "AA"),
        ("canceled", 5, "M5", "AA"),
    ]


@pytest.mark.usefixtures("filled")
def test_raw_messages_are_shown_in_their_own_character_set(run: Command, as_json: Callable[..., Any]) -> None:
    table = run("order", "show", "A200", "--env", "test", "--raw").stdout
    assert "PID|||4711^^^HOSP^MR||Müster^Eva||19800229|F\n" in table
    messages = as_json("order", "show", "A200", "--env", "test", "--raw")["messages"]
    assert [one["id"] for one in messages] == [1, 3]


@pytest.mark.usefixtures("filled")
def test_orders_are_listed_newest_first_and_by_patient_state_and_day(as_json: Callable[..., Any]) -> None:
    def listed(*words: object) -> list[str]:
        return [row["accession_number"] for row in as_json("order", "list", "--env", "test", *words)]

    assert listed() == ["A202", "A201", "A200"]
    assert listed("--limit", 1) == ["A202"]
    assert listed("--patient", "4712") == listed("--patient", "4712^^^HOSP") == ["A202", "A201"]
    assert listed("--patient", "4712^^^OTHER") == []
    assert listed("--state", "canceled") == ["A202"]
    assert listed("--state", "scheduled") == ["A201", "A200"]
    assert listed("--day", "2026-11-22") == listed("--day", "20261122") == ["A201", "A200"]


@pytest.mark.usefixtures("filled")
def test_what_a_limit_leaves_out_is_said(run: Command) -> None:
    assert "1 more" in run("order", "list", "--env", "test", "--patient", "4712", "--limit", 1).stderr


@pytest.mark.usefixtures("filled")
def test_that_orders_were_read_is_audited_without_patient_data(run: Command) -> None:
    run("order", "list", "--env", "test")
    run("order", "show", "A200", "--env", "test")
    entries = [(entry.action, entry.subject) for entry in audited()]
    assert entries == [("order.read", "3 orders"), ("order.read", "order 1")]
