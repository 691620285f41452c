"""`broker worklist list`: what a device would see."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.audit import store as audit
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.worklist import store
from broker.worklist.plan import plan
from tests.unit.cli.conftest import Command
from tests.unit.worklist.building import ORDER, STEP


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
