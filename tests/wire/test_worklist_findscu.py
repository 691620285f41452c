"""The worklist as DCMTK's findscu finds it, through a real socket: a table of queries, and DCMTK's own."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import text

from broker.database import Database, sqlite_url
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.orders.model import StepStatus
from broker.worklist import store
from broker.worklist.plan import plan
from tests.peers import dcmtk
from tests.peers.broker import Environment
from tests.peers.processes import program, run
from tests.unit.worklist.building import ORDER, STEP

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("findscu")]

QUERIES = Path(__file__).parents[2] / "fixtures" / "queries" / "worklist.toml"
SEQUENCE = "ScheduledProcedureStepSequence"

# accession, name, modality, stations, date, time: as the table's head shows them
ROWS = (
    ("A1", "Muster^Eva^M^Dr^Jr", "US", ("US_ROOM2",), "20260201", "093000"),
    ("A2", "Müller^Jörg", "US", (), "20260201", "100000"),
    ("A3", "Łukasz^Jan", "US", ("US_ROOM3",), "20260202", "080000"),
    ("A4", "Beispiel^Bert", "CT", ("CT1",), "20260203", "143000"),
    ("A5", "Yamada^Tarou=山田^太郎", "US", ("US_ROOM3", "US_ROOM2"), "20260205", "235930"),
    ("A6", "Muster^Emil", "US", ("US_ROOM2",), "20260201", "110000"),
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A broker that serves the rows, with US_ROOM2 registered and everybody let in."""
    made = Environment(tmp_path_factory.mktemp("worklist"), policy='unknown_callers = "accept"').write()
    made.register()
    database = open_database(profiles.read(made.profile))
    fill(database)
    database.close()
    with made.serving():
        yield made


def fill(database: Database) -> None:
    """Put in the rows."""
    with database.write("orders") as tx:
        for number, (accession, name, modality, stations, date, time) in enumerate(ROWS, 1):
            step = replace(
                STEP,
                modality=modality,
                scheduled_station_ae_titles=stations,
                scheduled_procedure_step_start_date=date,
                scheduled_procedure_step_start_time=time,
            )
            order = replace(
                ORDER,
                patient=replace(ORDER.patient, patient_name=name, patient_id=f"PID-{accession}"),
                accession_number=accession,
                study_instance_uid=f"1.2.3.{number}",
                steps=(step,),
            )
            store.replace(tx, number, plan(order, number))
        canceled = replace(order, steps=(replace(step, status=StepStatus.CANCELED),))
        store.replace(tx, len(ROWS), plan(canceled, len(ROWS)))


def find(
    environment: Environment, folder: Path, keys: list[str], calling: str = "ANYBODY", *options: str
) -> tuple[list[Dataset], str]:
    """Query, and return the answers as pydicom reads them and what findscu says."""
    folder.mkdir(exist_ok=True)
    done = dcmtk.findscu(environment.dicom, calling, keys, "-X", "-od", str(folder), *options)
    return [dcmread(file) for file in sorted(folder.glob("rsp*.dcm"))], done.stdout + done.stderr


def keys_of(query: dict[str, Any]) -> list[str]:
    inner = {"ScheduledProcedureStepID": "", **query.get("step", {})}
    outer = {"AccessionNumber": "", "PatientName": "", **query.get("keys", {})}
    return [f"{SEQUENCE}[0].{key}={value}" for key, value in inner.items()] + [f"{k}={v}" for k, v in outer.items()]


def queries() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = tomllib.loads(QUERIES.read_text(encoding="utf-8"))["query"]
    return loaded


FINAL = {
    "0000": r"Final Find Response \(Success\)",
    "A900": r"DataSetDoesNotMatchSOPClass",
    "C000": r"UnableToProcess",
}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query["name"])
def test_findscu_finds_the_expected_rows(environment: Environment, tmp_path: Path, query: dict[str, Any]) -> None:
    found, said = find(environment, tmp_path, keys_of(query), query.get("as", "ANYBODY"))
    assert [answer.AccessionNumber for answer in found] == query.get("find", []), said
    assert re.search(FINAL[query.get("status", "0000")], said), said


def test_there_are_enough_queries() -> None:
    assert len(queries()) >= 24


