"""`broker procedure`: what was performed, linked by hand and passed on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.audit import store as audit
from broker.clock import SystemClock
from broker.database import Database
from broker.dimse.service import NormalizedAnswer
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.orders.model import StepStatus
from broker.procedures import store
from tests.unit.cli.conftest import Command
from tests.unit.orders.building import step
from tests.unit.outbox.examples import RIS
from tests.unit.procedures.building import UID, UNSCHEDULED, creation, discontinued, item
from tests.unit.procedures.forward.test_worker import Desk
from tests.unit.procedures.world import World

SECOND = f"{UID}.2"


@pytest.fixture
def world(run: Command) -> Iterator[World]:
    database = open_database(profiles.read(profiles.find("test")))
    yield World(database, SystemClock())
    database.close()


def acts(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(entry.action, entry.subject) for entry in audit.entries(tx)]


def test_steps_are_listed_by_state(world: World, as_json: Callable[..., Any], run: Command) -> None:
    world.order()
    world.create()
    world.create(creation(item(**UNSCHEDULED)), uid=SECOND)
    world.set(discontinued("110505"), uid=SECOND)
    listed = as_json("procedure", "list", "--env", "test")
    assert [(row["uid"], row["state"], row["orders"]) for row in listed] == [
        (SECOND, "discontinued", []),
        (UID, "in-progress", ["1/S1"]),
    ]
    for state, expected in (("unscheduled", [SECOND]), ("in-progress", [UID]), ("stale", []), ("completed", [])):
        found = as_json("procedure", "list", "--env", "test", "--state", state)
        assert [row["uid"] for row in found] == expected
    assert "Müster^Eva" in run("procedure", "list", "--env", "test").stdout
    short = run("procedure", "list", "--limit", 1, "--env", "test", "--json")
    assert [row["uid"] for row in json.loads(short.stdout)] == [SECOND]
    assert "the newest 1" in short.stderr
    assert ("procedure.read", "unscheduled") in acts(world.database)


def test_a_silent_step_is_stale(world: World, as_json: Callable[..., Any]) -> None:
    world.create()
    with world.database.write("orders") as tx:
        tx.exec_driver_sql("UPDATE performed_step SET updated = '2020-01-01 00:00:00'")
    (row,) = as_json("procedure", "list", "--env", "test", "--state", "stale")
    assert row["uid"] == UID


def test_a_step_is_shown_whole(world: World, as_json: Callable[..., Any]) -> None:
    world.order()
    world.create(creation(item(), item(), Modality=""))
    world.set()
    shown = as_json("procedure", "show", UID, "--env", "test")
    assert shown["notes"] == ["Modality has no value"]
    assert [(one["series_instance_uid"], one["instances"]) for one in shown["series"]] == [("1.2.3.1", 1)]
    assert [(one["order_id"], one["rule"]) for one in shown["links"]] == [(1, "study and step")] * 2
    assert shown["orders"] == ["1/S1"]
    assert ("procedure.read", UID) in acts(world.database)


def test_a_step_is_linked_by_hand(world: World, run: Command, as_json: Callable[..., Any]) -> None:
    world.order(steps=(step("S1"), step("S2")))
    world.create(creation(item(**UNSCHEDULED)))
    world.set()
    words = ("procedure", "link", UID, "--order", "A1", "--env", "test")
    assert "S1, S2" in run(*words, code=1).output
    run(*words, "--step", "S2")
    assert world.statuses() == [StepStatus.SCHEDULED, StepStatus.COMPLETED]
    assert as_json("procedure", "list", "--env", "test", "--state", "unscheduled") == []
    assert ("procedure.linked", UID) in acts(world.database)
    with world.database.read() as tx:
        found = store.find(tx, UID)
    assert found is not None
    assert found.links[0].by.startswith("os-user:")


def test_a_step_of_the_wrong_order_is_unlinked_with_the_reason(
    world: World, run: Command, as_json: Callable[..., Any]
) -> None:
    world.order()
    world.receivers = (RIS,)
    world.create()
    world.set()
    words = ("procedure", "unlink", UID, "--order", "A1", "--env", "test")
    assert "--why" in run(*words, code=2).output
    output = run(*words, "--why", "another patient lay there").output
    assert "unlinked from order 1, step S1, which is SCHEDULED" in output
    assert f"{RIS.name} was told of order 1 before" in output
    assert f"broker procedure link {UID} --order KEY" in output
    assert world.statuses() == [StepStatus.SCHEDULED]
    (unlinked,) = as_json("procedure", "show", UID, "--env", "test")["unlinked"]
    assert (unlinked["order_id"], unlinked["why"]) == (1, "another patient lay there")
    with world.database.read() as tx:
        (entry,) = [entry for entry in audit.entries(tx) if entry.action == "procedure.unlinked"]
    assert (entry.subject, entry.detail["why"]) == (UID, "another patient lay there")
    assert "not linked" in run(*words, "--why", "twice", code=1).output
    linked = run("procedure", "link", UID, "--order", "A1", "--why", "it was right after all", "--env", "test").output
    assert "which is COMPLETED" in linked


def test_what_else_was_performed_is_told_where_an_unlink_brings_it_to_light(world: World, run: Command) -> None:
    world.order()
    world.receivers = (RIS,)
    world.create()  # its device crashed
    world.create(uid=SECOND)
    world.set(uid=SECOND)
    assert world.statuses() == [StepStatus.STARTED]
    profile = profiles.find("test")
    profile.write_text(f'{profile.read_text()}[[receivers]]\nname = "{RIS.name}"\nhost = "127.0.0.1"\nport = 1\n')
    output = run("procedure", "unlink", UID, "--order", "A1", "--why", "it crashed", "--env", "test").output
    assert "step S1, which is COMPLETED" in output
    assert f"{RIS.name} is told that it is completed (message 2 of the outbox)" in output
    assert "not told" not in output


def test_what_nobody_is_to_look_at_is_dismissed(world: World, run: Command, as_json: Callable[..., Any]) -> None:
    world.create(creation(item(**UNSCHEDULED)))
    with world.database.write("orders") as tx:
        tx.exec_driver_sql("UPDATE performed_step SET updated = '2020-01-01 00:00:00'")
    words = ("procedure", "dismiss", UID, UID, "--env", "test", "--why")
    assert "say why" in run(*words, " ", code=1).output
    assert run(*words, "a phantom").output == f"dismissed: {UID}\n"
    for state in ("unscheduled", "stale"):
        assert as_json("procedure", "list", "--env", "test", "--state", state) == []
    assert "a phantom" in as_json("procedure", "show", UID, "--env", "test")["dismissed"]
    assert ("procedure.dismissed", UID) in acts(world.database)
    assert "no performed step" in run("procedure", "dismiss", UID, "1.2", "--why", "x", "--env", "test", code=1).output


def test_a_reason_is_more_than_a_blank(world: World, run: Command) -> None:
    world.order()
    world.create()
    for words in (("unlink", UID, "--order", "A1"), ("discard", 1)):
        assert "say why" in run("procedure", *words, "--why", " ", "--env", "test", code=1).output
    assert "say why" in run("outbox", "discard", 1, "--why", " ", "--env", "test", code=1).output
    assert world.statuses() == [StepStatus.STARTED]


def test_the_profile_says_for_how_long_a_station_is_shown_what_it_began(
    world: World, run: Command, as_json: Callable[..., Any], environments: Path, document: Path
) -> None:
    run("modality", "apply", document, "--env", "test")
    world.order(steps=(step(scheduled_station_ae_titles=("US_ROOM2",)),))
    world.create(creation(PerformedStationAETitle="US_ROOM2"))
    profile = environments / "test.toml"
    text = profile.read_text()
    for hours, shown in ((0, []), (1, ["A1"])):
        profile.write_text(f"{text}[mpps]\nstarted_visible_hours = {hours}\n")
        listed = as_json("worklist", "list", "--as", "US_ROOM2", "--env", "test")
        assert [row["accession"] for row in listed] == shown


def test_what_is_not_there_is_said(world: World, run: Command) -> None:
    world.create()
    assert "broker procedure list" in run("procedure", "show", "1.2", "--env", "test", code=1).output
    assert "no order" in run("procedure", "link", UID, "--order", "A9", "--env", "test", code=1).output
    assert "no request 9" in run("procedure", "retry", 9, "--env", "test", code=1).output


def test_a_parked_request_is_retried_or_discarded(world: World, run: Command, as_json: Callable[..., Any]) -> None:
    world.destinations = ("ris",)
    world.create()
    world.set()
    desk = Desk(world)
    desk.provider.replies = [NormalizedAnswer(0x0120)]
    desk.send()
    first, second = as_json("procedure", "show", UID, "--env", "test")["passed_on"]
    assert (first["state"], second["state"]) == ("parked", "waiting")
    (parked,) = as_json("procedure", "owed", "--state", "parked", "--env", "test")
    assert (parked["id"], parked["uid"], parked["operation"]) == (first["id"], UID, "create")
    assert len(as_json("procedure", "owed", "--env", "test")) == 2
    assert [row["id"] for row in as_json("procedure", "owed", "--limit", "1", "--env", "test")] == [second["id"]]
    run("procedure", "retry", first["id"], "--env", "test")
    assert desk.states() == ["waiting", "waiting"]
    run("procedure", "discard", first["id"], second["id"], "--why", "sent by hand", "--env", "test")
    assert desk.states() == ["discarded", "discarded"]
    assert "discarded" in run("procedure", "retry", first["id"], "--env", "test", code=1).output
    assert ("mpps.discarded", str(first["id"])) in acts(world.database)
