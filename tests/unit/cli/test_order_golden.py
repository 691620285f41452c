"""`broker order golden`: two mappings over the kept messages, and no trace of it but in the audit."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.cli.order_mask import mask_with
from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, MAX, audited, order, take

GOLDEN = ("order", "golden", "--env", "test")


@pytest.fixture
def filled(environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two orders and one unmapped message; the scratch folders are made under the folder that is returned."""
    take(
        [
            order(1, "NW", EVA, 200, "202611220930"),
            order(2, "NW", MAX, 201, "202611221000"),
            order(3, "ZZ", EVA, 200, "202611221115"),
        ]
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return scratch


def test_another_mapping_is_shown_item_by_item(as_json: Callable[..., Any], filled: Path) -> None:
    found = as_json(*GOLDEN, "--mapping", "filler-number", code=3)
    assert (found["messages"], found["not_accepted_before"], found["items_changed"]) == (3, 1, 2)
    first = {one["attribute"]: one for one in found["items"][0]["attributes"]}
    accession = first["AccessionNumber"]
    assert (accession["before"], accession["before_from"]) == ("A200", "OBR-18")
    assert (accession["after"], accession["after_from"]) == ("F200", "OBR-3")
    assert found["items"][0]["message"] == 1
    assert {"attribute": "AccessionNumber", "items": 2, "before_from": "OBR-18", "after_from": "OBR-3"} in found[
        "attributes"
    ]
    assert list(filled.iterdir()) == []


def test_the_same_mapping_shows_no_difference(run: Command, filled: Path) -> None:
    assert "no difference" in run(*GOLDEN, "--mapping", "ihe-swf").stdout


def test_another_order_control_table_changes_answers(run: Command, as_json: Callable[..., Any], filled: Path) -> None:
    table = filled.parent / "control.toml"
    table.write_text('base = "built-in"\n[control]\nZZ = "change"\n', encoding="utf-8")
    found = as_json(*GOLDEN, "--order-control", table, code=3)
    (answer,) = found["answers"]
    assert (answer["message"], answer["control_id"], answer["after"]) == (3, "M3", "AA")
    assert answer["before"].startswith("AE 103 at ORC^1^1: ORC-1")
    assert [one["attribute"] for one in found["items"][0]["attributes"]] == ["ScheduledProcedureStepStartTime"]
    assert "answered otherwise" in run(*GOLDEN, "--order-control", table, code=3).stdout


def test_only_the_last_messages_are_replayed(as_json: Callable[..., Any], filled: Path) -> None:
    found = as_json(*GOLDEN, "--mapping", "filler-number", "--last", 2, code=3)
    assert (found["first"], found["last"], found["items_changed"]) == (2, 3, 1)


def test_a_run_from_which_no_item_came_says_so(run: Command, filled: Path) -> None:
    assert "--last" in run(*GOLDEN, "--mapping", "filler-number", "--last", 1).stdout


def test_masked_output_holds_no_value_that_names_a_patient(run: Command, filled: Path) -> None:
    words = (*GOLDEN, "--mapping", "filler-number", "--mask")
    for shown in (run(*words, code=3).stdout, run(*words, "--json", code=3).stdout):
        for secret in ("A200", "F200", "RP200", "4711", "Muster", "Müster", "1980", "2.25."):
            assert secret not in shown
        assert "P-" in shown
    assert run(*words, code=3).stdout == run(*words, code=3).stdout


def test_pseudonyms_are_equal_where_values_are_and_differ_between_environments() -> None:
    mask, other = mask_with(b"one"), mask_with(b"two")
    assert mask("AccessionNumber", "F200") == mask("FillerOrderNumberImagingServiceRequest", "F200")
    assert mask("PatientID", "1") != mask("PatientID", "2")
    assert mask("PatientID", "1") != other("PatientID", "1")
    assert mask("Modality", "US") == "US"
    assert mask("WhatASiteMapsItself", "Eva").startswith("P-")


def test_what_is_missing_is_said(run: Command, filled: Path) -> None:
    assert "--mapping" in run(*GOLDEN, code=2).stderr
    assert "no-such" in run(*GOLDEN, "--mapping", "no-such", code=1).stderr
    assert "default" in run(*GOLDEN, "--mapping", "ipc", "--source", "ris-9", code=1).stderr
    assert list(filled.iterdir()) == []


def test_empty_inbox_is_said(run: Command) -> None:
    assert "empty" in run(*GOLDEN, "--mapping", "ipc", code=1).stderr


def test_replays_leave_the_environment_as_it_was_but_for_the_audit(
    run: Command, as_json: Callable[..., Any], filled: Path
) -> None:
    before = [as_json("order", verb, "--env", "test") for verb in ("list", "inbox")]
    run(*GOLDEN, "--mapping", "filler-number", code=3)
    assert [as_json("order", verb, "--env", "test") for verb in ("list", "inbox")] == before
    assert ("order.golden", "3 messages") in [(entry.action, entry.subject) for entry in audited()]
