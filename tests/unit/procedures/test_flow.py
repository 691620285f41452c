from dataclasses import replace
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from broker.database import Database, Transaction
from broker.environments.model import OrderEvent
from broker.errors import Refused
from broker.orders import store as orders
from broker.orders.model import Action, StepStatus
from broker.outbox import store as outbox
from broker.procedures import flow, store
from broker.procedures.model import Operation, PerformedStatus, Rule, StepRefused
from broker.procedures.received import create as read_create
from broker.procedures.unlinked import store as unlinks
from tests.conftest import FakeClock
from tests.unit.orders.building import EVA, HERE, STATED, merge, only, step
from tests.unit.outbox.examples import RIS
from tests.unit.procedures.building import (
    SYNTAXES,
    UID,
    UNSCHEDULED,
    creation,
    dataset,
    discontinued,
    encoded,
    ending,
    item,
    series,
)
from tests.unit.procedures.world import World, stated

SECOND = f"{UID}.2"
STARTED, COMPLETED, SCHEDULED = StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.SCHEDULED


def refused(world: World, *, create: Dataset | None = None, set_: Dataset | None = None, uid: str = UID) -> StepRefused:
    with pytest.raises(StepRefused) as caught:
        world.create(create, uid) if create is not None else world.set(set_, uid)
    return caught.value


def test_an_exam_starts_and_completes_its_step(world: World) -> None:
    world.order()
    taken = world.create()
    assert [link.rule for link in taken.step.links] == [Rule.STUDY_AND_STEP]
    assert world.statuses() == [STARTED]
    world.set()
    assert world.statuses() == [COMPLETED]
    assert world.told() == []
    stored = world.stored()
    assert (stored.step.status, stored.step.images) == (PerformedStatus.COMPLETED, 1)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_request_is_kept_as_it_came(world: World, syntax: str) -> None:
    world.create(syntax=syntax)
    world.set(syntax=syntax)
    with world.database.read() as tx:
        kept = store.messages(tx, world.stored().id)
    assert kept == [
        (Operation.CREATE, syntax, encoded(creation(), syntax)),
        (Operation.SET, syntax, encoded(ending(), syntax)),
    ]


def test_what_is_stored_is_what_was_taken(world: World) -> None:
    world.order()
    world.create()
    taken = world.set(ending("COMPLETED", series(images=2, reports=1), series("1.2.3.2", images=0)))
    assert world.stored() == taken.step


def test_one_step_of_several_is_started(world: World) -> None:
    world.order(steps=(step("S1"), step("S2")))
    world.create(creation(item(ScheduledProcedureStepID="S2")))
    assert world.statuses() == [SCHEDULED, STARTED]


def test_an_appended_exam_starts_the_step_again(world: World) -> None:
    world.order()
    world.create()
    world.set()
    world.create(uid=SECOND)
    assert world.statuses() == [STARTED]
    world.set(discontinued("110501"), uid=SECOND)
    assert world.statuses() == [COMPLETED]  # the first one was
    assert world.told() == []


def test_a_group_starts_and_completes_a_step_of_each_order(world: World) -> None:
    world.order()
    world.order(stated(2), steps=(step("S1"),))
    second = item(AccessionNumber="A2", RequestedProcedureID="RP2")  # under the first one's Study Instance UID
    world.create(creation(item(), second))
    assert [world.statuses(1), world.statuses(2)] == [[STARTED], [STARTED]]
    world.set()
    assert [world.statuses(1), world.statuses(2)] == [[COMPLETED], [COMPLETED]]
    with world.database.read() as tx:
        (found,) = store.of_order(tx, 2)
        assert [one.id for one in store.of_study(tx, "1.2.3")] == [found.id]
    assert [link.item for link in found.links] == [0, 1]


def test_an_unscheduled_exam_is_kept_and_told(world: World) -> None:
    world.order()
    taken = world.create(creation(item(**UNSCHEDULED)))
    assert (taken.step.links, taken.step.unlinked) == ((), (0,))
    assert world.told() == [flow.UNSCHEDULED]
    assert world.statuses() == [SCHEDULED]
    world.set()
    with world.database.read() as tx:
        assert [one.step.status for one in store.steps(tx, unlinked=True)] == [PerformedStatus.COMPLETED]


