"""`broker exam`, and what goes with it: the printed worklist, a silent RIS, releasing what was held."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.cli.worklist_print import items_of_day
from broker.database import Database
from broker.delivery import store as deliveries
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.registry import store as registry_store
from broker.spool import store as spool
from tests.unit.cli.conftest import Command
from tests.unit.cli.day import EVA, MAX, audited, order, pid, take
from tests.unit.exams.building import instance

Ask = Callable[..., Any]


@pytest.fixture
def day(environments: Path) -> None:
    """The environment `test` with two orders; images of the first have come."""
    take([order(1, "NW", EVA, 1, "20261122093000"), order(2, "NW", MAX, 2, "20261123100000")])


@pytest.fixture
def database(day: None) -> Any:
    opened = open_database(profiles.read(profiles.find("test")))
    yield opened
    opened.close()


def receive(database: Database, number: int, **changes: str) -> None:
    now = datetime.now(UTC)
    with database.write("spool-index") as tx:
        spool.add(tx, instance(number, now, **{"study_instance_uid": "1.2.77", "accession_number": "A1", **changes}))
        deliveries.owe(tx, f"{number:026}", ("pacs",), now)


@pytest.mark.usefixtures("day")
def test_exams_are_listed_newest_first_with_a_sign_a_stage(run: Command, as_json: Ask) -> None:
    found = as_json("exam", "list", "--env", "test")
    assert [exam["accession_number"] for exam in found] == ["A2", "A1"]
    assert found[1]["stages"]["ordered"]["mark"] == "done"
    assert found[1]["stages"]["offered"]["mark"] == "not yet"
    table = run("exam", "list", "--env", "test").stdout
    assert "✓" in table
    assert "! late" in table
    assert "2026-11-22 09:30" in table


@pytest.mark.usefixtures("day")
def test_exams_of_a_day_are_those_with_a_step_on_it(run: Command, as_json: Ask) -> None:
    (exam,) = as_json("exam", "list", "--day", "2026-11-23", "--env", "test")
    assert exam["accession_number"] == "A2"
    assert as_json("exam", "list", "--day", "2020-01-01", "--env", "test") == []
    assert "write YYYY-MM-DD" in run("exam", "list", "--day", "tomorrow", "--env", "test", code=2).stderr


@pytest.mark.usefixtures("day")
def test_exams_come_in_pages_and_more_is_said(run: Command, as_json: Ask) -> None:
    first = run("exam", "list", "--limit", 1, "--env", "test", "--json")
    assert [exam["accession_number"] for exam in json.loads(first.stdout)] == ["A2"]
    assert "there are more: --page 2" in first.stderr
    second = run("exam", "list", "--limit", 1, "--page", 2, "--env", "test", "--json")
    assert [exam["accession_number"] for exam in json.loads(second.stdout)] == ["A1"]
    assert second.stderr == ""
    assert as_json("exam", "list", "--page", 2, "--env", "test") == []
    assert as_json("exam", "list", "--day", "2026-11-23", "--page", 2, "--limit", 1, "--env", "test") == []


def test_an_exam_tells_it_all_with_numbers(database: Database, run: Command, as_json: Ask) -> None:
    receive(database, 1)
    receive(database, 2, patient_id="4712")
    exam = as_json("exam", "show", "A1", "--env", "test")
    lines = {line["stage"]: line for line in exam["lines"]}
    assert lines["ordered"]["text"] == "ORM^O01 M1 of source default (message 1 of the inbox)"
    assert exam["stages"]["received"]["count"] == 2
    assert "2 of 2" not in lines["delivered"]["text"]
    assert (lines["delivered"]["about"], lines["delivered"]["of"]) == ("pacs", 2)
    assert lines["proven"]["mark"] == "not asked"
    text = run("exam", "show", "A1", "--env", "test").stdout
    assert "Müster^Eva" in text
    assert "1 disagrees with the order in PatientID and StudyInstanceUID" in text


@pytest.mark.usefixtures("day")
def test_an_exam_that_is_not_there_is_one_clear_line(run: Command) -> None:
    assert "`broker exam list`" in run("exam", "show", "A9", "--env", "test", code=1).stderr


@pytest.mark.usefixtures("day")
def test_reading_of_exams_is_audited_without_patient_data(run: Command) -> None:
    run("exam", "show", "A1", "--env", "test")
    run("exam", "list", "--env", "test")
    shown, listed = [entry for entry in audited() if entry.action == "exam.read"]
    assert (shown.subject, listed.subject, listed.detail) == ("order 1", "newest", {"rows": 2})


@pytest.mark.usefixtures("day")
def test_only_late_exams_are_listed_on_request(as_json: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shift = tmp_path / "shift"
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_CLOCK_OFFSET_FILE", str(shift))
    scheduled = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)  # A1: 09:30 in Berlin
    shift.write_text(str((scheduled - datetime.now(UTC)).total_seconds() + 61 * 60))
    (exam,) = as_json("exam", "list", "--late", "--env", "test")
    assert (exam["accession_number"], exam["late"]) == ("A1", ["started"])


def test_what_was_held_is_released_by_a_person(database: Database, run: Command, as_json: Ask) -> None:
    receive(database, 1)
    with database.write("delivery") as tx:
        deliveries.hold(tx, f"{1:026}", "PatientID of the image disagrees with order 1")
    (held,) = as_json("delivery", "list", "--state", "held", "--env", "test")
    assert "released: 1" in run("delivery", "release", held["id"], "--env", "test").stdout
    assert "nothing was released" in run("delivery", "release", held["id"], "--env", "test", code=1).stderr
    assert [entry.action for entry in audited()][-1] == "delivery.released"


@pytest.mark.usefixtures("day")
def test_the_worklist_of_a_day_is_printed_for_one_reader(run: Command, document: Path, tmp_path: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    out = tmp_path / "worklist.html"
    options = ("--day", "2026-11-22", "--out", out, "--env", "test")
    assert "1 step in 1 room" in run("worklist", "print", *options).stdout
    text = out.read_text(encoding="utf-8")
    assert "Müster, Eva" in text
    assert "Beispiel" not in text
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (entry,) = [entry for entry in audited() if entry.action == "worklist.printed"]
    assert (entry.subject, entry.detail) == ("every room", {"day": "2026-11-22", "items": 1})
    assert "Müster" in run("worklist", "print", "--day", "2026-11-22", "--room", "us_room2", "--env", "test").stdout
    assert "no room US9" in run("worklist", "print", "--room", "US9", "--env", "test", code=1).stderr


def test_a_printed_day_reads_no_other_day(database: Database) -> None:
    with database.read() as tx:
        found = items_of_day(tx, date(2026, 11, 23), registry_store.load(tx))
    assert [item.accession_number for item in found] == ["A2"]


@pytest.mark.usefixtures("day")
def test_the_worklist_is_printed_as_pdf_by_the_end_of_the_name_or_as_asked(
    run: Command, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.exams.printed.fonts.FOLDERS", ())
    run("modality", "apply", document, "--env", "test")
    out = tmp_path / "worklist.PDF"
    options = ("--day", "2026-11-22", "--env", "test")
    result = run("worklist", "print", *options, "--out", out)
    assert "1 step in 1 room" in result.stdout
    assert result.stderr == ""
    assert out.read_bytes().startswith(b"%PDF-")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run("worklist", "print", *options, "--format", "pdf").stdout_bytes.startswith(b"%PDF-")
    assert [entry.action for entry in audited()][-2:] == ["worklist.printed"] * 2


def test_characters_without_a_font_are_told_of_without_their_owner(
    environments: Path, run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.exams.printed.fonts.FOLDERS", ())
    take([order(1, "NW", pid("4713", "Wang^XiaoDong=王^小東", "19700101", "M"), 3, "20261122110000")])
    result = run("worklist", "print", "--day", "2026-11-22", "--out", tmp_path / "a.pdf", "--env", "test")
    assert "no font of this machine has 3 characters (CJK)" in result.stderr
    assert "fonts" not in result.stdout
    assert "王" not in result.stderr


@pytest.mark.usefixtures("day")
def test_a_silent_ris_is_said_with_the_worklist(
    run: Command, environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = environments / "test.toml"
    days = '["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'
    words = f'silent_minutes = 1\nworking_hours = "00:00-23:59"\nworking_days = {days}'
    file.write_text(file.read_text().replace("port = 2575", f"port = 2575\n{words}"))
    shift = environments / "shift"
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_CLOCK_OFFSET_FILE", str(shift))
    noon = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
    shift.write_text(str((noon - datetime.now(UTC)).total_seconds()))
    listed = run("worklist", "list", "--env", "test", "--json")
    assert "no message has come from the RIS for" in listed.stderr
    assert json.loads(listed.stdout)
