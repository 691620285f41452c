"""What changes do to stored orders, on both databases: the outcomes that the standards part names."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from broker.database import Database
from broker.environments.model import LateStatements
from broker.identifiers import is_uid
from broker.orders import store
from broker.orders.model import Action, Did, Missing, OrderKeys, Origin, Patient, Refusal, StepStatus
from tests.unit.orders.building import (
    ADAM,
    EVA,
    HERE,
    NOW,
    STATED,
    UNNAMED,
    adt,
    at,
    change,
    new,
    only,
    origins_of,
    step,
)
from tests.unit.orders.conftest import Desk

S = StepStatus
TWO = (step("S1"), step("S2"))
OTHER = {key: value + "0" for key, value in STATED.items()}


# --- new orders ------------------------------------------------------------------------------------------------------


def test_new_order_is_found_by_each_of_its_keys(desk: Desk) -> None:
    applied = desk.send(new())
    (stored,) = applied.orders
    assert (applied.did, applied.warning, stored.canceled, stored.generation) == (Did.CREATED, "", False, 0)
    for key in ("A1", "P1", "F1", "1.2.3", str(stored.id)):
        assert desk.order(key) == stored
    assert desk.all() == [stored]
    with desk.database.read() as tx:
        assert store.order(tx, stored.id) == stored


def test_applied_order_is_what_is_stored(desk: Desk) -> None:
    visit = {"AdmissionID": "V1", "ReferringPhysicianName": "Refer^Rita"}
    (stored,) = desk.send(new(order={"visit": visit}, steps=TWO)).orders
    assert (stored.order.visit, stored.order.patient) == (visit, EVA)
    assert desk.order() == stored


def test_same_message_again_changes_nothing(desk: Desk) -> None:
    first = desk.send(new(order={"visit": {"AdmissionID": "V1"}}))
    again = desk.send(new(order={"visit": {"AdmissionID": "V1"}}))
    assert (again.did, again.orders) == (Did.NOTHING, first.orders)
    assert desk.did(first.orders[0].id) == [Did.CREATED]


def test_order_without_identifiers_is_completed_and_finds_itself(desk: Desk) -> None:
    first = desk.send(new(stated=UNNAMED, steps=(step(""),)))
    (stored,) = first.orders
    assert is_uid(stored.order.study_instance_uid)
    assert (stored.order.accession_number, stored.order.requested_procedure_id) == ("F1", "F1")
    assert stored.origins["", "StudyInstanceUID"].made_here
    assert stored.origins["F1", "ScheduledProcedureStepID"].rule.startswith("requested procedure ID")
    again = desk.send(new(stated=UNNAMED, steps=(step(""),)))
    assert (again.did, again.orders) == (Did.NOTHING, first.orders)


def test_two_systems_that_number_alike_get_studies_of_their_own(desk: Desk) -> None:
    numbers = {"placer_order_number": "P1", "placer_issuer": "HIS"}
    first = desk.send(new(stated=numbers)).orders[0]
    second = desk.send(new(stated={**numbers, "placer_issuer": "OTHER"})).orders[0]
    assert first.id != second.id
    assert first.order.study_instance_uid != second.order.study_instance_uid


def test_what_is_missing_refuses_a_new_order(desk: Desk) -> None:
    lacking = new(missing=Missing("OBR^1^24", "Modality is missing and cannot be derived"))
    refusal = desk.refused(lacking)
    assert (refusal.answer, refusal.code, refusal.location) == ("AE", "101", "OBR^1^24")
    assert desk.refused(new(patient=Patient())).location == "PID^1^3"
    assert desk.refused(new(steps=())).code == "101"
    assert desk.all() == []


def test_second_procedure_of_one_order_is_an_order_of_its_own(desk: Desk) -> None:
    desk.send(new())
    second = desk.send(new(stated={**STATED, "study_instance_uid": "1.2.4", "requested_procedure_id": "RP2"}))
    assert second.did is Did.CREATED
    assert desk.refused(only(Action.CANCEL)).text.endswith("name several orders")
    canceled = desk.send(only(Action.CANCEL, filler_order_number="F1", requested_procedure_id="RP2"))
    assert canceled.orders[0].id == second.orders[0].id


def test_orders_that_are_sent_under_one_study_are_orders_of_their_own(desk: Desk) -> None:
    shared = {"study_instance_uid": "1.2.3", "placer_order_number": "P1"}
    first = desk.send(new(stated={**shared, "filler_order_number": "F1", "accession_number": "A1"})).orders[0]
    second = new(stated={**shared, "filler_order_number": "F2", "accession_number": "A2"})
    refusal = desk.refused(second)
    assert (refusal.code, "ScheduledProcedureStepID" in refusal.text) == ("205", True)
    applied = desk.send(replace(second, order=replace(second.order, steps=(step("S2"),))))
    assert (applied.did, desk.order("F1")) == (Did.CREATED, first)
    assert desk.send(only(Action.CANCEL, filler_order_number="F2")).orders[0].id == applied.orders[0].id


@pytest.mark.parametrize("key", ["study_instance_uid", "accession_number", "filler_order_number"])
def test_number_that_belongs_to_another_patient_is_refused(desk: Desk, key: str) -> None:
    desk.send(new())
    refusal = desk.refused(
        new(stated={**OTHER, "study_instance_uid": "1.2.9", "filler_issuer": "RIS", key: STATED[key]}, patient=ADAM)
    )
    assert (refusal.answer, refusal.code) == ("AE", "204")
    assert "4712" not in refusal.text
    assert "Adam" not in refusal.text


def test_identifiers_of_two_authorities_are_two_patients(desk: Desk) -> None:
    desk.send(new())
    elsewhere = replace(EVA, issuer_of_patient_id="")
    second = desk.send(new(stated={**OTHER, "study_instance_uid": "1.2.9"}, patient=elsewhere))
    assert second.orders[0].patient_row != desk.order().patient_row


# --- changes ---------------------------------------------------------------------------------------------------------


def test_change_of_one_step_moves_only_that_step_and_ignores_the_patient(desk: Desk) -> None:
    desk.send(new(steps=TWO, order={"visit": {"AdmissionID": "V1"}}))
    moved = change(
        Action.CHANGE,
        stated={"study_instance_uid": "1.2.3"},
        patient=replace(EVA, patient_name="Other^Name"),
        steps=(step("S2", "20260203"),),
        order={"visit": {"AdmissionID": "V9"}},
        minute=1,
    )
    applied = desk.send(moved)
    (stored,) = applied.orders
    assert applied.warning.startswith("the message states another PatientName than is known")
    assert [s.scheduled_procedure_step_start_date for s in stored.order.steps] == ["20260201", "20260203"]
    assert (stored.order.patient, stored.order.visit) == (EVA, {"AdmissionID": "V1"})
    assert desk.order() == stored
    assert desk.history(stored.id)[-1].text == "ScheduledProcedureStepStartDate"


def test_cancel_of_a_patient_with_another_birth_date_and_sex_says_so_and_one_without_says_nothing(desk: Desk) -> None:
    desk.send(new(steps=TWO))
    for_nobody_else = replace(EVA, patient_name="", patient_birth_date="", patient_sex="")
    for_another = replace(EVA, patient_birth_date="19900101", patient_sex="O")
    hold = desk.send(change(Action.HOLD, patient=for_nobody_else, minute=1))
    cancel = desk.send(change(Action.CANCEL, patient=for_another, minute=2))
    assert hold.warning == ""
    assert cancel.did is Did.CANCELED
    assert cancel.warning.startswith("the message states another PatientBirthDate and PatientSex than")


def test_change_of_an_unknown_order_creates_it(desk: Desk) -> None:
    applied = desk.send(change(Action.CHANGE, steps=(step(),)))
    assert (applied.did, desk.order().order.patient) == (Did.CREATED, EVA)


def test_change_of_an_unknown_order_without_the_whole_is_refused(desk: Desk) -> None:
    assert desk.refused(only(Action.CHANGE)).code == "101"


def test_appointment_creates_no_order_by_itself(desk: Desk) -> None:
    assert desk.refused(change(Action.CHANGE, steps=(step(),), creates=False)).code == "204"


def test_values_made_here_fill_and_never_overwrite(desk: Desk) -> None:
    desk.send(new())
    now = "ScheduledProcedureStepStartDate"
    desk.send(new(1, steps=(step(date="20260909"),), made_here=frozenset({now})))
    assert desk.order().order.steps[0].scheduled_procedure_step_start_date == "20260201"
    assert desk.order().origins["S1", now] == Origin(f"X-{now}", "", 7)


def test_null_clears_and_absence_keeps(desk: Desk) -> None:
    visit = {"AdmissionID": "V1", "CurrentPatientLocation": "US 2", "ReferringPhysicianName": "Refer^Rita"}
    desk.send(new(order={"visit": visit}))
    places = {(0, "AdmissionID"), (0, "PatientBirthDate"), (0, "RequestedProcedurePriority"), (1, "Modality")}
    nulls = new(1, steps=(step(modality=""),), patient=Patient("4711", "HOSP"), order={"attributes": {}})
    stored = desk.send(replace(nulls, cleared=frozenset(places))).orders[0]
    assert stored.order.visit == {"CurrentPatientLocation": "US 2", "ReferringPhysicianName": "Refer^Rita"}
    assert (stored.order.patient.patient_name, stored.order.patient.patient_birth_date) == ("Muster^Eva", "")
    assert (stored.order.attributes, stored.order.steps[0].modality) == ({}, "")
    assert ("", "RequestedProcedurePriority") not in stored.origins
    assert desk.order() == stored


def test_step_without_id_must_be_clear(desk: Desk) -> None:
    desk.send(new(steps=TWO))
    doubtful = desk.refused(change(Action.CHANGE, steps=(step(""),)))
    assert (doubtful.code, doubtful.location) == ("101", "ORC^1")
    moved = desk.send(change(Action.CHANGE, steps=(step("", "20260205"), step("", "20260206"))))
    assert [s.scheduled_procedure_step_start_date for s in moved.orders[0].order.steps] == ["20260205", "20260206"]


def test_stated_id_takes_the_place_of_one_made_here(desk: Desk) -> None:
    desk.send(new(stated=UNNAMED, steps=(step(""),)))
    stored = desk.send(new(1, stated=UNNAMED, steps=(step("S7"),))).orders[0]
    assert [s.scheduled_procedure_step_id for s in stored.order.steps] == ["S7"]
    assert stored.origins["S7", "ScheduledProcedureStepID"].source
    assert desk.order() == stored


def test_step_that_is_new_to_an_order_is_added(desk: Desk) -> None:
    desk.send(new())
    stored = desk.send(change(Action.CHANGE, steps=(step("S2", modality=""),), minute=1)).orders[0]
    assert [(s.scheduled_procedure_step_id, s.modality) for s in stored.order.steps] == [("S1", "US"), ("S2", "US")]
    assert stored.origins["S2", "ScheduledProcedureStepStartDate"].source
    assert desk.order() == stored


def test_begun_order_keeps_what_the_modality_took(desk: Desk) -> None:
    order_id = desk.send(new(steps=TWO)).orders[0].id
    with desk.database.write("orders") as tx:
        store.perform(tx, order_id, ("S1",), S.STARTED, NOW)
    described = {"requested_procedure_description": "US Abdomen and Kidneys", "accession_number": "A2"}
    applied = desk.send(new(1, steps=(step("S1", "20270101"), step("S2", "20270101")), order=described))
    stored = applied.orders[0].order
    assert [s.scheduled_procedure_step_start_date for s in stored.steps] == ["20260201", "20270101"]
    assert (stored.requested_procedure_description, stored.accession_number) == ("US Abdomen and Kidneys", "A1")
    assert "has begun" in applied.warning


def test_number_of_the_placer_is_attached_to_the_fillers_order(desk: Desk) -> None:
    desk.send(new(stated={**STATED, "placer_order_number": "", "placer_issuer": ""}))
    assigned = change(
        Action.NUMBER, stated={"filler_order_number": "F1", "placer_order_number": "P7", "placer_issuer": "HIS"}
    )
    applied = desk.send(assigned)
    assert (applied.did, desk.order("P7").order.filler_order_number) == (Did.LINKED, "F1")
    assert desk.order("P7").placer_issuer == "HIS"
    assert desk.send(assigned).did is Did.NOTHING
    assert desk.refused(only(Action.NUMBER)).code == "101"


# --- cancel, hold and the like ---------------------------------------------------------------------------------------


def test_cancel_takes_every_step_once(desk: Desk) -> None:
    desk.send(new(steps=TWO))
    applied = desk.send(only(Action.CANCEL))
    assert (applied.did, applied.orders[0].canceled) == (Did.CANCELED, True)
    assert desk.statuses() == {"S1": S.CANCELED, "S2": S.CANCELED}
    assert desk.send(only(Action.CANCEL)).did is Did.NOTHING


def test_cancel_of_one_step_leaves_the_others(desk: Desk) -> None:
    desk.send(new(steps=TWO))
    applied = desk.send(replace(only(Action.CANCEL), step_ids=("S2",)))
    assert (applied.did, applied.orders[0].canceled) == (Did.CANCELED, False)
    assert desk.statuses() == {"S1": S.SCHEDULED, "S2": S.CANCELED}
    assert desk.history(applied.orders[0].id)[-1].text == "steps: S2"
    assert desk.refused(replace(only(Action.CANCEL), step_ids=("S9",))).code == "204"


def test_step_canceled_alone_is_scheduled_again_by_a_newer_order_only(desk: Desk) -> None:
    desk.send(new(0, steps=TWO))
    desk.send(replace(only(Action.CANCEL, 5), step_ids=("S2",)))
    again = desk.send(new(0, steps=TWO))
    assert (desk.statuses()["S2"], "newer" in again.warning) == (S.CANCELED, True)
    desk.send(new(6, steps=TWO))
    assert desk.statuses()["S2"] is S.SCHEDULED


def test_begun_exam_is_not_canceled(desk: Desk) -> None:
    order_id = desk.send(new()).orders[0].id
    with desk.database.write("orders") as tx:
        store.perform(tx, order_id, (), S.STARTED, NOW)
    refusal = desk.refused(only(Action.CANCEL))
    assert (refusal.code, refusal.text) == ("204", "the exam has begun: discontinue (DC) it")


def test_cancel_of_a_half_begun_order_takes_the_rest_and_says_so(desk: Desk) -> None:
    order_id = desk.send(new(steps=TWO)).orders[0].id
    with desk.database.write("orders") as tx:
        store.perform(tx, order_id, ("S1",), S.STARTED, NOW)
    applied = desk.send(only(Action.CANCEL))
    assert (applied.did, applied.warning) == (Did.CANCELED, "the exam has begun: discontinue (DC) it")
    assert desk.statuses() == {"S1": S.STARTED, "S2": S.CANCELED}
    assert not desk.order().canceled


def test_discontinue_lets_what_has_begun_end_by_itself(desk: Desk) -> None:
    order_id = desk.send(new(steps=TWO)).orders[0].id
    with desk.database.write("orders") as tx:
        store.perform(tx, order_id, ("S1",), S.STARTED, NOW)
    desk.send(only(Action.DISCONTINUE))
    assert desk.statuses() == {"S1": S.STARTED, "S2": S.CANCELED}


def test_hold_and_release(desk: Desk) -> None:
    desk.send(new())
    assert (desk.send(only(Action.HOLD)).did, desk.statuses()) == (Did.HELD, {"S1": S.HELD})
    assert desk.send(new(1)).did is Did.NOTHING
    assert desk.statuses() == {"S1": S.HELD}
    assert (desk.send(only(Action.RELEASE)).did, desk.statuses()) == (Did.RELEASED, {"S1": S.SCHEDULED})


@pytest.mark.parametrize(
    ("action", "status"), [(Action.ARRIVE, S.ARRIVED), (Action.START, S.STARTED), (Action.COMPLETE, S.COMPLETED)]
)
def test_status_of_an_order_is_kept_and_says_whence(desk: Desk, action: Action, status: StepStatus) -> None:
    desk.send(new())
    applied = desk.send(only(action))
    assert (applied.did, desk.statuses()) == (Did.STATUS, {"S1": status})
    assert desk.order().origins["S1", "ScheduledProcedureStepStatus"].source == "ORC-1"
    assert desk.send(only(action)).did is Did.NOTHING


def test_status_of_an_unknown_order_is_refused_unless_it_is_whole(desk: Desk) -> None:
    assert desk.refused(only(Action.START)).code == "204"
    assert desk.send(change(Action.ARRIVE, steps=(step(),))).did is Did.CREATED
    assert desk.statuses() == {"S1": S.ARRIVED}


def test_what_changes_nothing(desk: Desk) -> None:
    desk.send(new())
    before = desk.order()
    assert desk.send(only(Action.NOTHING)).did is Did.NOTHING
    assert desk.send(only(Action.UNABLE)).did is Did.NOTED
    assert desk.send(only(Action.UNABLE, filler_order_number="F9")).did is Did.NOTHING
    refusal = desk.refused(only(Action.PERSON))
    assert (refusal.code, refusal.for_person) == ("103", True)
    assert desk.order() == before


def test_every_action_on_every_status_is_applied_or_refused(desk: Desk) -> None:
    for number, (status, action) in enumerate(itertools.product(StepStatus, Action)):
        stated = {"filler_order_number": f"F{number}", "study_instance_uid": f"1.2.{number}"}
        order_id = desk.send(new(stated=stated)).orders[0].id
        with desk.database.write("orders") as tx:
            store.perform(tx, order_id, (), status, NOW)
        try:
            desk.send(change(action, stated=stated, steps=(step(),), minute=1))
        except Refusal as refusal:
            assert refusal.text
            assert refusal.answer == "AE"


def test_a_new_order_that_names_nobody_leaves_the_known_patient(desk: Desk) -> None:
    first = desk.send(new(0)).orders[0]
    for minute in (1, 2):
        again = desk.send(new(minute, patient=Patient(), steps=(step(date="20260203"),))).orders[0]
        assert (again.id, again.order.patient) == (first.id, first.order.patient)
    assert desk.order().order.steps[0].scheduled_procedure_step_start_date == "20260203"


# --- cancel before create, and after -------------------------------------------------------------------------------


def test_order_that_comes_after_its_cancel_stays_canceled(desk: Desk) -> None:
    tombstone = desk.send(only(Action.CANCEL, 5))
    assert (tombstone.did, tombstone.orders[0].canceled, bool(tombstone.warning)) == (Did.TOMBSTONE, True, True)
    assert desk.order() == tombstone.orders[0]
    late = desk.send(new(0))
    assert (late.did, late.orders[0].canceled, "newer" in late.warning) == (Did.LATE, True, True)
    assert desk.did(late.orders[0].id) == [Did.TOMBSTONE, Did.LATE]
    assert desk.send(only(Action.CANCEL, 5)).did is Did.NOTHING


def test_order_newer_than_its_cancel_is_another_generation(desk: Desk) -> None:
    first = desk.send(new(0, stated=UNNAMED)).orders[0]
    desk.send(only(Action.CANCEL, 5))
    again = desk.send(new(6, stated=UNNAMED))
    second = again.orders[0]
    assert (again.did, second.generation, second.canceled) == (Did.CREATED, 1, False)
    assert second.order.study_instance_uid != first.order.study_instance_uid
    desk.send(only(Action.CANCEL, 7))
    third = desk.send(new(8, stated=UNNAMED)).orders[0]
    assert third.generation == 2
    assert len({order.order.study_instance_uid for order in desk.named("F1")}) == 3
    assert desk.send(new(8, stated=UNNAMED)).did is Did.NOTHING


def test_only_the_steps_that_were_canceled_before_their_order_came_stay_off(desk: Desk) -> None:
    before = desk.send(replace(only(Action.CANCEL, 5), step_ids=("S1",)))
    assert (before.did, before.orders, bool(before.warning)) == (Did.TOMBSTONE, (), True)
    late = desk.send(new(0, steps=(step("S1"), step("S2"))))
    assert (late.did, "newer" in late.warning) == (Did.CREATED, True)
    assert [one.status for one in late.orders[0].order.steps] == [StepStatus.CANCELED, StepStatus.SCHEDULED]


def test_an_order_newer_than_the_cancel_of_its_step_has_all_steps(desk: Desk) -> None:
    desk.send(replace(only(Action.CANCEL, 5), step_ids=("S1",)))
    newer = desk.send(new(6, steps=(step("S1"), step("S2"))))
    assert [one.status for one in newer.orders[0].order.steps] == [StepStatus.SCHEDULED, StepStatus.SCHEDULED]


def test_a_second_cancel_names_further_steps_or_the_whole_order(desk: Desk) -> None:
    for own in ("S1", "S2"):
        desk.send(replace(only(Action.CANCEL, 5), step_ids=(own,)))
    late = desk.send(new(0, steps=(step("S1"), step("S2"), step("S3"))))
    assert [one.status.value for one in late.orders[0].order.steps] == ["CANCELED", "CANCELED", "SCHEDULED"]
    desk.send(replace(only(Action.CANCEL, 5, **OTHER), step_ids=("S1",)))
    desk.send(only(Action.CANCEL, 6, **OTHER))
    assert desk.send(new(0, stated=OTHER)).did is Did.LATE


def test_canceled_study_is_never_used_again(desk: Desk) -> None:
    desk.send(new(0))
    desk.send(only(Action.CANCEL, 5))
    assert desk.send(new(0)).did is Did.LATE
    assert desk.refused(new(6)).code == "205"
    other = desk.send(new(6, stated={**STATED, "study_instance_uid": "1.2.33"})).orders[0]
    assert (other.generation, other.order.study_instance_uid) == (1, "1.2.33")


def test_change_of_a_canceled_order_is_refused_or_late(desk: Desk) -> None:
    desk.send(new(0))
    desk.send(only(Action.CANCEL, 5))
    assert desk.send(change(Action.CHANGE, steps=(step(),), minute=4)).did is Did.LATE
    assert desk.refused(change(Action.CHANGE, steps=(step(),), minute=6)).code == "205"


def test_newest_cancel_counts(desk: Desk) -> None:
    desk.send(new(0, stated=UNNAMED))
    desk.send(only(Action.CANCEL, 5))
    desk.send(only(Action.CANCEL, 9))
    assert desk.send(new(7, stated=UNNAMED)).did is Did.LATE


# --- parent and child ------------------------------------------------------------------------------------------------


def test_children_are_scheduled_in_their_parents_place(desk: Desk) -> None:
    parent = desk.send(new()).orders[0]
    child = new(
        1,
        stated={"filler_order_number": "F2", "filler_issuer": "RIS", "study_instance_uid": "1.2.4"},
        parent=OrderKeys(filler_order_number="F1"),
    )
    applied = desk.send(replace(child, action=Action.CHILD))
    assert [order.id for order in applied.orders] == [applied.orders[0].id, parent.id]
    assert desk.statuses("F2") == {"S1": S.SCHEDULED}
    assert desk.statuses("F1") == {"S1": S.CANCELED}


def test_parent_alone_is_kept_without_steps(desk: Desk) -> None:
    applied = desk.send(change(Action.PARENT, missing=Missing("OBR^1^24", "Modality is missing")))
    assert (applied.did, desk.order().order.steps) == (Did.CREATED, ())


# --- late statements -------------------------------------------------------------------------------------------------


def test_older_demographics_are_left_unapplied_and_the_order_is_taken(desk: Desk) -> None:
    desk.send(new(5))
    older = new(0, stated={**OTHER, "study_instance_uid": "1.2.9"}, patient=replace(EVA, patient_name="Old^Eva"))
    applied = desk.send(older)
    assert (applied.did, "older" in applied.warning) == (Did.CREATED, True)
    assert applied.orders[0].order.patient == EVA
    desk.send(older, late=LateStatements.OFF)
    assert desk.order().order.patient.patient_name == "Old^Eva"


def test_older_orders_are_left_unapplied_where_the_source_wants_it(desk: Desk) -> None:
    desk.send(new(5))
    older = change(Action.CHANGE, steps=(step(date="20260909"),), minute=1)
    late = desk.send(older, late=LateStatements.ALL)
    assert (late.did, bool(late.warning)) == (Did.LATE, True)
    assert desk.order().order.steps[0].scheduled_procedure_step_start_date == "20260201"
    assert desk.send(older).did is Did.CHANGED


def test_new_order_refreshes_the_patients_other_orders(desk: Desk) -> None:
    first = desk.send(new()).orders[0]
    renamed = replace(EVA, patient_name="Neu^Eva")
    second = desk.send(new(1, stated={**OTHER, "study_instance_uid": "1.2.9"}, patient=renamed))
    assert {order.id: order.order.patient for order in second.orders}[first.id] == renamed
    assert desk.history(first.id)[-1].text == "patient: PatientName"


# --- what is performed -----------------------------------------------------------------------------------------------


def test_what_was_performed_is_taken_whatever_was_asked(desk: Desk) -> None:
    order_id = desk.send(new(steps=TWO)).orders[0].id
    desk.send(only(Action.CANCEL))
    later = NOW + timedelta(minutes=1)
    with desk.database.write("orders") as tx:
        applied = store.perform(tx, order_id, ("S1",), S.STARTED, later)
        assert store.perform(tx, order_id, ("S1",), S.STARTED, later).did is Did.NOTHING
    assert (applied.did, applied.orders[0].canceled) == (Did.STATUS, False)
    assert desk.order() == applied.orders[0]
    assert desk.order().origins["S1", "ScheduledProcedureStepStatus"].made_here
    last = desk.history(order_id)[-1]
    assert (last.at, last.entry_id, last.did, last.text) == (later, 0, Did.STATUS, "STARTED steps: S1")


def test_what_is_not_there_was_not_performed(desk: Desk) -> None:
    order_id = desk.send(new()).orders[0].id
    for own, steps in ((order_id, ("S9",)), (999, ())):
        with desk.database.write("orders") as tx, pytest.raises(Refusal):
            store.perform(tx, own, steps, S.STARTED, NOW)


# --- origins ---------------------------------------------------------------------------------------------------------


def test_every_value_says_where_it_comes_from(desk: Desk) -> None:
    change_ = new(order={"visit": {"AdmissionID": "V1", "ReferringPhysicianName": "Refer^Rita"}})
    stored = desk.send(change_).orders[0]
    for (number, keyword), origin in origins_of(change_.order).items():
        own = "S1" if number else ""
        assert stored.origins[own, keyword] == origin._replace(entry_id=7)


def test_values_keep_the_origin_of_whoever_set_them(desk: Desk) -> None:
    desk.send(new())
    desk.send(change(Action.CHANGE, steps=(step(date="20260301"),), minute=1), entry_id=8)
    origins = desk.order().origins
    assert origins["S1", "ScheduledProcedureStepStartDate"].entry_id == 8
    assert origins["S1", "ScheduledProcedureStepStartTime"].entry_id == 7
    assert desk.order().entry_id == 8
    desk.send(adt(replace(EVA, patient_name="Neu^Eva"), 2), entry_id=9)
    assert desk.order().origins["", "PatientName"].entry_id == 9
    assert desk.order().origins["", "PatientSex"].entry_id == 7


# --- many at once, and how they are found ----------------------------------------------------------------------------


@pytest.mark.slow
def test_many_first_messages_at_once_make_one_patient_and_one_order(desk: Desk) -> None:
    with ThreadPoolExecutor(16) as pool:
        same = list(pool.map(lambda _: desk.send(new(stated=UNNAMED)), range(50)))
        several = list(pool.map(lambda n: desk.send(new(stated={"filler_order_number": f"G{n}"})), range(50)))
    assert sorted(applied.did for applied in same) == sorted([Did.CREATED] + [Did.NOTHING] * 49)
    assert len({applied.orders[0].id for applied in several}) == 50
    assert {order.patient_row for order in desk.all()} == {1}
    with desk.database.read() as tx:
        assert len(store.patients(tx, "")) == 1


def test_orders_are_found_by_indexes_alone(desk: Desk, database: Database) -> None:
    desk.send(new())
    keys = " OR ".join(
        f"{name} = 'x'"
        for name in ("study_instance_uid", "filler_order_number", "placer_order_number", "accession_number")
    )
    sqlite = database.engine.dialect.name == "sqlite"
    with database.write("orders") as tx:
        if not sqlite:
            tx.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        plan = "\n".join(str(row) for row in tx.execute(text(f"{explain} SELECT * FROM imaging_order WHERE {keys}")))
    assert len(set(re.findall(r"[iu][xq]_imaging_order_\w+", plan))) == 4
    assert not re.search(r"SCAN imaging_order|Seq Scan", plan)


def test_identifiers_that_were_merged_are_found_by_their_index(database: Database) -> None:
    sqlite = database.engine.dialect.name == "sqlite"
    with database.write("orders") as tx:
        if not sqlite:
            tx.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        for found in ("merged_into = 7", "merged_into IN (7, 8)", "merged_into IS NOT NULL"):
            plan = str(tx.execute(text(f"{explain} SELECT * FROM patient WHERE {found}")).all())
            assert "ix_patient_merged_into" in plan, plan


def test_instants_come_back_as_they_were(desk: Desk) -> None:
    stored = desk.send(new(), now=at(3)).orders[0]
    assert (stored.created, stored.updated) == (at(3), at(3))
    assert HERE.now == NOW