def test_an_exam_of_an_unknown_order_is_kept_and_told(world: World) -> None:
    world.create(creation(item(AccessionNumber="A9", StudyInstanceUID="1.9")))
    assert world.told() == [flow.UNMATCHED]


def test_an_order_that_comes_during_its_exam_is_linked_by_the_next_request(world: World) -> None:
    world.create()
    world.order()
    assert world.statuses() == [SCHEDULED]
    world.set(dataset(PerformedProcedureStepDescription="Liver"))
    assert world.statuses() == [STARTED]
    world.set()
    assert world.statuses() == [COMPLETED]
    assert [link.rule for link in world.stored().links] == [Rule.STUDY_AND_STEP]


def test_an_order_that_comes_before_its_exam_ends_is_completed_by_it(world: World) -> None:
    world.create()
    world.order()
    taken = world.set()
    assert world.statuses() == [COMPLETED]
    assert world.stored() == taken.step


def test_of_an_order_that_comes_during_its_exam_the_same_is_told(world: World) -> None:
    world.create(creation(PatientID="9"))
    world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, only(Action.CANCEL), HERE))
    world.set()
    assert (world.statuses(), world.told()) == ([COMPLETED], [flow.UNMATCHED, flow.OTHER_PATIENT, flow.CANCELED])


def test_half_a_group_is_linked_and_the_rest_told(world: World) -> None:
    world.order()
    taken = world.create(creation(item(), item(AccessionNumber="A9", StudyInstanceUID="1.9")))
    assert (len(taken.step.links), taken.step.unlinked) == (1, (1,))
    assert world.told() == [flow.UNMATCHED]


def test_another_patients_exam_of_a_known_study_is_linked_and_told(world: World) -> None:
    world.order()
    world.create(creation(PatientID="9"))
    assert world.statuses() == [STARTED]
    assert world.told() == [flow.OTHER_PATIENT]


@pytest.mark.parametrize("study", ["1.2.3", "1.2.999"])  # the worklist's, and one that the console made
def test_a_console_that_has_the_number_from_before_a_merge_means_the_same_patient(world: World, study: str) -> None:
    world.order()
    merged(world)
    world.create(creation(item(StudyInstanceUID=study), PatientID="4711"))
    assert (world.statuses(), world.told()) == ([STARTED], [])
    world.create(creation(item(StudyInstanceUID=study), PatientID="4799"), SECOND)  # appended, with the new number
    assert world.told() == []
    world.create(creation(item(StudyInstanceUID="1.2.3"), PatientID="4700"), f"{UID}.3")
    assert world.told() == [flow.OTHER_PATIENT]


def merged(world: World) -> None:
    """Merge the order's patient 4711 into 4799."""
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, merge("4711", replace(EVA, patient_id="4799")), HERE))


def test_an_exam_of_a_canceled_order_is_a_fact_and_told(world: World) -> None:
    world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, only(Action.CANCEL), HERE))
    assert world.statuses() == [StepStatus.CANCELED]
    world.create()
    assert (world.statuses(), world.told()) == ([STARTED], [flow.CANCELED])
    world.set(discontinued("110514"))
    assert world.statuses() == [StepStatus.CANCELED]


@pytest.mark.parametrize(
    ("made", "expected", "told"),
    [
        (discontinued("110514", images=4), SCHEDULED, [flow.WRONG_ENTRY]),
        (discontinued("110528"), SCHEDULED, []),
        (discontinued("110501"), SCHEDULED, []),
        (discontinued("110501", images=1), StepStatus.DISCONTINUED, []),
        (discontinued("110505"), StepStatus.DISCONTINUED, []),
        (discontinued(), SCHEDULED, []),
        (discontinued(images=2), StepStatus.DISCONTINUED, []),
        (dataset(PerformedProcedureStepStatus="COMPLETED"), COMPLETED, [flow.INCOMPLETE]),
    ],
)
def test_how_an_exam_ends_decides_how_its_step_stands(
    world: World, made: Dataset, expected: StepStatus, told: list[str]
) -> None:
    world.order()
    world.create()
    world.set(made)
    assert (world.statuses(), world.told()) == ([expected], told)


