"""`broker order try`: what messages would do is shown, and nothing is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, MAX, audited, order, take

SOURCES = """
[[hl7.sources]]
name = "ris-2"
sending_application = "RIS2"
addresses = ["10.1.0.0/16"]
mapping = "filler-number"
[dicom]"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new order, its change, something unmapped, its cancel."""
    file = tmp_path / "new.hl7"
    file.write_bytes(
        order(11, "NW", EVA, 300, "202611241000")
        + order(12, "XO", EVA, 300, "202611241130")
        + order(13, "ZZ", EVA, 300, "202611241130")
        + order(14, "CA", EVA, 300, "202611241130")
    )
    return file


def test_messages_are_tried_on_what_those_before_would_have_done(as_json: Callable[..., Any], file: Path) -> None:
    tried = as_json("order", "try", file, "--env", "test", code=3)["messages"]
    assert [one["code"] for one in tried] == ["AA", "AA", "AE", "AA"]
    assert [one["would_be"] for one in tried] == [["created"], ["changed"], [], ["canceled"]]
    assert [one["orders"] for one in tried] == [["new (A300)"], ["new (A300)"], [], ["new (A300)"]]
    assert [[item["what"] for item in one["items"]] for one in tried] == [["appears"], ["changes"], [], ["leaves"]]
    assert tried[1]["items"][0]["attributes"] == [
        {
            "attribute": "ScheduledProcedureStepStartTime",
            "before": "100000",
            "after": "113000",
            "before_from": "ORC-7.4",
            "after_from": "ORC-7.4",
        }
    ]


def test_nothing_is_done(as_json: Callable[..., Any], file: Path) -> None:
    as_json("order", "try", file, "--env", "test", code=3)
    assert as_json("order", "list", "--env", "test") == []
    assert as_json("order", "inbox", "--env", "test", "--all") == []
    assert as_json("worklist", "list", "--env", "test") == []
    assert audited()[0].action == "order.tried"


def test_the_table_shows_values_before_and_after_with_their_fields(run: Command, file: Path) -> None:
    shown = run("order", "try", file, "--env", "test", code=3).stdout
    assert "A300 (OBR-18)" in shown
    assert "100000 (ORC-7.4)" in shown
    assert "made here: derived from" in shown


def test_a_message_that_changes_nothing_says_so(run: Command, tmp_path: Path, environments: Path) -> None:
    taken = order(1, "NW", MAX, 201, "202611221000")
    take([taken])
    again = tmp_path / "again.hl7"
    again.write_bytes(taken)
    assert "the worklist stays as it is" in run("order", "try", again, "--env", "test").stdout


def test_message_is_tried_as_another_source_whatever_its_header_and_address(
    run: Command, as_json: Callable[..., Any], environments: Path, tmp_path: Path
) -> None:
    profile = environments / "test.toml"
    profile.write_text(profile.read_text(encoding="utf-8").replace("\n[dicom]", SOURCES), encoding="utf-8")
    one = tmp_path / "one.hl7"
    one.write_bytes(order(11, "NW", EVA, 300, "202611241000"))
    (tried,) = as_json("order", "try", one, "--env", "test", "--as-source", "ris-2")["messages"]
    assert tried["orders"] == ["new (F300)"]
    (tried,) = as_json("order", "try", one, "--env", "test")["messages"]
    assert tried["orders"] == ["new (A300)"]
    assert "ris-2" in run("order", "try", one, "--env", "test", "--as-source", "ris-3", code=1).stderr


def test_more_messages_than_may_hold_up_the_listener_are_refused(run: Command, tmp_path: Path) -> None:
    many = tmp_path / "many.hl7"
    many.write_bytes(order(1, "NW", EVA, 300, "202611241000") * 201)
    assert "200 at once" in run("order", "try", many, "--env", "test", code=1).stderr
