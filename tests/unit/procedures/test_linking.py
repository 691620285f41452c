from dataclasses import replace

import pytest

from broker.orders.model import StepStatus
from broker.procedures import linking
from broker.procedures.linking import ENDINGS, Performance, status_after
from broker.procedures.model import Link, PerformedStatus, Rule, ScheduledItem
from broker.worklist.model import PlannedStep

SCHEDULED, STARTED, COMPLETED = StepStatus.SCHEDULED, StepStatus.STARTED, StepStatus.COMPLETED
S1 = PlannedStep(1, "S1", "1.2.3", "A1", "RP1", "4711", SCHEDULED)
S2 = replace(S1, scheduled_procedure_step_id="S2")
OTHER = PlannedStep(2, "S1", "1.2.4", "A2", "RP2", "4711", SCHEDULED)


def linked(item: ScheduledItem, *candidates: PlannedStep, patient: str = "4711") -> list[tuple[int, str, Rule]]:
    return [(one.order_id, one.step_id, one.rule) for one in linking.links([item], candidates, patient)]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (ScheduledItem("1.2.3", "A1", "RP1", "S1"), (1, "S1", Rule.STUDY_AND_STEP)),
        (ScheduledItem("1.2.3", "", "", "S2"), (1, "S2", Rule.STUDY_AND_STEP)),
        (ScheduledItem("1.9", "A1", "", "S2"), (1, "S2", Rule.ACCESSION_AND_STEP)),
        (ScheduledItem("1.9", "A2", "RP2", ""), (2, "S1", Rule.ACCESSION_AND_PROCEDURE)),
        (ScheduledItem("1.2.4", "", "", ""), (2, "S1", Rule.STUDY)),
        (ScheduledItem("1.2.4", "A9", "RP9", "S9"), (2, "S1", Rule.STUDY)),
        (ScheduledItem("1.2.3", "A9", "", "S1"), (1, "S1", Rule.STUDY_AND_STEP_ONLY)),
    ],
)
def test_an_item_is_linked_by_the_first_rule_that_fits(item: ScheduledItem, expected: tuple[int, str, Rule]) -> None:
    assert linked(item, S1, S2, OTHER) == [expected]


@pytest.mark.parametrize(
    "item",
    [
        ScheduledItem("1.9"),  # unscheduled
        ScheduledItem("1.9", "A9", "RP9", "S9"),  # unknown
        ScheduledItem("1.9", "", "RP1", "S1"),  # a step ID says nothing by itself
        ScheduledItem("1.2.3"),  # two open steps: not one alone
        ScheduledItem("1.9", "A1", "RP1"),  # likewise
    ],
)
def test_what_names_no_step_or_not_one_alone_is_left_to_people(item: ScheduledItem) -> None:
    assert linked(item, S1, S2, OTHER) == []


def test_of_several_steps_the_one_that_is_open_is_meant() -> None:
    done = replace(S1, status=COMPLETED)
    assert linked(ScheduledItem("1.2.3"), done, S2) == [(1, "S2", Rule.STUDY)]
    assert linked(ScheduledItem("1.9", "A1", "RP1"), done, S2) == [(1, "S2", Rule.ACCESSION_AND_PROCEDURE)]


def test_more_is_appended_to_the_one_that_was_performed() -> None:
    canceled = replace(S2, status=StepStatus.CANCELED)
    assert linked(ScheduledItem("1.2.3"), replace(S1, status=COMPLETED), canceled) == [(1, "S1", Rule.STUDY)]


def test_a_group_under_one_study_links_each_item_by_its_accession() -> None:
    # The modality gives one Study Instance UID to all, and each order calls its step S1.
    items = [ScheduledItem("1.2.3", "A1", "RP1", "S1"), ScheduledItem("1.2.3", "A2", "RP2", "S1")]
    found = linking.links(items, [S1, OTHER], "4711")
    assert [(one.order_id, one.item, one.rule) for one in found] == [
        (1, 0, Rule.STUDY_AND_STEP),
        (2, 1, Rule.ACCESSION_AND_STEP),
    ]


def test_two_items_of_one_step_are_both_linked() -> None:
    item = ScheduledItem("1.2.3", "A1", "RP1", "S1")
    found = linking.links([item, item], [S1], "4711")
    assert [(one.item, one.step_id) for one in found] == [(0, "S1"), (1, "S1")]