def test_a_known_uid_is_refused_and_changes_nothing(world: World) -> None:
    world.order()
    world.create()
    assert refused(world, create=creation()).status == 0x0111
    assert refused(world, create=creation(PerformedStationAETitle="US9")).status == 0x0111
    assert world.stored().step.performed_station_ae_title == "US1"


def test_an_unknown_uid_is_refused(world: World) -> None:
    assert refused(world, set_=ending()).status == 0x0112


@pytest.mark.parametrize("made", [ending(), discontinued(), dataset(PerformedProcedureStepDescription="x"), dataset()])
def test_an_ended_step_accepts_nothing(world: World, made: Dataset) -> None:
    world.create()
    world.set()
    error = refused(world, set_=made)
    assert (error.status, error.error_id) == (0x0110, 0xA710)
    with world.database.read() as tx:
        assert len(store.messages(tx, world.stored().id)) == 2


def test_a_series_sequence_replaces_all_series(world: World) -> None:
    world.create()
    world.set(dataset(PerformedSeriesSequence=[series("1.2.3.1"), series("1.2.3.2")]))
    world.set(dataset(PerformedProcedureStepDescription="Liver"))
    assert [one.series_instance_uid for one in world.stored().step.series] == ["1.2.3.1", "1.2.3.2"]
    world.set(ending("COMPLETED", series("1.2.3.3", images=3)))
    assert [one.series_instance_uid for one in world.stored().step.series] == ["1.2.3.3"]
    assert world.stored().step.images == 3


def test_an_n_set_in_another_character_set_is_understood(world: World) -> None:
    world.create()
    made = ending(SpecificCharacterSet="ISO_IR 144", PerformedProcedureStepDescription="Печень")
    world.set(made)
    assert world.stored().step.description == "Печень"
    assert world.stored().step.patient.patient_name == "Müster^Eva"


def test_what_may_not_change_stays_and_is_named(world: World) -> None:
    world.create()
    taken = world.set(ending(PatientID="9", Modality="US", StudyID="x"))
    assert taken.ignored == ("PatientID", "StudyID")
    assert taken.ignored_tags == (0x00100020, 0x00200010)
    assert world.stored().step.patient.patient_id == "4711"


def test_the_ris_is_owed_word_of_each_change_once(database: Database, clock: FakeClock) -> None:
    world = World(database, clock, receivers=(RIS,))
    world.order(steps=(step("S1"), step("S2")))
    world.create()
    world.set(dataset(PerformedProcedureStepDescription="Liver"))
    world.set()
    with database.read() as tx:
        owed = outbox.messages_of(tx)[::-1]
    assert [(one.event, one.step_ids) for one in owed] == [
        (OrderEvent.STARTED, ("S1",)),
        (OrderEvent.COMPLETED, ("S1",)),
    ]


# --- people ----------------------------------------------------------------------------------------------------------


def link(world: World, order_id: int, step_id: str = "") -> flow.Taken:
    with world.database.write("orders") as tx:
        taken = flow.link_by_person(tx, world.stored(), order_id, step_id, "os-user:olga", world.here())
        for applied in taken.applied:
            world.change(tx, applied)
    return taken


@pytest.mark.parametrize("reason", ["110514", "110501", "110528"])
def test_a_receiver_that_wants_it_is_told_that_a_step_is_to_be_performed_again(world: World, reason: str) -> None:
    wants_all = replace(RIS, name="all", events=tuple(OrderEvent))
    world.receivers = (RIS, wants_all)
    world.order()
    world.create()
    world.set(discontinued(reason))
    world.create(uid=SECOND)
    with world.database.read() as tx:
        owed = [(message.receiver, message.event.value) for message in outbox.of_order(tx, 1)]
        told = outbox.of_order(tx, 1)[2].body.decode()
    assert [event for name, event in owed if name == "all"] == ["started", "scheduled-again", "started"]
    assert [event for name, event in owed if name == RIS.name] == ["started"]
    assert ("ORC|SC|" in told, "||SC||" in told) == (True, True)


