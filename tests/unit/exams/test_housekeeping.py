"""Chores: what expires, what is purged, and that the ledger says the same after it."""

from dataclasses import replace
from pathlib import Path

import pytest

from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery import studies as delivered_studies
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import Refused
from broker.exams import housekeeping, reading
from broker.exams.model import Exam
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, Arrival, EntryState, HeaderFacts
from broker.intake import Intake
from broker.orders import store as orders
from broker.orders.model import StepStatus
from broker.procedures import flow
from broker.registry.cache import RegistryCache
from broker.worklist import store as worklist
from tests.conftest import FakeClock
from tests.unit.environments.test_profile import WHOLE
from tests.unit.exams.building import answer, association, deliver, items, order, receive
from tests.unit.orders.building import HERE, new, step
from tests.unit.procedures.building import ending, series
from tests.unit.procedures.world import World, stated

DAY = 24 * 60 * 60


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE + "\n[retention]\ndays = 30\n", encoding="utf-8")
    return profiles.read(file)


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


def offered(world: World) -> list[int]:
    from sqlalchemy import select

    from broker.exams.store import ITEM

    with world.database.read() as tx:
        return list(tx.execute(select(ITEM.c.order_id).where(ITEM.c.offered == 1).order_by(ITEM.c.id)).scalars())


def test_an_item_expires_a_week_after_its_day_and_no_query_finds_it(
    world: World, profile: Profile, clock: FakeClock
) -> None:
    first, second = world.order(), world.order(stated(2), steps=(step(date="20260202"),))
    clock.advance(7 * DAY)
    assert housekeeping.expire_items(world.database, profile, clock) == 0
    clock.advance(DAY)
    assert housekeeping.expire_items(world.database, profile, clock) == 1
    assert housekeeping.expire_items(world.database, profile, clock) == 0
    assert offered(world) == [second]
    with world.database.read() as tx:
        (gone,) = worklist.of_order(tx, first)
        exam = reading.exam(tx, order(world.database, first), profile, clock.now())
    assert gone.status is StepStatus.SCHEDULED  # nobody canceled it
    assert any("offered no longer" in line.text for line in exam.lines)


def test_a_started_step_never_expires(world: World, profile: Profile, clock: FakeClock) -> None:
    order_id = world.order()
    world.create()
    clock.advance(400 * DAY)
    assert housekeeping.expire_items(world.database, profile, clock) == 0
    assert offered(world) == [order_id]


def test_nothing_expires_where_the_profile_says_so(world: World, profile: Profile, clock: FakeClock) -> None:
    world.order()
    clock.advance(400 * DAY)
    assert housekeeping.expire_items(world.database, replace(profile, expire_days=0), clock) == 0


def test_an_expired_item_is_offered_again_once_its_order_gets_another_day(
    world: World, profile: Profile, clock: FakeClock
) -> None:
    order_id = world.order()
    clock.advance(20 * DAY)
    housekeeping.expire_items(world.database, profile, clock)
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, new(1, steps=(step(date="20260301"),)), HERE))
    assert offered(world) == [order_id]


def message(world: World, state: EntryState) -> int:
    with world.database.write("inbox") as tx:
        arrival = Arrival(world.clock.now(), "127.0.0.1", 4000)
        facts = HeaderFacts(True, False, "RIS", "HOSP", "ORM^O01", "M1")
        return inbox.keep(tx, arrival, b"MSH|whole", facts, state=state, outcome=ACCEPTED, acknowledgement=b"MSA")


def test_purge_empties_old_messages_but_not_those_that_wait_for_a_person(
    world: World, profile: Profile, clock: FakeClock
) -> None:
    old, waiting = message(world, EntryState.APPLIED), message(world, EntryState.PERSON)
    clock.advance(31 * DAY)
    young = message(world, EntryState.APPLIED)
    assert housekeeping.purge(world.database, profile, clock)["messages"] == 1
    assert housekeeping.purge(world.database, profile, clock)["messages"] == 0
    with world.database.read() as tx:
        found = {number: inbox.find(tx, number) for number in (old, waiting, young)}
    raws = {number: entry.raw for number, entry in found.items() if entry}
    assert raws == {old: b"", waiting: b"MSH|whole", young: b"MSH|whole"}
    entry = found[old]
    assert entry is not None
    assert (entry.control_id, entry.acknowledgement) == ("M1", b"MSA")  # the same message again is still known
    with world.database.read() as tx:
        assert [one.id for one in inbox.newest(tx, 10)] == [waiting, young]
    intake = Intake(profile, world.database, RegistryCache(world.database), clock)
    with pytest.raises(Refused, match="purged"):
        intake.replay(old, "anna")