def test_an_accession_number_finds_no_step_of_another_patient() -> None:
    assert linked(ScheduledItem("1.9", "A1", "RP1", "S1"), S1, patient="9") == []
    assert linked(ScheduledItem("1.9", "A1", "RP1", "S1"), S1, patient="") != []


def test_a_study_of_another_patient_is_linked_and_told() -> None:
    found = linking.links([ScheduledItem("1.2.3", "A1", "RP1", "S1")], [S1], "9")
    assert len(found) == 1
    assert linking.differs([S1], found, "9")
    assert not linking.differs([S1], found, "4711")
    assert not linking.differs([S1], found, "")


def test_a_link_remembers_how_the_step_stood() -> None:
    held = replace(S1, status=StepStatus.HELD)
    assert linking.links([ScheduledItem("1.2.3", "", "", "S1")], [held], "") == (
        Link(1, "S1", Rule.STUDY_AND_STEP, 0, StepStatus.HELD),
    )


# --- how the scheduled step stands -----------------------------------------------------------------------------------

RUNNING = Performance(PerformedStatus.IN_PROGRESS, "", 0)
DONE = Performance(PerformedStatus.COMPLETED, "", 3)


def ended(code: str, images: int = 0) -> Performance:
    return Performance(PerformedStatus.DISCONTINUED, code, images)


@pytest.mark.parametrize(
    ("performances", "expected"),
    [
        ([RUNNING], STARTED),
        ([DONE], COMPLETED),
        ([DONE, RUNNING], STARTED),  # appended
        ([DONE, ended("110501")], COMPLETED),  # the appended one failed
        ([ended("110501"), DONE], COMPLETED),
        ([ended("110505"), ended("110528")], SCHEDULED),  # the last one counts
        ([ended("110528"), ended("110505")], StepStatus.DISCONTINUED),
        ([ended("110505"), ended("110514")], StepStatus.DISCONTINUED),  # one that was another patient's exam
        ([ended("110514"), RUNNING], STARTED),
        ([], SCHEDULED),
    ],
)
def test_several_performed_steps_of_one_step(performances: list[Performance], expected: StepStatus) -> None:
    assert status_after(performances, SCHEDULED) is expected


OVER = ["110500", "110502", "110503", "110504", "110505", "110507", "110508", "110509", "110510", "110511", "110512"]
AGAIN = ["110514", "110528", "110529"]
BY_IMAGES = ["110501", "110506", "110513", "110515", "110516", "110518", "110519", "110526", "110527"]


@pytest.mark.parametrize(("code", "images"), [(code, images) for code in OVER for images in (0, 1)])
def test_a_reason_that_ends_the_order(code: str, images: int) -> None:
    assert status_after([ended(code, images)], SCHEDULED) is StepStatus.DISCONTINUED


@pytest.mark.parametrize(("code", "images"), [(code, images) for code in AGAIN for images in (0, 1)])
def test_a_reason_that_leaves_the_order_to_be_performed(code: str, images: int) -> None:
    assert status_after([ended(code, images)], SCHEDULED) is SCHEDULED


@pytest.mark.parametrize("code", [*BY_IMAGES, "", "999999"])
def test_a_reason_whose_meaning_depends_on_what_was_made(code: str) -> None:
    assert status_after([ended(code)], SCHEDULED) is SCHEDULED
    assert status_after([ended(code, 1)], SCHEDULED) is StepStatus.DISCONTINUED


def test_every_reason_of_the_standard_has_its_meaning() -> None:
    assert sorted(ENDINGS) == sorted([*OVER, *AGAIN, *BY_IMAGES])


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (StepStatus.ARRIVED, SCHEDULED),
        (StepStatus.READY, SCHEDULED),
        (StepStatus.CANCELED, StepStatus.CANCELED),
        (StepStatus.HELD, StepStatus.HELD),
        (COMPLETED, COMPLETED),
    ],
)
def test_a_wrongly_selected_entry_is_as_if_nothing_had_been(before: StepStatus, expected: StepStatus) -> None:
    assert status_after([ended("110514", 5)], before) is expected
