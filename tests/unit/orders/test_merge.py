"""Merges of patients and visits, and their undoing, on both databases (B.4)."""

from dataclasses import replace

import pytest

from broker.database import Database
from broker.orders import store
from broker.orders.model import Action, Applied, Did, MergeKind, Patient, Refusal
from broker.orders.patients import StoredMerge
from tests.unit.orders.building import EVA, NOW, STATED, adt, change, merge, new, only, step
from tests.unit.orders.conftest import Desk

OLD = Patient("4700", "HOSP", "Muster^E", "", "F", {"PatientComments": "deaf"})
THIRD = replace(EVA, patient_id="4799")
OF_OLD = {key: value + "0" for key, value in STATED.items()} | {"study_instance_uid": "1.2.9"}


def merges(desk: Desk) -> list[StoredMerge]:
    with desk.database.read() as tx:
        return store.merges(tx)


def undo(desk: Desk, number: int = 0) -> Applied:
    with desk.database.write("orders") as tx:
        return store.undo_merge(tx, merges_of(desk.database)[number].id, NOW, "erika")


def merges_of(database: Database) -> list[StoredMerge]:
    with database.read() as tx:
        return store.merges(tx)


def test_merge_moves_every_order_and_the_answers_have_the_surviving_id(desk: Desk) -> None:
    desk.send(new())
    moved = desk.send(new(stated=OF_OLD, patient=OLD)).orders[0]
    desk.send(only(Action.CANCEL, filler_order_number="F1"))
    applied = desk.send(merge("4700", EVA))
    assert (applied.did, [order.id for order in applied.orders]) == (Did.MOVED, [moved.id])
    stored = desk.order("F10")
    assert stored == applied.orders[0]
    assert (stored.order.patient.patient_id, stored.order.patient.patient_name) == ("4711", "Muster^Eva")
    assert desk.history(moved.id)[-1].did is Did.MOVED
    (done,) = merges(desk)
    assert (done.kind, done.order_ids, done.entry_id, done.undone) == (MergeKind.MERGE, (moved.id,), 7, None)
    assert (done.old.merged_into, done.surviving.patient.patient_id) == (done.surviving.id, "4711")


def test_what_only_the_old_record_knows_is_not_lost(desk: Desk) -> None:
    desk.send(adt(OLD, 0))
    desk.send(adt(replace(EVA, patient_sex=""), 0))
    desk.send(merge("4700", replace(EVA, patient_sex="")))
    with desk.database.read() as tx:
        (survivor,) = store.patients(tx, "4711")
    assert survivor.patient == replace(EVA, attributes={"Allergies": "Latex", "PatientComments": "deaf"})
    assert survivor.origins["", "PatientComments"].source


def test_late_message_with_the_old_id_reaches_the_survivor(desk: Desk) -> None:
    desk.send(new())
    desk.send(merge("4700", EVA))
    later = desk.send(new(2, stated=OF_OLD, patient=replace(EVA, patient_id="4700")))
    assert later.orders[0].order.patient.patient_id == "4711"
    assert later.orders[0].patient_row == desk.order("F1").patient_row


def test_merges_are_followed_one_after_the_other(desk: Desk) -> None:
    first = desk.send(new(stated=OF_OLD, patient=OLD)).orders[0]
    desk.send(merge("4700", EVA))
    desk.send(merge("4711", THIRD, 2))
    assert desk.order("F10").order.patient.patient_id == "4799"
    moved = change(Action.CHANGE, stated={"filler_order_number": "F10"}, patient=OLD, steps=(step("S1", "20260301"),))
    assert desk.send(moved).orders[0].id == first.id


def test_survivor_that_was_merged_itself_passes_on(desk: Desk) -> None:
    desk.send(merge("4711", THIRD))
    desk.send(new(stated=OF_OLD, patient=OLD))
    desk.send(merge("4700", EVA, 2))
    assert desk.order("F10").order.patient.patient_id == "4799"


def test_unknown_patients_are_added(desk: Desk) -> None:
    assert desk.send(merge("4700", EVA)).did is Did.MOVED
    assert desk.send(new(2, patient=replace(EVA, patient_id="4700"))).orders[0].order.patient.patient_id == "4711"


def test_same_merge_again_changes_nothing(desk: Desk) -> None:
    desk.send(new(stated=OF_OLD, patient=OLD))
    desk.send(merge("4700", EVA))
    assert desk.send(merge("4700", EVA)).did is Did.NOTHING
    assert len(merges(desk)) == 1


def test_merge_into_itself_and_in_a_circle_is_refused(desk: Desk) -> None:
    assert desk.refused(merge("4711", EVA)).code == "205"
    desk.send(merge("4700", EVA))
    desk.send(merge("4711", THIRD))
    for old, survivor in (("4711", replace(EVA, patient_id="4700")), ("4799", EVA), ("4799", OLD)):
        assert desk.refused(merge(old, survivor, 3)).code == "205"


