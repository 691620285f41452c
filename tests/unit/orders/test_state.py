"""The table of what an action does to a step, whole."""

import itertools

import pytest

from broker.orders.model import PERFORMED, Action, StepStatus
from broker.orders.state import LIVE, NEXT

S = StepStatus


def test_every_action_on_every_status_has_an_answer() -> None:
    assert set(NEXT) == set(itertools.product(StepStatus, Action))


def test_live_and_performed_and_canceled_are_all_there_is() -> None:
    assert LIVE | PERFORMED | {S.CANCELED} == set(StepStatus)
    assert not LIVE & PERFORMED


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("status", [S.COMPLETED, S.DISCONTINUED])
def test_what_is_over_stays_over(action: Action, status: StepStatus) -> None:
    assert NEXT[status, action].status is status


@pytest.mark.parametrize(
    ("action", "live"),
    [
        (Action.CANCEL, S.CANCELED),
        (Action.DISCONTINUE, S.CANCELED),
        (Action.REPLACE, S.CANCELED),
        (Action.HOLD, S.HELD),
        (Action.START, S.STARTED),
        (Action.COMPLETE, S.COMPLETED),
    ],
)
def test_live_steps_go_where_the_action_says(action: Action, live: StepStatus) -> None:
    assert {NEXT[status, action].status for status in LIVE} == {live}


@pytest.mark.parametrize("action", [Action.NEW, Action.CHANGE, Action.CHILD, Action.PARENT, Action.NUMBER])
def test_a_change_of_data_changes_no_live_status(action: Action) -> None:
    assert all(NEXT[status, action].status is status for status in LIVE)


def test_a_begun_exam_is_not_canceled_and_the_sender_is_told_how() -> None:
    next_ = NEXT[S.STARTED, Action.CANCEL]
    assert (next_.status, next_.impossible, next_.text) == (
        S.STARTED,
        True,
        "the exam has begun: discontinue (DC) it",
    )


def test_a_discontinued_begun_exam_ends_by_its_performed_procedure_step() -> None:
    assert NEXT[S.STARTED, Action.DISCONTINUE].status is S.STARTED
    assert not NEXT[S.STARTED, Action.DISCONTINUE].impossible


def test_release_schedules_what_is_held_and_nothing_else() -> None:
    assert NEXT[S.HELD, Action.RELEASE].status is S.SCHEDULED
    assert all(NEXT[status, Action.RELEASE].status is status for status in StepStatus if status is not S.HELD)


def test_a_held_step_does_not_arrive() -> None:
    assert NEXT[S.HELD, Action.ARRIVE].status is S.HELD
    assert NEXT[S.HELD, Action.ARRIVE].text
    assert NEXT[S.SCHEDULED, Action.ARRIVE].status is S.ARRIVED
