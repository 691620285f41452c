from dataclasses import replace

import pytest

from broker.orders.model import Code
from broker.procedures import state
from broker.procedures.model import (
    PerformedInstance,
    PerformedSeries,
    PerformedStatus,
    PerformedStep,
    ScheduledItem,
    StepRefused,
    Update,
)

STARTED = PerformedStep(
    "1.2.3.4",
    PerformedStatus.IN_PROGRESS,
    (ScheduledItem("1.2.3"),),
    "20260201",
    "0930",
    modality="US",
    series=(PerformedSeries("1.2.3.0", "Abdomen"),),
)
SERIES = PerformedSeries("1.2.3.1", "Abdomen", instances=(PerformedInstance("1.2", "1.2.3.1.1"),))
DONE = Update(PerformedStatus.COMPLETED, "20260201", "0945", series=(SERIES,))


def test_a_completed_step_has_what_the_n_set_said() -> None:
    after = state.updated(STARTED, DONE).step
    assert (after.status, after.end_date, after.end_time) == (PerformedStatus.COMPLETED, "20260201", "0945")
    assert after.series == (SERIES,)
    assert after.notes == ()


def test_a_sequence_replaces_all_items() -> None:
    assert state.updated(STARTED, Update(series=(SERIES,))).step.series == (SERIES,)
    assert state.updated(STARTED, Update(series=())).step.series == ()
    assert state.updated(STARTED, Update()).step.series == STARTED.series


@pytest.mark.parametrize("status", [None, PerformedStatus.IN_PROGRESS])
def test_several_n_sets_are_taken_while_in_progress(status: PerformedStatus | None) -> None:
    after = state.updated(STARTED, Update(status, description="Liver"))
    assert (after.step.status, after.step.description) == (PerformedStatus.IN_PROGRESS, "Liver")


@pytest.mark.parametrize("ended", [PerformedStatus.COMPLETED, PerformedStatus.DISCONTINUED])
@pytest.mark.parametrize("status", [None, *PerformedStatus])
def test_a_final_state_accepts_nothing(ended: PerformedStatus, status: PerformedStatus | None) -> None:
    with pytest.raises(StepRefused) as caught:
        state.updated(replace(STARTED, status=ended), Update(status))
    assert (caught.value.status, caught.value.error_id) == (0x0110, 0xA710)
    assert str(caught.value) == "Performed Procedure Step Object may no longer be updated"


def test_what_a_final_state_lacks_is_noted_and_not_refused() -> None:
    after = state.updated(STARTED, Update(PerformedStatus.COMPLETED, series=()))
    assert after.step.notes == (
        "PerformedProcedureStepEndDate has no value",
        "PerformedProcedureStepEndTime has no value",
        "PerformedSeriesSequence has no item",
    )
    bare = (PerformedSeries("1.2"),)
    assert state.updated(STARTED, replace(DONE, series=bare)).step.notes == ("ProtocolName of a series has no value",)


def test_what_only_n_create_may_state_stays_and_a_difference_is_told() -> None:
    update = replace(
        DONE, fixed=(("Modality", "US"), ("PatientID", "9"), ("StudyID", "x")), items=(ScheduledItem("1.9"),)
    )
    after = state.updated(STARTED, update)
    assert after.ignored == ("PatientID", "StudyID", "ScheduledStepAttributesSequence")
    assert (after.step.patient, after.step.items) == (STARTED.patient, STARTED.items)


def test_stating_the_same_again_is_no_difference() -> None:
    assert state.updated(STARTED, replace(DONE, fixed=(("Modality", "US"),), items=STARTED.items)).ignored == ()


def test_the_reason_of_a_discontinuation_is_kept() -> None:
    reason = Code("110514", "DCM", "Incorrect worklist entry selected")
    after = state.updated(STARTED, replace(DONE, status=PerformedStatus.DISCONTINUED, discontinuation_reason=reason))
    assert after.step.discontinuation_reason == reason