def test_a_person_links_an_unscheduled_exam(world: World) -> None:
    order_id = world.order()
    world.create(creation(item(**UNSCHEDULED)))
    world.set()
    link(world, order_id)
    assert world.statuses() == [COMPLETED]
    stored = world.stored()
    assert stored.unlinked == ()
    assert [(one.rule, one.by) for one in stored.links] == [(Rule.PERSON, "os-user:olga")]
    with world.database.read() as tx:
        assert store.steps(tx, unlinked=True) == []
    with pytest.raises(Refused, match="already"):
        link(world, order_id)


def test_a_person_says_which_step_of_several(world: World) -> None:
    order_id = world.order(steps=(step("S1"), step("S2")))
    world.create(creation(item(**UNSCHEDULED)))
    with pytest.raises(Refused, match="S1, S2"):
        link(world, order_id)
    link(world, order_id, "S2")
    assert world.statuses() == [SCHEDULED, STARTED]


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_stale_exam_is_told_of_once_and_again_after_it_was_heard_of(world: World, clock: FakeClock) -> None:
    def told() -> list[str]:
        with world.database.write("orders") as tx:
            return [one.subject for one in flow.note_stale(tx, clock.now() - timedelta(hours=24), clock.now())]

    world.create()
    clock.advance(23 * 3600)
    assert told() == []
    clock.advance(2 * 3600)
    assert [told(), told()] == [["US1"], []]
    world.set(dataset(PerformedProcedureStepDescription="Liver"))
    clock.advance(25 * 3600)
    assert told() == ["US1"]
    world.set()
    clock.advance(25 * 3600)
    assert told() == []


def test_what_a_person_dismissed_waits_for_nobody_and_goes_on(world: World, clock: FakeClock) -> None:
    world.create(creation(item(**UNSCHEDULED)))
    clock.advance(25 * 3600)
    since = clock.now() - timedelta(hours=24)
    with world.database.write("orders") as tx:
        assert store.counts(tx, since) == {"in-progress": 1, "stale": 1, "unscheduled": 1}
        unlinks.dismiss(tx, id_of(tx), "by erika: a phantom", clock.now())
        assert store.counts(tx, since) == {"in-progress": 1, "stale": 0, "unscheduled": 0}
        assert flow.note_stale(tx, since, clock.now()) == ()
        waiting = (store.steps(tx, unlinked=True), store.steps(tx, silent_since=since))
        assert waiting == ([], [])
    world.set()
    stored = world.stored()
    assert (stored.step.status, stored.dismissed) == (PerformedStatus.COMPLETED, "by erika: a phantom")


def test_what_is_handed_over_waits_for_nobody_here(world: World, clock: FakeClock) -> None:
    received = read_create(UID, encoded(creation()), SYNTAXES[0])
    with world.database.write("orders") as tx:
        world.know(tx)
        flow.hand_over(tx, received, None, world.here(), "other-world")
        later = clock.now() + timedelta(hours=25)
        assert store.counts(tx, later) == {"in-progress": 1, "stale": 0, "unscheduled": 0}
        assert flow.note_stale(tx, later, later) == ()


def id_of(tx: Transaction) -> int:
    found = store.find(tx, UID)
    assert found is not None
    return found.id


def test_who_performs_a_step_now_is_known(world: World, clock: FakeClock) -> None:
    order_id = world.order()
    world.create(creation(PerformedStationAETitle="US1_MPPS"))
    with world.database.read() as tx:
        assert store.starters(tx, [order_id]) == {(order_id, "S1"): (frozenset({"US1_MPPS", "US1"}), clock.now())}
    world.set()
    with world.database.read() as tx:
        assert store.starters(tx, [order_id]) == {}


# --- N-GET -----------------------------------------------------------------------------------------------------------