def test_answers_hold_what_was_asked_in_a_set_the_device_takes(environment: Environment, tmp_path: Path) -> None:
    keys = ["PatientName", "SpecificCharacterSet", "PregnancyStatus", "Manufacturer", SEQUENCE]
    found, said = find(environment, tmp_path, [*keys, "AccessionNumber"])
    names = [str(answer.PatientName) for answer in found]
    assert names == [row[1] for row in ROWS[:5]], said
    assert [answer.get("SpecificCharacterSet") for answer in found] == [
        None,
        "ISO_IR 100",
        "ISO_IR 192",
        None,
        "ISO_IR 192",
    ]
    for answer in found:
        assert answer.PregnancyStatus == 3
        assert answer.Manufacturer == ""
        (step,) = answer[SEQUENCE].value
        assert step.ScheduledProcedureStepID == "S1"
        assert step.ScheduledStationAETitle
        assert step.ScheduledProtocolCodeSequence[0].CodeValue == "USLIV"
    assert "PatientID" not in found[0]


@pytest.mark.parametrize("proposal", ["-xe", "-xb", "-xi"])
def test_every_offered_syntax_gives_the_same_rows(environment: Environment, tmp_path: Path, proposal: str) -> None:
    found, said = find(environment, tmp_path, ["AccessionNumber", "PregnancyStatus", SEQUENCE], "US_ROOM2", proposal)
    assert [(answer.AccessionNumber, answer.PregnancyStatus) for answer in found] == [
        ("A1", 3),
        ("A2", 3),
        ("A5", 3),
    ], said


def test_the_viewer_s_station_comes_first_for_an_item_without_one(environment: Environment, tmp_path: Path) -> None:
    keys = [f"{SEQUENCE}[0].{key}" for key in ("ScheduledStationAETitle", "ScheduledStationName")]
    found, _ = find(environment, tmp_path, ["AccessionNumber=A2", *keys], "US_ROOM2")
    (step,) = found[0][SEQUENCE].value
    assert (step.ScheduledStationAETitle, step.ScheduledStationName) == ("US_ROOM2", "USROOM2")


def test_a_cancel_gets_one_proper_final_status(environment: Environment, tmp_path: Path) -> None:
    _, said = find(environment, tmp_path, ["AccessionNumber"], "ANYBODY", "--cancel", "1")
    finals = re.findall(r"Final Find Response \((\w+)", said)
    assert len(finals) == 1, said
    assert finals[0] in {"Cancel", "Success"}  # it may cross the last answer


def test_worklist_list_prints_what_a_query_finds(environment: Environment) -> None:
    assert [row["accession"] for row in environment.ask("worklist", "list")] == ["A1", "A2", "A3", "A4", "A5"]
    as_device = environment.ask("worklist", "list", "--as", "US_ROOM2")
    assert [row["accession"] for row in as_device] == ["A1", "A2", "A5"]
    assert as_device[0]["name"] == "Muster^Eva^M^Dr^Jr"


def test_no_patient_is_in_the_log(environment: Environment) -> None:
    log = environment.log.read_text(encoding="utf-8")
    assert log.count("association.ended") > 1
    assert not re.search(r"muster|beispiel|yamada|PID-A|tomorrow", log, re.IGNORECASE)


def test_every_query_is_recorded_and_logged(environment: Environment, tmp_path: Path) -> None:
    find(environment, tmp_path, ["AccessionNumber"])
    lines = [json.loads(line) for line in environment.log.read_text(encoding="utf-8").splitlines()]
    answered = [line for line in lines if line["event"] == "query.answered"]
    assert (answered[-1]["answered"], answered[-1]["calling"]) == (5, "ANYBODY")
    assert {line["calling"] for line in lines if line["event"] == "association.ended"} >= {"ANYBODY"}
    database = Database(sqlite_url(environment.folder / "state-test" / "broker.db"))
    with database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM worklist_query")).scalar_one() == len(answered)
    database.close()


def test_dcmtk_s_own_queries_end_properly(environment: Environment, tmp_path: Path, samples: Path | None) -> None:
    if samples is None:
        pytest.skip("BROKER_SAMPLES is not set: these queries are part of the sample corpus")
    dumps = sorted((samples / "worklist").glob("dcmtk__wlistqry*.dump"))
    assert dumps
    for dump in dumps:
        file = tmp_path / f"{dump.stem}.dcm"
        made = run([program("dump2dcm", "dcmtk"), str(dump), str(file)])
        assert made.returncode == 0, made.stderr
        command = [program("findscu", "dcmtk"), "-v", "-W", "-aet", "ANYBODY", "-aec", environment.dicom.ae_title]
        done = run([*command, "127.0.0.1", str(environment.dicom.port), str(file)])
        assert "Final Find Response (Success)" in done.stdout + done.stderr, (dump.name, done.stderr)
        assert done.returncode == 0
