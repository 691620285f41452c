"""`broker worklist list`: what a device would see."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.audit import store as audit
from broker.clock import SystemClock
from broker.dimse.service import AcceptedAssociation, AssociationRequest, FindRequest
from broker.environments import profile as profiles
from broker.identifiers import new_id
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.files import FileSpool
from broker.worklist import store
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.plan import plan
from tests.unit.cli.conftest import Command
from tests.unit.worklist.building import ORDER, STEP, identifier
from tests.wire.worklist_golden import MODALITY_WORKLIST


@pytest.fixture
def filled(environments: Path) -> None:
    """The environment `test` with a step for another station, and one for any ultrasound."""
    database = open_database(profiles.read(profiles.find("test")))
    free = replace(STEP, scheduled_procedure_step_id="S2", scheduled_station_ae_titles=())
    with database.write("orders") as tx:
        store.replace(tx, 1, plan(replace(ORDER, steps=(STEP, free)), 1))
    database.close()


@pytest.mark.usefixtures("filled")
def test_a_device_is_shown_what_it_would_be_answered(run: Command, as_json: Callable[..., Any], document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    everything = as_json("worklist", "list", "--env", "test")
    assert [row["station"] for row in everything] == [["US1"], ["US_ROOM2"]]
    (row,) = as_json("worklist", "list", "--as", "US_ROOM2", "--env", "test")
    assert (row["scheduled_procedure_step_id"], row["accession"], row["name"]) == ("S2", "A200", "Muster^Eva^M^Dr^Jr")
    assert "Muster^Eva" in run("worklist", "list", "--env", "test").stdout


@pytest.mark.usefixtures("filled")
def test_an_unknown_title_is_refused_where_unknown_callers_are(run: Command) -> None:
    assert "modality list" in run("worklist", "list", "--as", "NOBODY", "--env", "test", code=1).stderr


@pytest.mark.usefixtures("filled")
def test_reading_the_worklist_is_audited(run: Command, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    run("worklist", "list", "--as", "US_ROOM2", "--env", "test")
    database = open_database(profiles.read(profiles.find("test")))
    with database.read() as tx:
        *_, entry = audit.entries(tx)
    database.close()
    assert (entry.action, entry.subject) == ("worklist.read", "us-room-2")


@pytest.mark.usefixtures("filled")
def test_explain_walks_the_keys_and_names_what_there_is(
    run: Command, as_json: Callable[..., Any], document: Path
) -> None:
    run("modality", "apply", document, "--env", "test")
    asked = ("--as", "US_ROOM2", "--env", "test", "--key", "ScheduledProcedureStepStartDate=20260201", "--key")
    said = run("worklist", "explain", *asked, "ScheduledStationAETitle=US-ROOM2").stdout
    assert said == (
        '2 scheduled 20260201, 1 for us-room-2 (stations US_ROOM2), 0 for station "US-ROOM2": you have "US_ROOM2": '
        "enter that at the console, or set ignore_station_key in its document\n"
    )
    fact = as_json("worklist", "explain", *asked, "Modality=CT")
    assert [step["remain"] for step in fact["steps"]] == [2, 0]
    assert fact["steps"][-1]["advice"] == "there are US (2)"
    assert (fact["device"], fact["remain"], fact["stations"]) == ("us-room-2", 0, ["US_ROOM2"])
    other = run("worklist", "explain", "--as", "US_ROOM2", "--env", "test", "--key", "ScheduledProcedureStepID=S1")
    assert "A200 S1 (US, 20260201 0930): it is for US1" in other.stdout


@pytest.mark.usefixtures("filled")
def test_steps_for_a_station_that_no_device_has_any_more_are_told_of(run: Command, document: Path) -> None:
    document.write_text(document.read_text().replace("US_ROOM2", "US1"))
    assert run("modality", "apply", document, "--env", "test").stderr == ""
    where = ("--host", "127.0.0.1", "--port", "104", "--env", "test")
    assert run("modality", "bind", "us-room-2", *where).stderr == ""
    said = run("modality", "bind", "us-room-2", *where, "--station", "US2").stderr
    assert said.startswith("1 step is ordered for US1, a station that no device has now: nobody is shown it until")
    assert run("modality", "bind", "us-room-2", *where, "--station", "US1").stderr == ""
    assert "1 step is ordered for US1" in run("modality", "retire", "us-room-2", "--env", "test").stderr


def ask(calling: str, **step: str) -> None:
    """As a console does that is served by the environment `test`."""
    profile = profiles.read(profiles.find("test"))
    database = open_database(profile)
    flows = Flows(profile, database, RegistryCache(database), FileSpool(profile.spool), SystemClock())
    association = AcceptedAssociation(
        new_id(datetime.now(UTC)), AssociationRequest(calling, "B", "127.0.0.1", 4, "1.2", "X", ()), ()
    )
    flows.begin(association)
    request = FindRequest(1, MODALITY_WORKLIST, IMPLICIT_LITTLE_ENDIAN, identifier(step, PatientName=""), lambda: False)
    list(flows.answer_query(association, request))
    flows.end(association, released=True, reason="")
    database.close()


@pytest.mark.usefixtures("filled")
def test_what_consoles_asked_is_listed_with_what_left_nothing(
    run: Command, as_json: Callable[..., Any], document: Path
) -> None:
    run("modality", "apply", document, "--env", "test")
    ask("US_ROOM2", Modality="US")
    ask("US_ROOM2", Modality="US", ScheduledStationAETitle="US-ROOM2")
    ask("US_ROOM2", Modality="*", ScheduledProcedureStepStartDate="tomorrow")
    bad, nothing, found = as_json("worklist", "queries", "--env", "test")
    assert (found["answers"], found["keys"], found["why"]) == (1, ["Modality"], "")
    assert (nothing["calling"], nothing["device"], nothing["answers"]) == ("US_ROOM2", "us-room-2", 0)
    assert nothing["why"] == (
        '2 offered, 2 Modality, 1 for the device, 0 ScheduledStationAETitle (there is "US_ROOM2")'
    )
    assert (bad["status"], bad["why"]) == ("A900", "ScheduledProcedureStepStartDate is no DA nor a range")
    assert as_json("worklist", "queries", "--env", "test", "--empty", "--as", "US_ROOM2") == [bad, nothing]
    assert as_json("worklist", "queries", "--env", "test", "--as", "CT1") == []


@pytest.mark.usefixtures("filled")
def test_explain_says_what_is_wrong_with_what_it_is_given(run: Command, document: Path) -> None:
    run("modality", "apply", document, "--env", "test")
    nobody = run("worklist", "explain", "--as", "us_room2", "--env", "test", code=1).stderr
    assert '"US_ROOM2" (us-room-2) in upper and lower case' in nobody
    for key, said in {
        "Modality": "KEYWORD=VALUE",
        "Modalty=US": "did you mean 'Modality'?",
        "Manufacturer=X": "never matched",
        "ScheduledProcedureStepStartDate=tomorrow": "status A900",
    }.items():
        assert said in run("worklist", "explain", "--key", key, "--env", "test", code=1).stderr


@pytest.mark.usefixtures("filled")
def test_explaining_is_audited(run: Command) -> None:
    run("worklist", "explain", "--key", "PatientName=Muster", "--env", "test")
    database = open_database(profiles.read(profiles.find("test")))
    with database.read() as tx:
        *_, entry = audit.entries(tx)
    database.close()
    assert (entry.action, entry.subject, entry.detail) == ("worklist.explain", "everything", {})


@pytest.mark.usefixtures("filled")
def test_a_list_that_is_cut_by_the_device_s_limit_says_so(run: Command, document: Path) -> None:
    document.write_bytes(document.read_bytes() + b"[worklist]\nlimit = 1\ndefault_station_key = false\n")
    run("modality", "apply", document, "--env", "test")
    said = run("worklist", "list", "--as", "US_ROOM2", "--env", "test")
    assert "limit of 1 is reached" in said.stderr
    assert said.stdout.count("Muster^Eva") == 1
