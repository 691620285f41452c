"""Which order may alter an image: strictly one, of its patient, and not disavowed."""

from typing import Any

import pytest

from broker.database import Database
from broker.delivery.correction.model import Doubt, Meant
from broker.exams import meant
from broker.orders import store as orders
from broker.orders.model import Action, MergeChange, MergeKind, Patient
from broker.procedures import flow
from tests.conftest import FakeClock
from tests.unit.exams.building import instance
from tests.unit.orders.building import ADAM, HERE, only, step
from tests.unit.procedures.building import UNSCHEDULED, creation, discontinued, ending, item, series
from tests.unit.procedures.world import World, stated


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)


def found(world: World, number: int = 1, /, **changes: Any) -> Meant:
    image = instance(number, world.clock.now(), **changes)
    with world.database.read() as tx:
        return meant.orders_of(tx, [image])[image.id]


def order_of(found: Meant) -> int:
    return found.order.id if found.order else 0


def link(world: World, order_id: int) -> None:
    """What a person does by `broker procedure link`."""
    with world.database.write("orders") as tx:
        flow.link_by_person(tx, world.stored(), order_id, "", "os-user:eva", world.here())


def test_an_image_of_its_order_is_surely_that_orders(world: World) -> None:
    order = world.order()
    image = found(world)
    assert (order_of(image), image.doubt, image.by_study, image.by_person) == (order, None, True, False)


def test_an_image_that_names_no_patient_is_its_studys(world: World) -> None:
    order = world.order()
    image = found(world, patient_id="", accession_number="")
    assert (order_of(image), image.doubt) == (order, None)


def test_without_an_order_nothing_is_sure(world: World) -> None:
    world.order()
    image = found(world, study_instance_uid="1.9", accession_number="")
    assert (image.order, image.doubt) == (None, Doubt.NO_ORDER)


def test_by_accession_number_alone_the_patient_must_agree(world: World) -> None:
    order = world.order()
    own = {"study_instance_uid": "1.9"}
    assert (order_of(found(world, **own)), found(world, **own).doubt) == (order, None)
    assert found(world, **own).by_study is False
    assert found(world, patient_id="", **own).doubt is Doubt.OTHER_PATIENT
    assert found(world, patient_id="1", **own).doubt is Doubt.OTHER_PATIENT


def test_an_accession_number_of_another_order_makes_it_unsure(world: World) -> None:
    world.order()
    world.order(stated(2))
    assert found(world, accession_number="A2").doubt is Doubt.SEVERAL
    assert found(world, accession_number="A9").doubt is None  # nobody's: a console's own


def test_of_several_orders_of_one_study_the_accession_number_tells(world: World) -> None:
    world.order()
    second = world.order(stated(2, study_instance_uid="1.2.3"), (step("S2"),))
    assert order_of(found(world, accession_number="A2")) == second
    assert found(world, accession_number="").doubt is Doubt.SEVERAL


def test_another_patient_is_unsure_and_a_former_number_is_not(world: World) -> None:
    order = world.order()
    assert found(world, patient_id="4712").doubt is Doubt.OTHER_PATIENT
    change = MergeChange(MergeKind.MERGE, Patient("5000", "HOSP", "Muster^Eva"), "4711", "HOSP", "MRG^1")
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, change, HERE))
    image = found(world, patient_id="4711")
    assert (order_of(image), image.doubt) == (order, None)
    assert image.order is not None and image.order.order.patient.patient_id == "5000"


def test_the_same_number_of_another_authority_is_another_patient(world: World) -> None:
    world.order()
    assert found(world, attributes={"IssuerOfPatientID": "HOSP"}).doubt is None
    assert found(world, attributes={"IssuerOfPatientID": "ELSEWHERE"}).doubt is Doubt.OTHER_PATIENT


def test_a_canceled_order_alters_nothing(world: World) -> None:
    world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, only(Action.CANCEL), HERE))
    assert found(world).doubt is Doubt.CANCELED


def test_a_persons_link_is_sure_whatever_the_image_says(world: World) -> None:
    order = world.order()
    world.create(creation(item(**UNSCHEDULED), PatientID="TYPED"))
    image = {"study_instance_uid": UNSCHEDULED["StudyInstanceUID"], "accession_number": "", "patient_id": "TYPED"}
    assert found(world, **image).doubt is Doubt.NO_ORDER
    link(world, order)
    linked = found(world, **image)
    assert (order_of(linked), linked.doubt, linked.by_person) == (order, None, True)


def test_a_persons_link_goes_before_the_worklist_entry_that_was_selected(world: World) -> None:
    world.order()
    right = world.order(stated(2), patient=ADAM)
    world.create()
    link(world, right)
    image = found(world)
    assert (order_of(image), image.by_person) == (right, True)


def test_what_was_made_by_a_wrong_worklist_entry_is_not_altered_by_it(world: World) -> None:
    world.order()
    world.create()
    world.set(discontinued("110514", images=2))  # 1.2.3.1.0 and 1.2.3.1.1
    assert found(world, 1).doubt is Doubt.WRONG_ENTRY
    assert found(world, 5).doubt is None  # not of that step
    world.create(uid="1.2.9.9")
    world.set(ending("COMPLETED", series(images=2)), uid="1.2.9.9")
    assert found(world, 1).doubt is None


def test_a_wrong_entry_that_lists_nothing_spoils_all_of_it(world: World) -> None:
    world.order()
    world.create()
    world.set(discontinued("110514"))
    assert found(world, 1).doubt is Doubt.WRONG_ENTRY


def test_what_a_person_has_unlinked_is_not_altered_by_that_order(world: World) -> None:
    order = world.order()
    world.create()
    world.set(ending("COMPLETED", series(images=2)))
    assert found(world, 1).doubt is None
    with world.database.write("orders") as tx:
        flow.unlink_by_person(tx, world.stored(), order, "", "os-user:eva", "another patient's", world.here())
    assert found(world, 1).doubt is Doubt.UNLINKED
    assert found(world, 5).doubt is None  # not of that step
