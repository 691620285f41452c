"""How many exams are late and still lacking: begun, received, delivered."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.database import Database
from broker.delivery import store as deliveries
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.exams import housekeeping, late_store
from broker.exams.limits import MIDNIGHT
from tests.conftest import FakeClock
from tests.unit.environments.test_profile import WHOLE
from tests.unit.exams.building import deliver, receive
from tests.unit.orders.building import step
from tests.unit.procedures.building import UID, ending, series
from tests.unit.procedures.world import World, stated


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE, encoding="utf-8")
    return profiles.read(file)


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


def counted(world: World, profile: Profile, **settings: Any) -> dict[str, int]:
    judged = replace(profile, exams=replace(profile.exams, **settings))
    with world.database.read() as tx:
        return late_store.count(tx, judged, world.clock.now())


def at(world: World, profile: Profile, clock: FakeClock, hours: float, *, number: int = 1) -> None:
    """Order something that is to begin so many hours from now."""
    due = (clock.now() + timedelta(hours=hours)).astimezone(profile.timezone)
    day, time = f"{due:%Y%m%d}", f"{due:%H%M%S}"
    world.order(
        stated(number),
        steps=(step(scheduled_procedure_step_start_date=day, scheduled_procedure_step_start_time=time),),
    )


def test_what_should_have_begun_within_the_last_day_is_late(world: World, clock: FakeClock, profile: Profile) -> None:
    for number, hours in enumerate((-0.5, -1.5, -10, -23, -30, 2), 1):
        at(world, profile, clock, hours, number=number)
    assert counted(world, profile)["started"] == 3
    assert counted(world, profile, started_late_minutes=0)["started"] == 0


def test_an_order_without_a_time_of_day_is_late_at_none(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order(steps=(step(scheduled_procedure_step_start_time=MIDNIGHT),))
    clock.advance(12 * 3600)
    assert counted(world, profile)["started"] == 0


def test_what_has_begun_is_late_no_more(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    clock.advance(3 * 3600)
    before = counted(world, profile)["started"]
    world.create()
    assert (before, counted(world, profile)["started"]) == (1, 0)


def test_images_that_the_mpps_lists_and_that_lack_are_late(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    for uid in (UID, f"{UID}.2"):
        world.create(uid=uid)
        world.set(ending(PerformedSeriesSequence=[series("1.2.3.1", images=3)]), uid=uid)
    receive(world.database, clock, 0, 1)
    assert counted(world, profile)["received"] == 0
    clock.advance(61 * 60)
    assert counted(world, profile)["received"] == 2
    receive(world.database, clock, 2)
    assert counted(world, profile)["received"] == 0
    clock.advance(24 * 3600)
    assert counted(world, profile, stored_late_minutes=0)["received"] == 0


def test_what_is_not_delivered_for_long_is_late_whoever_has_to_act(
    world: World, clock: FakeClock, profile: Profile
) -> None:
    receive(world.database, clock, 1, 2, to=("pacs",))
    receive(world.database, clock, 3, to=())
    clock.advance(31 * 60)
    assert counted(world, profile)["delivered"] == 3
    deliver(world.database, clock)
    assert counted(world, profile)["delivered"] == 1
    assert counted(world, profile, delivered_late_minutes=0)["delivered"] == 0
    with world.database.read() as tx:
        assert deliveries.owed_in_all(tx) == 3


def test_what_was_counted_is_kept_with_its_time(world: World, clock: FakeClock, profile: Profile) -> None:
    at(world, profile, clock, -2)
    housekeeping.count_late(world.database, profile, clock)
    with world.database.read() as tx:
        assert late_store.kept(tx) == {"started": 1, "received": 0, "delivered": 0}


def test_images_of_a_device_without_mpps_say_that_it_began(world: World, clock: FakeClock, profile: Profile) -> None:
    world.order()
    clock.advance(3 * 3600)
    receive(world.database, clock, 1)
    assert counted(world, profile)["started"] == 0
