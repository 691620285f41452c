"""The lines of an exam, from what its stages recorded: read from a database, judged by a clock."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.database import Database
from broker.delivery import store as deliveries
from broker.environments import profile as profiles
from broker.environments.model import OrderEvent, Profile, Receiver
from broker.environments.model import World as Kind
from broker.exams import reading, store
from broker.exams.limits import MIDNIGHT
from broker.exams.model import Exam, Line, Mark, Stage
from broker.orders import store as orders
from broker.orders.model import Action, StepStatus
from broker.outbox import store as outbox
from broker.procedures import flow
from tests.conftest import FakeClock
from tests.unit.environments.test_profile import WHOLE
from tests.unit.exams.building import answer, association, deliver, items, order, receive
from tests.unit.orders.building import HERE, STATED, only, step
from tests.unit.procedures.building import creation, discontinued, ending, item, series
from tests.unit.procedures.world import World, stated

RIS = Receiver("ris", "127.0.0.1", 2576, Kind.TEST)


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    file = tmp_path / "test.toml"
    file.write_text(WHOLE, encoding="utf-8")
    return profiles.read(file)


class Ledger:
    """An exam of a world, read at the clock's time."""

    def __init__(self, world: World, profile: Profile, clock: FakeClock) -> None:
        self.world, self.profile, self.clock = world, profile, clock

    def exam(self, order_id: int = 1) -> Exam:
        stored = order(self.world.database, order_id)
        with self.world.database.read() as tx:
            return reading.exam(tx, stored, self.profile, self.clock.now())

    def lines(self, stage: Stage, order_id: int = 1) -> list[Line]:
        return [line for line in self.exam(order_id).lines if line.stage is stage]

    def line(self, stage: Stage, order_id: int = 1) -> Line:
        (line,) = self.lines(stage, order_id)
        return line


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock, receivers=(RIS,))


@pytest.fixture
def ledger(world: World, profile: Profile, clock: FakeClock) -> Ledger:
    return Ledger(world, profile, clock)


def ending_of(*listed: Any) -> Any:
    return ending(PerformedSeriesSequence=list(listed))


def test_a_new_order_has_one_line_a_stage_and_all_is_yet_to_come(world: World, ledger: Ledger) -> None:
    world.order()
    exam = ledger.exam()
    assert [line.stage for line in exam.lines] == list(Stage)
    marks = [Mark.DONE, *[Mark.NOT_YET] * 5, Mark.NOT_ASKED, Mark.NOT_ASKED]
    assert [line.mark for line in exam.lines] == marks
    assert not exam.is_late
    assert "message 7 of the inbox" in exam.lines[0].text


def test_who_was_offered_it_is_told_by_item_and_device_folded_or_not(world: World, ledger: Ledger) -> None:
    database, clock = world.database, ledger.clock
    world.order()
    (first,) = items(database)
    known = association(database, clock, "1", "us-room-1")
    unknown = association(database, clock, "2", "", "US9")
    began = clock.now()
    answer(database, clock, known, first, 99)
    clock.advance(60)
    answer(database, clock, unknown, first)
    with database.write("associations") as tx:
        assert store.fold(tx, store.unfolded(tx)) == 2
        assert store.fold(tx, store.unfolded(tx)) == 0
    clock.advance(60)
    answer(database, clock, known, first)
    own, other = ledger.lines(Stage.OFFERED)
    assert (own.about, own.at, own.last, own.count) == ("us-room-1", began, clock.now(), 2)
    assert (other.about, other.count, other.text) == ("US9", 1, "answered once")
    with database.write("associations") as tx:
        assert store.fold(tx, store.unfolded(tx)) == 1
    assert ledger.lines(Stage.OFFERED) == [own, other]


def test_what_somebody_else_has_folded_meanwhile_counts_once(world: World, ledger: Ledger) -> None:
    database, clock = world.database, ledger.clock
    world.order()
    answer(database, clock, association(database, clock, "1", "us-room-1"), *items(database))
    with database.read() as tx:
        read = store.unfolded(tx)
    with database.write("associations") as tx:
        assert (store.fold(tx, read), store.fold(tx, read)) == (1, 0)
        assert store.queries(tx)["answered"] == 1
    (line,) = ledger.lines(Stage.OFFERED)
    assert line.count == 1


