"""`broker patient`: identifiers, where values come from, merges taken back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, EVA_BEFORE, MAX, audited, merge, order, take


@pytest.fixture
def filled(environments: Path) -> None:
    """Eva under two identifiers, which message 3 merges, and Max."""
    take(
        [
            order(1, "NW", EVA_BEFORE, 200, "202611220930"),
            order(2, "NW", EVA, 201, "202611221000"),
            merge(3, EVA, "9004"),
            order(4, "NW", MAX, 202, "202611221100"),
        ]
    )


def worklist(as_json: Callable[..., Any]) -> dict[str, str]:
    return {row["accession"]: row["patient_id"] for row in as_json("worklist", "list", "--env", "test")}


@pytest.mark.usefixtures("filled")
def test_patients_and_former_identifiers_are_listed_apart(as_json: Callable[..., Any]) -> None:
    assert [row["patient"] for row in as_json("patient", "list", "--env", "test")] == ["4712^^^HOSP", "4711^^^HOSP"]
    (former,) = as_json("patient", "list", "--merged", "--env", "test")
    assert (former["patient"], former["now"]) == ("9004^^^HOSP", "4711^^^HOSP")


@pytest.mark.usefixtures("filled")
def test_patient_is_shown_with_provenance_former_identifiers_and_orders(
    run: Command, as_json: Callable[..., Any]
) -> None:
    shown = as_json("patient", "show", "4711", "--env", "test")
    values = {row["attribute"]: (row["value"], row["source"]) for row in shown["values"]}
    assert values["PatientName"] == ("Müster^Eva", "PID-5")
    assert [row["patient"] for row in shown["former_identifiers"]] == ["9004^^^HOSP"]
    assert [row["accession_number"] for row in shown["orders"]] == ["A201", "A200"]
    assert "PID-5 of message" in run("patient", "show", "4711^^^HOSP", "--env", "test").stdout


@pytest.mark.usefixtures("filled")
def test_former_identifier_shows_the_patient_that_it_means_now(as_json: Callable[..., Any]) -> None:
    (patient,) = as_json("patient", "show", "9004", "--env", "test")["patient"]
    assert patient["patient"] == "4711^^^HOSP"


@pytest.mark.usefixtures("filled")
def test_unknown_and_ambiguous_identifiers_are_refused(run: Command) -> None:
    take([order(5, "NW", EVA.replace("HOSP", "OTHER"), 203, "202611221200")])
    assert "patient list" in run("patient", "show", "4711^^^NONE", "--env", "test", code=1).stderr
    error = run("patient", "show", "4711", "--env", "test", code=1).stderr
    assert "'4711^^^HOSP', '4711^^^OTHER'" in error
    run("patient", "show", "4711^^^OTHER", "--env", "test")


@pytest.mark.usefixtures("filled")
def test_merge_taken_back_moves_the_worklist_items_back(run: Command, as_json: Callable[..., Any]) -> None:
    assert worklist(as_json) == {"A200": "4711", "A201": "4711", "A202": "4712"}
    (found,) = as_json("patient", "merges", "--env", "test")
    assert (found["old"], found["surviving"], found["message"]) == ("9004^^^HOSP", "4711^^^HOSP", 3)
    run("patient", "unmerge", found["id"], "--env", "test", "--why", "two people, says the ward")
    assert worklist(as_json) == {"A200": "9004", "A201": "4711", "A202": "4712"}
    (undone,) = as_json("patient", "merges", "--env", "test")
    assert undone["undone_by"].startswith("os-user:")
    entry = next(entry for entry in audited() if entry.action == "patient.unmerged")
    assert (entry.subject, entry.detail["why"]) == ("merge 1", "two people, says the ward")


@pytest.mark.usefixtures("filled")
def test_merge_is_taken_back_once_and_with_a_reason(run: Command) -> None:
    run("patient", "unmerge", 1, "--env", "test", code=2)
    run("patient", "unmerge", 1, "--env", "test", "--why", " ", code=1)
    run("patient", "unmerge", 99, "--env", "test", "--why", "x", code=1)
    run("patient", "unmerge", 1, "--env", "test", "--why", "x")
    run("patient", "unmerge", 1, "--env", "test", "--why", "x", code=1)
    assert [entry.action for entry in audited()] == ["patient.unmerged"]


@pytest.mark.usefixtures("filled")
def test_that_patients_were_read_is_audited_without_their_data(run: Command) -> None:
    run("patient", "list", "--env", "test")
    run("patient", "show", "4711", "--env", "test")
    run("patient", "merges", "--env", "test")
    entries = [(entry.action, entry.subject) for entry in audited()]
    assert entries == [("patient.read", "2 patients"), ("patient.read", "patient 2"), ("patient.read", "1 merges")]
