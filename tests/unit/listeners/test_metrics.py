"""The numbers of `/metrics`: of what is open, of what was counted, and of nobody by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.database import Database
from broker.dimse.service import NormalizedAnswer
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.exams import late_store, store
from broker.listeners.metrics import labeled, metrics
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from tests.conftest import FakeClock
from tests.unit.environments.test_profile import WHOLE
from tests.unit.exams.building import answer, association, deliver, items, receive
from tests.unit.procedures.building import UID, UNSCHEDULED, creation, item
from tests.unit.procedures.forward.test_worker import RIS, Desk
from tests.unit.procedures.world import World


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE, encoding="utf-8")
    read = profiles.read(file)
    return replace(read, mpps=replace(read.mpps, destinations=(RIS,)))


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock, destinations=(RIS.name,))


def test_deliveries_are_counted_by_what_is_open_and_in_all(world: World, clock: FakeClock, profile: Profile) -> None:
    receive(world.database, clock, 1, 2, to=("pacs", "archive"))
    deliver(world.database, clock, "archive")
    found = metrics(world.database, profile, clock)
    assert found['broker_deliveries{destination="pacs",state="waiting"}'] == 2
    assert [name for name in found if "archive" in name] == []
    assert found["broker_deliveries_owed_total"] == 4
    assert found["broker_spool_instances"] == 2


def test_mpps_that_is_passed_on_says_what_is_owed_how_old_and_whether_it_fails(
    world: World, clock: FakeClock, profile: Profile
) -> None:
    names = {what: f'broker_mpps_forward_{what}{{destination="{RIS.name}"}}' for what in ("oldest_seconds", "failing")}
    assert metrics(world.database, profile, clock)[names["oldest_seconds"]] == 0
    world.create()
    world.set()
    clock.advance(90)
    found = metrics(world.database, profile, clock)
    assert found[f'broker_mpps_forwards{{destination="{RIS.name}",state="waiting"}}'] == 2
    assert (found[names["oldest_seconds"]], found[names["failing"]]) == (90, 0)
    desk = Desk(world)
    desk.provider.replies = [NormalizedAnswer(0x0213)]
    desk.send()
    assert metrics(world.database, profile, clock)[names["failing"]] == 1


def test_performed_steps_are_counted_by_how_they_stand(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    world.create()
    world.create(creation(item(**UNSCHEDULED)), uid=f"{UID}.2")
    world.set(uid=f"{UID}.2")
    clock.advance(25 * 3600)
    found = metrics(world.database, profile, clock)
    states = {state: found[f'broker_performed_steps{{state="{state}"}}'] for state in ("in-progress", "stale")}
    assert states == {"in-progress": 1, "stale": 1}
    assert found['broker_performed_steps{state="unscheduled"}'] == 1
    assert found["broker_performed_steps_begun_total"] == 2


def test_queries_are_counted_once_by_their_answer(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    asked = association(world.database, clock, "1", "us-room-1")
    answer(world.database, clock, asked, *items(world.database))
    answer(world.database, clock, asked)
    with world.database.write("associations") as tx:
        worklist.record_query(tx, asked, clock.now(), QueryResult(0, items=(1,), truncated=True))
        worklist.record_query(tx, asked, clock.now(), QueryResult(0xA900))
    for _ in range(2):
        with world.database.write("associations") as tx:
            store.fold(tx, store.unfolded(tx))
    found = metrics(world.database, profile, clock)
    counted = {what: found[labeled("broker_worklist_queries_total", answer=what)] for what in store.QUERIES}
    assert counted == {"answered": 4, "empty": 1, "truncated": 1, "failed": 1}


def test_late_steps_are_those_that_were_counted_last(world: World, clock: FakeClock, profile: Profile) -> None:
    with world.database.write("alerts") as tx:
        late_store.keep(tx, {"started": 2, "received": 1, "delivered": 0}, clock.now())
    found = metrics(world.database, profile, clock)
    assert [found[labeled("broker_exam_steps_late", stage=stage)] for stage in late_store.STAGES] == [2, 1, 0]
    assert found["broker_exam_steps_late_counted_timestamp_seconds"] == int(clock.now().timestamp())


def test_no_patient_is_in_any_name(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    world.create()
    receive(world.database, clock, 1)
    names = " ".join(metrics(world.database, profile, clock))
    assert not any(value in names for value in ("4711", "Muster", "Müster", "A1"))


def test_labels_are_escaped() -> None:
    assert labeled("x", a='b"c\\d\ne') == 'x{a="b\\"c\\\\d\\ne"}'