def test_images_are_counted_against_what_the_completed_mpps_lists(world: World, ledger: Ledger) -> None:
    world.order()
    world.create()
    ledger.clock.advance(600)
    receive(world.database, ledger.clock, 1, 2)
    world.set(ending_of(series("1.2.3.1", images=3)))
    listed = [one.sop_instance_uid for one in world.stored().step.series[0].instances]
    assert ledger.line(Stage.COMPLETED).text == "completed, 3 images in 1 series listed"
    had = len({"1.2.3.1.1", "1.2.3.1.2"} & set(listed))
    line = ledger.line(Stage.RECEIVED)
    assert (line.mark, line.count, line.of) == (Mark.PARTLY, had, 3)
    assert "lacking" in line.text
    assert not line.late
    ledger.clock.advance(61 * 60)
    assert ledger.line(Stage.RECEIVED).late == "lacking for 1 h 1 min since the MPPS ended"


def test_an_exam_of_which_all_listed_images_came_is_received(world: World, ledger: Ledger) -> None:
    world.order()
    world.create()
    world.set(ending_of(series("1.2.3.1", images=3)))
    for number, one in enumerate(world.stored().step.series[0].instances, 1):
        facts = receive_as(number, one.sop_instance_uid, world, ledger.clock)
        assert facts
    line = ledger.line(Stage.RECEIVED)
    assert (line.mark, line.count, line.of, line.about) == (Mark.DONE, 3, 3, "us-room-1")
    assert line.text == "3 of 3 images listed by MPPS, 1 series"


def receive_as(number: int, sop_instance_uid: str, world: World, clock: FakeClock) -> bool:
    from tests.unit.exams.building import instance

    facts = replace(instance(number, clock.now()).facts, sop_instance_uid=sop_instance_uid)
    receive(world.database, clock, number, facts=facts)
    return True


def test_without_mpps_complete_is_a_quiet_period_and_says_so(world: World, ledger: Ledger) -> None:
    world.order()
    receive(world.database, ledger.clock, 1, 2)
    ledger.clock.advance(14 * 60)
    assert ledger.line(Stage.RECEIVED).mark is Mark.PARTLY
    assert "once nothing comes for 15 min" in ledger.line(Stage.COMPLETED).text
    ledger.clock.advance(60)
    assert ledger.line(Stage.RECEIVED).mark is Mark.DONE
    completed = ledger.line(Stage.COMPLETED)
    assert (completed.mark, completed.text[:32]) == (Mark.DONE, "no MPPS: counts as complete, as ")
    assert ledger.line(Stage.STARTED).text == "no MPPS: taken from the first image"


def test_a_destination_is_a_line_with_its_numbers_and_what_needs_a_person(world: World, ledger: Ledger) -> None:
    database, clock = world.database, ledger.clock
    world.order()
    receive(database, clock, 1, 2, to=("pacs", "archive"))
    clock.advance(5)
    deliver(database, clock)
    with database.write("delivery") as tx:
        deliveries.hold(tx, f"{1:026}", "PatientID of the image disagrees")
    archive, pacs = sorted(ledger.lines(Stage.DELIVERED), key=lambda line: line.about)
    assert (pacs.mark, pacs.count, pacs.of, pacs.at) == (Mark.DONE, 2, 2, clock.now())
    assert (archive.mark, archive.count, archive.of) == (Mark.PERSON, 0, 2)
    assert archive.text == "0 of 2 delivered; 1 waiting; 1 held: PatientID of the image disagrees"
    clock.advance(31 * 60)
    assert "lacking for 31 min" in sorted(ledger.lines(Stage.DELIVERED), key=lambda line: line.about)[0].late
    assert ledger.exam().is_late


def test_images_that_are_held_for_several_reasons_say_how_many(world: World, ledger: Ledger) -> None:
    world.order()
    receive(world.database, ledger.clock, 1, 2, 3)
    with world.database.write("delivery") as tx:
        for number, reason in ((1, "PatientID"), (2, "PatientID"), (3, "AccessionNumber")):
            deliveries.hold(tx, f"{number:026}", reason)
    text = ledger.line(Stage.DELIVERED).text
    assert text == "0 of 3 delivered; 3 held: PatientID; 1 other reason: `broker delivery list`"