def test_purge_keeps_what_the_ledger_says(world: World, profile: Profile, clock: FakeClock) -> None:
    database = world.database
    order_id = world.order()
    own = association(database, clock, "1", "us-room-1")
    for _ in range(3):
        answer(database, clock, own, *items(database))
    receive(database, clock, 1, 2, to=("pacs", "archive"))
    clock.advance(5)
    deliver(database, clock)
    deliver(database, clock, "archive")
    with database.write("outbox") as tx:
        delivered_studies.note_studies(tx, ())
    assert housekeeping.fold_queries(database) == 3
    clock.advance(31 * DAY)
    receive(database, clock, 3, study_instance_uid="1.2.4", accession_number="B1")
    with database.read() as tx:
        before = reading.exam(tx, order(database, order_id), profile, clock.now())
    counts = housekeeping.purge(database, profile, clock)
    assert counts == {"messages": 0, "deliveries": 4, "queries": 2}
    with database.read() as tx:
        assert reading.exam(tx, order(database, order_id), profile, clock.now()) == before
    receive(database, clock, 4)
    with database.read() as tx:
        after = reading.exam(tx, order(database, order_id), profile, clock.now())
    delivered = [(line.about, line.count, line.of) for line in after.lines if line.stage.value == "delivered"]
    assert sorted(delivered) == [("archive", 2, 2), ("pacs", 2, 3)]


def purged(world: World, profile: Profile, clock: FakeClock, *order_ids: int) -> None:
    """Deliver and purge everything, and see that the ledger of these exams says the same as before."""
    database = world.database
    deliver(database, clock)
    with database.write("outbox") as tx:
        delivered_studies.note_studies(tx, ())
    clock.advance(31 * DAY)
    receive(database, clock, 99, study_instance_uid="1.2.99", accession_number="Z")

    def told() -> list[Exam]:
        with database.read() as tx:
            return [reading.exam(tx, order(database, each), profile, clock.now()) for each in order_ids]

    before = told()
    assert housekeeping.purge(database, profile, clock)["deliveries"] == 3
    assert told() == before


def test_purge_leaves_deliveries_with_the_exam_that_a_person_gave_the_images_to(
    world: World, profile: Profile, clock: FakeClock
) -> None:
    wrong, right = world.order(), world.order(stated(2))
    world.create()
    receive(world.database, clock, 0, 1, 7)  # the last one is of the study, and not of what was performed by mistake
    world.set(ending(PerformedSeriesSequence=[series("1.2.3.1", images=2)]))
    with world.database.write("orders") as tx:
        taken = flow.unlink_by_person(tx, world.stored(), wrong, "", "os-user:olga", "wrong entry", world.here())
        flow.link_by_person(tx, taken.step, right, "", "os-user:olga", world.here())
    purged(world, profile, clock, wrong, right)


def test_purge_leaves_deliveries_with_each_of_the_orders_that_share_a_study(
    world: World, profile: Profile, clock: FakeClock
) -> None:
    first = world.order()
    second = world.order(stated(2, study_instance_uid="1.2.3"), steps=(step("S2"),))
    receive(world.database, clock, 1)
    receive(world.database, clock, 2, accession_number="A2")
    receive(world.database, clock, 3, accession_number="")  # may be of both
    purged(world, profile, clock, first, second)


def test_numbers_of_deliveries_only_grow_whatever_is_purged(world: World, profile: Profile, clock: FakeClock) -> None:
    receive(world.database, clock, 1, 2)
    deliver(world.database, clock)
    with world.database.write("outbox") as tx:
        delivered_studies.note_studies(tx, ())
    clock.advance(31 * DAY)
    assert housekeeping.purge(world.database, profile, clock)["deliveries"] == 1
    receive(world.database, clock, 3)
    with world.database.read() as tx:
        assert [one.id for one in deliveries.deliveries(tx)] == [3, 2]


def test_nothing_is_purged_where_everything_is_kept(world: World, profile: Profile, clock: FakeClock) -> None:
    message(world, EntryState.APPLIED)
    clock.advance(4000 * DAY)
    assert housekeeping.purge(world.database, replace(profile, retention_days=0), clock) == {}
