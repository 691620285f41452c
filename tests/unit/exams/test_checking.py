"""Which order an image belongs to, and what its images may carry: read from a database."""

import pytest

from broker.database import Database
from broker.delivery import store as deliveries
from broker.delivery.model import DeliveryState
from broker.exams import checking
from broker.orders import store as orders
from broker.orders.model import MergeChange, MergeKind, Patient
from tests.conftest import FakeClock
from tests.unit.exams.building import instance, receive
from tests.unit.orders.building import HERE, STATED
from tests.unit.procedures.building import UID, creation, item
from tests.unit.procedures.world import World, stated


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


def found(world: World, **changes: str) -> tuple[int, tuple[str, ...]]:
    with world.database.read() as tx:
        return checking.found(tx, instance(1, world.clock.now(), **changes))


def merge(world: World, surviving: str, old: str) -> None:
    change = MergeChange(MergeKind.MERGE, Patient(surviving, "HOSP", "Muster^Eva"), old, "HOSP", "MRG^1")
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, change, HERE))


def test_an_image_of_its_order_agrees(world: World) -> None:
    order = world.order()
    assert found(world) == (order, ())


def test_an_image_of_no_order_is_nobodys_matter(world: World) -> None:
    world.order()
    assert found(world, study_instance_uid="1.9", accession_number="", patient_id="1") == (0, ())
    assert found(world, study_instance_uid="1.9", accession_number="B7", patient_id="1") == (0, ())


def test_an_image_is_found_by_study_before_accession(world: World) -> None:
    first, second = world.order(), world.order(stated(2))
    assert found(world, accession_number="A2") == (first, ("AccessionNumber",))
    assert found(world, study_instance_uid="1.9", accession_number="A2") == (second, ("StudyInstanceUID",))


def test_another_patient_is_named(world: World) -> None:
    order = world.order()
    assert found(world, patient_id="4712") == (order, ("PatientID",))


def test_the_old_number_of_a_merged_patient_agrees_before_and_after_the_exam(world: World) -> None:
    order = world.order()
    merge(world, "5000", "4711")
    assert found(world, patient_id="5000") == (order, ())
    assert found(world, patient_id="4711") == (order, ())  # a console keeps yesterday's worklist
    assert found(world, patient_id="4712") == (order, ("PatientID",))


def test_a_started_step_keeps_what_the_modality_took(world: World) -> None:
    order = world.order()
    world.create()
    merge(world, "5000", "4711")
    assert found(world, patient_id="4711") == (order, ())


def test_a_study_that_a_person_has_linked_agrees_and_one_that_a_rule_has_linked_does_not(world: World) -> None:
    order = world.order()
    world.create(creation(item(StudyInstanceUID="1.2.9")))  # linked by accession and step
    with world.database.read() as tx:
        stored = orders.order(tx, order)
        performed = world.stored(UID)
        assert checking.linked([performed], order) == ("1.2.9",)
        assert checking.expected(tx, stored).study_instance_uids == {STATED["study_instance_uid"]}


def test_what_disagrees_is_held_until_it_is_released(database: Database, clock: FakeClock) -> None:
    receive(database, clock, 1, to=("pacs", "archive"))
    receive(database, clock, 2, to=())
    with database.write("delivery") as tx:
        assert deliveries.hold(tx, f"{1:026}", "PatientID of the image disagrees") == 2
        assert deliveries.hold(tx, f"{2:026}", "PatientID of the image disagrees") == 0
        (parked,) = deliveries.of_instance(tx, f"{2:026}")
        assert parked.state is DeliveryState.PARKED
        assert "no route" in parked.reason
        assert "PatientID" in parked.reason
        assert not deliveries.has_due(tx, "pacs", clock.now())
        first, second = deliveries.of_instance(tx, f"{1:026}")
        assert {first.state, second.state} == {DeliveryState.HELD}
        assert deliveries.release_held(tx, first.id, clock.now())
        assert not deliveries.release_held(tx, first.id, clock.now())
        assert deliveries.has_due(tx, first.destination, clock.now())
        assert not deliveries.has_due(tx, second.destination, clock.now())