def test_an_exam_is_not_over_while_one_of_its_steps_is_to_be_done(world: World, ledger: Ledger) -> None:
    world.order(steps=(step(), step("S2")))
    world.create()
    world.set(ending_of(series("1.2.3.1", images=1)))
    ended, left = ledger.lines(Stage.COMPLETED)
    assert (ended.mark, left.mark, left.text) == (Mark.DONE, Mark.NOT_YET, "step S2: still to be done")
    assert ledger.exam().stages[Stage.COMPLETED].mark is Mark.PARTLY


def test_an_order_without_a_time_of_day_is_not_late_to_begin(world: World, ledger: Ledger) -> None:
    world.order(steps=(step(scheduled_procedure_step_start_time=MIDNIGHT),))
    ledger.clock.advance(12 * 3600)
    waiting = ledger.line(Stage.STARTED)
    assert (waiting.late, waiting.at, waiting.text) == ("", None, "no device has begun")
    world.create()
    assert not ledger.line(Stage.STARTED).late


def test_what_came_late_stays_flagged(world: World, ledger: Ledger) -> None:
    world.order()  # scheduled at 09:30 in Berlin: 08:30 UTC
    ledger.clock.advance(60 * 60)
    assert not ledger.line(Stage.STARTED).late
    ledger.clock.advance(31 * 60)
    assert ledger.line(Stage.STARTED).late == "lacking for 1 h 1 min since its scheduled start"
    world.create()
    ledger.clock.advance(24 * 60 * 60)
    line = ledger.line(Stage.STARTED)
    assert (line.late, line.about) == ("1 h 1 min after its scheduled start", "US1")
    assert line.text == "performed step PPS1 (MPPS)"


def test_images_that_disagree_are_counted_by_keyword(world: World, ledger: Ledger) -> None:
    world.order()
    receive(world.database, ledger.clock, 1)
    receive(world.database, ledger.clock, 2, 3, patient_id="4712")
    _, flagged = ledger.lines(Stage.RECEIVED)
    assert (flagged.mark, flagged.text) == (Mark.PERSON, "2 disagree with the order in PatientID: compare them")
    assert ledger.exam().stages[Stage.RECEIVED].mark is Mark.PERSON


def test_orders_that_share_a_study_have_their_own_images(world: World, ledger: Ledger) -> None:
    first = world.order()
    second = world.order(stated(2, study_instance_uid=STATED["study_instance_uid"]), steps=(step("S2"),))
    receive(world.database, ledger.clock, 1, 2)
    receive(world.database, ledger.clock, 3, accession_number="A2")
    assert ledger.line(Stage.RECEIVED, first).count == 2
    assert ledger.line(Stage.RECEIVED, second).count == 1


def test_images_of_a_study_that_the_modality_made_are_found_by_its_mpps(world: World, ledger: Ledger) -> None:
    world.order()
    world.create(creation(item(StudyInstanceUID="1.2.9")))
    receive(world.database, ledger.clock, 1, study_instance_uid="1.2.9", accession_number="")
    whole, flagged = ledger.lines(Stage.RECEIVED)
    assert whole.count == 1
    assert "StudyInstanceUID" in flagged.text


def test_what_the_ris_is_told_is_a_line_each(world: World, ledger: Ledger) -> None:
    world.order()
    world.create()
    with world.database.write("outbox") as tx:
        outbox.owe(tx, (RIS,), order(world.database), OrderEvent.IMAGES_AVAILABLE, (), ledger.clock.now())
    told = ledger.lines(Stage.REPORTED)
    assert [line.text.split()[0] for line in told] == ["started", "images-available"]
    assert {line.mark for line in told} == {Mark.PARTLY}


