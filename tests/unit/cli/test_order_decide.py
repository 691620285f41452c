"""`broker order replay`, `dismiss` and `status`: what a person decides is done, and audited."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, MAX, audited, merge, order, take

WITH_ZZ = '\norder_control = "control.toml"\n[dicom]'


@pytest.fixture
def filled(environments: Path) -> None:
    """Messages 1 to 4: two orders, one for a person (unmapped), one for a person (a merge of two people)."""
    take(
        [
            order(1, "NW", EVA, 200, "202611220930"),
            order(2, "NW", MAX, 201, "202611221000"),
            order(3, "ZZ", EVA, 200, "202611221115"),
            merge(4, MAX, "4711"),
        ]
    )


def patient_of(as_json: Callable[..., Any], key: str) -> str:
    return str(as_json("order", "show", key, "--env", "test")["patient"]["patient_id"])


def acts() -> list[tuple[str, str, object]]:
    return [(e.action, e.subject, e.detail.get("why")) for e in audited() if not e.action.endswith(".read")]


@pytest.mark.usefixtures("filled")
def test_replay_without_a_change_gives_the_same_answer_and_exits_3(as_json: Callable[..., Any]) -> None:
    (row,) = as_json("order", "replay", 3, "--env", "test", code=3)
    assert (row["state"], row["code"], row["location"]) == ("person", "AE", "ORC^1^1")


@pytest.mark.usefixtures("filled")
def test_replay_after_the_table_was_mended_applies_the_message(as_json: Callable[..., Any], environments: Path) -> None:
    (environments / "control.toml").write_text('base = "built-in"\n[control]\nZZ = "change"\n', encoding="utf-8")
    file = environments / "test.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("\n[dicom]", WITH_ZZ), encoding="utf-8")
    (row,) = as_json("order", "replay", "M3", "--env", "test")
    assert (row["id"], row["state"], row["code"], row["did"], row["orders"]) == (3, "applied", "AA", ["changed"], [1])
    assert as_json("worklist", "list", "--env", "test")[-1]["time"] == "111500"
    assert acts() == [("message.replayed", "3", "")]


@pytest.mark.usefixtures("filled")
def test_what_was_left_to_a_person_is_applied_once_he_has_decided(run: Command, as_json: Callable[..., Any]) -> None:
    assert "--why TEXT" in run("order", "replay", 4, "--env", "test", "--decided", code=1).stderr
    assert as_json("order", "replay", 4, "--env", "test", code=3)[0]["error"] == "204"
    decided = as_json("order", "replay", 4, "--env", "test", "--decided", "--why", "one person, says the ward")
    assert decided[0]["did"] == ["moved"]
    assert patient_of(as_json, "A200") == "4712"
    assert acts()[-1] == ("message.replayed", "4", "one person, says the ward")
    assert "one person, says the ward" in as_json("order", "message", 4, "--env", "test")["note"]


@pytest.mark.usefixtures("filled")
def test_several_are_replayed_oldest_first_each_once(as_json: Callable[..., Any]) -> None:
    rows = as_json("order", "replay", 4, "M3", "#3", "--env", "test", code=3)
    assert [row["id"] for row in rows] == [3, 4]


@pytest.mark.usefixtures("filled")
def test_nothing_is_done_where_one_of_several_cannot_be_decided(run: Command) -> None:
    assert "nothing was done" in run("order", "replay", 3, 1, "--env", "test", code=1).stderr
    assert "order inbox" in run("order", "dismiss", 3, 99, "--env", "test", "--why", "x", code=1).stderr
    assert acts() == []


def test_number_that_is_an_entry_and_another_ones_control_id_is_refused(run: Command, environments: Path) -> None:
    unmapped = order(1, "ZZ", EVA, 200, "202611220930")
    take([unmapped, unmapped.replace(b"|M1|", b"|1|")])
    error = run("order", "replay", 1, "--env", "test", code=1).stderr
    assert "'#1', '#2'" in error
    run("order", "dismiss", "#1", "--env", "test", "--why", "a test of the RIS")


@pytest.mark.usefixtures("filled")
def test_dismissed_message_waits_no_more_and_can_still_be_replayed(run: Command, as_json: Callable[..., Any]) -> None:
    run("order", "dismiss", 3, 4, "--env", "test", "--why", "the RIS has mended it")
    assert as_json("order", "inbox", "--env", "test") == []
    assert as_json("order", "message", 3, "--env", "test")["note"].endswith(": the RIS has mended it")
    assert [act[:2] for act in acts()] == [("message.dismissed", "3"), ("message.dismissed", "4")]
    assert as_json("order", "replay", 4, "--env", "test", "--decided", "--why", "after all")[0]["code"] == "AA"
    assert "--why" in run("order", "dismiss", 3, "--env", "test", code=2).stderr


@pytest.mark.usefixtures("filled")
def test_what_a_person_says_was_performed_leaves_the_worklist(run: Command, as_json: Callable[..., Any]) -> None:
    done = run("order", "status", "A200", "completed", "--env", "test", "--why", "the images are in the PACS")
    assert "S1 COMPLETED" in done.stdout
    assert [row["accession"] for row in as_json("worklist", "list", "--env", "test")] == ["A201"]
    assert as_json("order", "show", "A200", "--env", "test")["history"][-1]["did"] == "status"
    assert acts() == [("order.status", "order 1", "the images are in the PACS")]


@pytest.mark.usefixtures("filled")
def test_status_of_a_step_or_an_order_that_is_not_there_is_refused(run: Command) -> None:
    assert (
        "S1" in run("order", "status", "A200", "started", "--step", "S9", "--why", "x", "--env", "test", code=1).stderr
    )
    assert "order list" in run("order", "status", "NONE", "started", "--why", "x", "--env", "test", code=1).stderr
    assert acts() == []


def test_production_needs_no_broken_glass_to_replay(as_json: Callable[..., Any], environments: Path) -> None:
    take([order(1, "ZZ", EVA, 200, "202611220930").replace(b"|T|2.3.1", b"|P|2.3.1")], "production")
    assert as_json("order", "replay", 1, "--env", "production", code=3)[0]["error"] == "103"


@pytest.mark.usefixtures("filled")
def test_copies_of_a_message_that_a_sender_tries_again_are_one_matter(
    run: Command, as_json: Callable[..., Any]
) -> None:
    later = merge(4, MAX, "4711").replace(b"|20261122050400|", b"|20261122055900|", 1)
    take([later, later.replace(b"|M4|", b"|M5|")])
    waiting = [(entry["id"], entry["copies"]) for entry in as_json("order", "inbox", "--env", "test")]
    assert waiting == [(6, []), (5, [4]), (3, [])]
    assert "1 more like it" in run("order", "inbox", "--env", "test").stdout
    assert as_json("order", "replay", "M4", "--env", "test", code=3)[0]["id"] == 5
    assert as_json("order", "replay", "M4", "--env", "test", "--decided", "--why", "one person")[0]["id"] == 5
    assert "the same as message 5" in as_json("order", "message", 4, "--env", "test")["note"]
    assert [entry["id"] for entry in as_json("order", "inbox", "--env", "test")] == [6, 3]


@pytest.mark.usefixtures("filled")
def test_dismissing_a_message_dismisses_its_copies(run: Command, as_json: Callable[..., Any]) -> None:
    take([merge(4, MAX, "4711")] * 2)
    assert "dismissed: 4, 5, 6" in run("order", "dismiss", 6, "--env", "test", "--why", "two people").stdout
    assert [entry["id"] for entry in as_json("order", "inbox", "--env", "test")] == [3]