def test_a_step_is_retrieved_as_it_stands_in_one_character_set(world: World) -> None:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filereader import read_dataset

    world.create(syntax=SYNTAXES[2])
    world.set(ending(SpecificCharacterSet="ISO_IR 144", PerformedProcedureStepDescription="Печень"))
    with world.database.read() as tx:
        data = flow.retrieved(tx, UID, (), SYNTAXES[1])
        some = flow.retrieved(tx, UID, (0x00400252,), SYNTAXES[0])
    made = read_dataset(DicomBytesIO(data), False, True)
    assert (str(made.PatientName), made.PerformedProcedureStepDescription) == ("Müster^Eva", "Печень")
    assert made.PerformedProcedureStepStatus == "COMPLETED"
    assert made.PerformedSeriesSequence[0].ProtocolName == "Abdomen"
    partly = read_dataset(DicomBytesIO(some), True, True)
    assert [element.keyword for element in partly] == ["SpecificCharacterSet", "PerformedProcedureStepStatus"]


def test_the_keys_of_an_order_are_found_by_index(database: Database, world: World) -> None:
    if database.url.startswith("sqlite"):
        world.order(STATED)
        with database.read() as tx:
            plan = tx.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT id FROM worklist_item WHERE study_instance_uid IN ('1.2.3')"
                " OR (offered IN (0, 1) AND accession_number IN ('A1'))"
            ).all()
        assert not any("SCAN worklist_item" in str(row) for row in plan)


# --- a person takes a link back --------------------------------------------------------------------------------------


def unlink(world: World, order_id: int, step_id: str = "", uid: str = UID) -> flow.Taken:
    with world.database.write("orders") as tx:
        taken = flow.unlink_by_person(
            tx, world.stored(uid), order_id, step_id, "os-user:olga", "another patient lay there", world.here()
        )
        for applied in taken.applied:
            world.change(tx, applied)
    return taken


def test_an_exam_of_the_wrong_order_is_unlinked_and_linked_to_the_right_one(world: World) -> None:
    wrong, right = world.order(), world.order(stated(2))
    world.create()
    world.set()
    assert world.statuses(wrong) == [COMPLETED]
    unlink(world, wrong)
    assert (world.statuses(wrong), world.statuses(right)) == ([SCHEDULED], [SCHEDULED])
    with world.database.read() as tx:
        assert [known.step.sop_instance_uid for known in store.steps(tx, unlinked=True)] == [UID]
    link(world, right)
    assert (world.statuses(wrong), world.statuses(right)) == ([SCHEDULED], [COMPLETED])
    with world.database.read() as tx:
        (known,) = unlinks.of_order(tx, wrong)
        assert unlinks.of_order(tx, right) == []
        assert unlinks.of_step(tx, world.stored().id) == [known]
    assert (known.step_id, known.by, known.why) == ("S1", "os-user:olga", "another patient lay there")


def test_what_a_person_unlinked_no_rule_links_again(world: World) -> None:
    wrong = world.order()
    world.create()
    unlink(world, wrong)
    world.order(stated(2, study_instance_uid="1.2.3"), steps=(step("S9"),))
    world.set()
    assert world.stored().links == ()
    assert world.statuses(wrong) == [SCHEDULED]
    link(world, wrong)
    assert world.statuses(wrong) == [COMPLETED]


def test_what_else_was_performed_of_the_step_counts_on(world: World) -> None:
    order_id = world.order()
    world.create()
    world.set()
    world.create(uid=f"{UID}.2")
    unlink(world, order_id)
    assert world.statuses(order_id) == [STARTED]
    world.set(discontinued("110514"), uid=f"{UID}.2")
    assert world.statuses(order_id) == [SCHEDULED]


def test_a_canceled_order_is_canceled_again(world: World) -> None:
    order_id = world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.perform(tx, order_id, (), StepStatus.CANCELED, world.clock.now()))
    world.create()
    assert world.statuses(order_id) == [STARTED]
    unlink(world, order_id)
    assert world.statuses(order_id) == [StepStatus.CANCELED]


def test_only_what_is_linked_is_unlinked(world: World) -> None:
    order_id = world.order(steps=(step("S1"), step("S2")))
    world.create(creation(item(), item(ScheduledProcedureStepID="S2")))
    with pytest.raises(Refused, match="S1, S2"):
        unlink(world, order_id)
    with pytest.raises(Refused, match="not linked"):
        unlink(world, order_id, "S3")
    unlink(world, order_id, "S2")
    assert world.statuses(order_id) == [STARTED, SCHEDULED]
    assert world.stored().unlinked == (1,)