@pytest.mark.parametrize("differs", [{"patient_birth_date": "19700101"}, {"patient_sex": "M"}])
def test_two_people_are_not_merged_unless_a_person_decides(desk: Desk, differs: dict[str, str]) -> None:
    desk.send(new(stated=OF_OLD, patient=replace(EVA, patient_id="4700", **differs)))  # type: ignore[arg-type]
    refusal = desk.refused(merge("4700", EVA))
    assert (refusal.code, refusal.for_person) == ("204", True)
    assert not any(value in refusal.text for value in ("4700", "4711", *differs.values()))
    assert desk.send(merge("4700", EVA), decided=True).did is Did.MOVED


def test_identifier_that_belongs_elsewhere_already_is_for_a_person(desk: Desk) -> None:
    desk.send(merge("4700", EVA))
    refusal = desk.refused(merge("4700", THIRD))
    assert (refusal.code, refusal.for_person) == ("204", True)


def test_missing_identifiers_are_refused(desk: Desk) -> None:
    assert desk.refused(merge("", EVA)).location == "MRG^1^1"
    assert desk.refused(merge("4700", Patient())).location == "PID^1^3"


def test_changed_identifier_renames_the_patient(desk: Desk) -> None:
    desk.send(new())
    renamed = replace(EVA, patient_id="5000", patient_birth_date="19800228")
    applied = desk.send(merge("4711", renamed, kind=MergeKind.IDENTIFIER))
    assert applied.did is Did.MOVED
    assert desk.order().order.patient == renamed
    assert desk.send(new(2, patient=replace(renamed, patient_id="4711"))).did is Did.NOTHING


def test_merged_visit_gives_its_orders_the_surviving_admission(desk: Desk) -> None:
    desk.send(new(order={"visit": {"AdmissionID": "V1"}}))
    desk.send(new(1, stated=OF_OLD, order={"visit": {"AdmissionID": "V2"}}))
    visit = merge("4711", EVA, 2, kind=MergeKind.VISIT, visit={"AdmissionID": "V9"}, old_admission_id="V1")
    applied = desk.send(visit)
    assert applied.did is Did.MOVED
    assert desk.order("F1").order.visit["AdmissionID"] == "V9"
    assert desk.order("F10").order.visit["AdmissionID"] == "V2"
    assert desk.send(visit).warning
    undo(desk)
    assert desk.order("F1").order.visit["AdmissionID"] == "V1"


def test_visit_that_moves_to_another_patient_takes_its_orders(desk: Desk) -> None:
    desk.send(new(stated=OF_OLD, patient=OLD, order={"visit": {"AdmissionID": "V1"}}))
    desk.send(adt())
    desk.send(merge("4700", EVA, 2, kind=MergeKind.VISIT, visit={"AdmissionID": "V1"}, old_admission_id="V1"))
    assert desk.order("F10").order.patient.patient_id == "4711"
    undo(desk)
    assert desk.order("F10").order.patient.patient_id == "4700"


def test_undone_merge_leaves_both_patients_as_they_were(desk: Desk) -> None:
    desk.send(new(order={"visit": {"AdmissionID": "V1"}}))
    desk.send(new(stated=OF_OLD, patient=OLD, order={"visit": {"AdmissionID": "V7"}}))
    before = desk.order("F1").order, desk.order("F10").order
    desk.send(merge("4700", replace(EVA, patient_name="Neu^Eva"), visit={"AdmissionID": "V1"}))
    applied = undo(desk)
    assert (desk.order("F1").order, desk.order("F10").order) == before
    assert {order.id for order in applied.orders} == {1, 2}
    assert all(order == desk.order(order.order.filler_order_number) for order in applied.orders)
    assert desk.did(2) == [Did.CREATED, Did.MOVED, Did.MOVED]
    (done,) = merges(desk)
    assert (done.undone, done.undone_by, done.old.merged_into) == (NOW, "erika", 0)
    assert desk.send(new(3, stated=OF_OLD, patient=OLD)).orders[0].order.patient.patient_id == "4700"


def test_undoing_keeps_what_was_stated_since(desk: Desk) -> None:
    desk.send(new())
    desk.send(merge("4700", replace(EVA, patient_name="Neu^Eva")))
    desk.send(adt(replace(EVA, patient_name="Neuer^Eva"), 5))
    undo(desk)
    assert desk.order().order.patient.patient_name == "Neuer^Eva"


def test_only_the_newest_merge_of_a_patient_is_undone(desk: Desk) -> None:
    desk.send(merge("4700", EVA))
    desk.send(merge("4711", THIRD, 2))
    with pytest.raises(Refusal, match="undo that first"):
        undo(desk, 1)
    undo(desk, 0)
    undo(desk, 1)
    with pytest.raises(Refusal, match="undone already"):
        undo(desk, 1)
    with pytest.raises(Refusal, match="no such merge"), desk.database.write("orders") as tx:
        store.undo_merge(tx, 999, NOW, "erika")


def test_merge_can_be_repeated_after_its_undoing(desk: Desk) -> None:
    desk.send(new(stated=OF_OLD, patient=OLD))
    desk.send(merge("4700", EVA))
    undo(desk)
    assert desk.send(merge("4700", EVA)).did is Did.MOVED
    assert desk.order("F10").order.patient.patient_id == "4711"