def test_a_status_of_the_ris_stands_in_for_mpps(world: World, ledger: Ledger) -> None:
    order_id = world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.perform(tx, order_id, (), StepStatus.COMPLETED, ledger.clock.now()))
    assert ledger.line(Stage.COMPLETED).text == "COMPLETED (no MPPS)"
    assert "COMPLETED" in ledger.line(Stage.STARTED).text


def test_a_canceled_order_says_when_and_is_late_for_nothing(world: World, ledger: Ledger) -> None:
    world.order()
    with world.database.write("orders") as tx:
        world.change(tx, orders.apply(tx, only(Action.CANCEL), HERE))
    ledger.clock.advance(24 * 60 * 60)
    _, canceled = ledger.lines(Stage.ORDERED)
    assert canceled.text == "canceled by message 7 of the inbox"
    assert ledger.line(Stage.OFFERED).text == "never answered to a device; now CANCELED"
    assert not ledger.exam().is_late


def test_exams_of_a_day_come_soonest_first(world: World) -> None:
    late = world.order(steps=(step(scheduled_procedure_step_start_time="150000"),))
    early = world.order(stated(2), steps=(step(scheduled_procedure_step_start_time="070000"),))
    world.order(stated(3), steps=(step(date="20260202"),))
    with world.database.read() as tx:
        assert [stored.id for stored in reading.of_day(tx, "20260201", 10)] == [early, late]


def test_an_unlinked_step_and_its_images_leave_the_exam_with_a_word_and_count_where_they_belong(
    world: World, ledger: Ledger
) -> None:
    wrong, right = world.order(), world.order(stated(2))
    world.create()
    receive(world.database, ledger.clock, 0, 1)
    world.set(ending_of(series("1.2.3.1", images=2)))
    receive(world.database, ledger.clock, 7)  # of the study, and not of what was performed by mistake
    assert ledger.line(Stage.RECEIVED, wrong).text.startswith("2 of 2 images")
    here = world.here()
    with world.database.write("orders") as tx:
        taken = flow.unlink_by_person(tx, world.stored(), wrong, "", "os-user:olga", "another patient lay there", here)
        flow.link_by_person(tx, taken.step, right, "", "os-user:olga", here)
    told, begun = ledger.lines(Stage.STARTED, wrong)
    assert (told.mark, told.about) == (Mark.NOT_ASKED, "os-user:olga")
    assert told.text.endswith("was unlinked with its images: another patient lay there")
    assert "no MPPS: taken from the first image" in begun.text
    assert ledger.line(Stage.RECEIVED, wrong).count == 1
    assert ledger.exam(wrong).stages[Stage.STARTED].mark is Mark.DONE
    counted, disagreeing = ledger.lines(Stage.RECEIVED, right)
    assert (counted.count, counted.of) == (2, 2)
    assert disagreeing.text == "2 disagree with the order in AccessionNumber: compare them"
    assert ledger.exam(right).stages[Stage.STARTED].mark is Mark.DONE


def test_an_exam_of_which_all_was_unlinked_has_not_begun(world: World, ledger: Ledger) -> None:
    order_id = world.order()
    world.create()
    with world.database.write("orders") as tx:
        flow.unlink_by_person(tx, world.stored(), order_id, "", "os-user:olga", "wrong room", world.here())
    stages = ledger.exam(order_id).stages
    assert (stages[Stage.STARTED].mark, stages[Stage.COMPLETED].mark) == (Mark.NOT_YET, Mark.NOT_YET)
    assert stages[Stage.STARTED].at is None


def test_no_image_is_waited_for_where_the_exam_was_discontinued_without_any(world: World, ledger: Ledger) -> None:
    world.order()
    world.create()
    world.set(discontinued("110505"))
    ledger.clock.advance(5 * 3600)
    line = ledger.line(Stage.RECEIVED)
    assert (line.mark, line.late) == (Mark.NOT_ASKED, "")
    assert "discontinued" in line.text
    delivered = ledger.line(Stage.DELIVERED)
    assert (delivered.mark, delivered.text) == (Mark.NOT_ASKED, "nothing to deliver")


def test_only_messages_count_as_changes_of_an_order(world: World, ledger: Ledger) -> None:
    world.order()
    world.create()
    world.set()
    assert "changed" not in ledger.line(Stage.ORDERED).text
