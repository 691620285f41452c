"""What ADT events do to patients, visits and orders, on both databases (B.4)."""

from dataclasses import replace

import pytest

from broker.environments.model import LateStatements
from broker.orders import store
from broker.orders.model import Action, Did, Patient, PatientAction, StepStatus, VisitAction
from broker.orders.patients import StoredPatient, conflicts
from tests.unit.orders.building import ADAM, EVA, STATED, adt, at, merge, new, only, step
from tests.unit.orders.conftest import Desk

NEU = replace(EVA, patient_name="Neu^Eva")
V1 = {"AdmissionID": "V1", "CurrentPatientLocation": "US 2", "ReferringPhysicianName": "Refer^Rita"}
SECOND = {key: value + "0" for key, value in STATED.items()} | {"study_instance_uid": "1.2.9"}


def patients(desk: Desk, key: str = "") -> list[StoredPatient]:
    with desk.database.read() as tx:
        return store.patients(tx, key)


def test_event_adds_an_unknown_patient_with_the_visit(desk: Desk) -> None:
    assert desk.send(adt(visit=V1)).did is Did.CREATED
    (found,) = patients(desk, "4711")
    assert (found.patient, found.visit, found.effective) == (EVA, V1, at(1))
    assert found.origins["", "PatientName"].source == "X-PatientName"
    assert found.origins["", "AdmissionID"].entry_id == 7


def test_update_of_a_patient_refreshes_the_orders_still_to_be_performed(desk: Desk) -> None:
    first = desk.send(new()).orders[0]
    applied = desk.send(adt(NEU))
    assert (applied.did, [order.id for order in applied.orders]) == (Did.CHANGED, [first.id])
    assert applied.orders[0] == desk.order()
    assert desk.order().order.patient == NEU
    assert desk.history(first.id)[-1].text == "patient: PatientName"
    desk.send(only(Action.CANCEL))
    assert desk.send(adt(EVA, 2)).orders == ()


def test_same_event_again_changes_nothing(desk: Desk) -> None:
    desk.send(new())
    desk.send(adt(NEU, visit=V1))
    again = desk.send(adt(NEU, visit=V1))
    assert (again.did, again.orders) == (Did.NOTHING, ())


def test_absence_keeps_and_null_clears(desk: Desk) -> None:
    desk.send(adt(visit=V1))
    cleared = frozenset({(0, "Allergies"), (0, "CurrentPatientLocation"), (0, "PatientSex")})
    desk.send(adt(Patient("4711", "HOSP"), 2, cleared=cleared))
    (found,) = patients(desk)
    assert found.patient == replace(EVA, patient_sex="", attributes={})
    assert found.visit == {keyword: V1[keyword] for keyword in ("AdmissionID", "ReferringPhysicianName")}


def test_older_event_is_left_unapplied(desk: Desk) -> None:
    desk.send(new(5))
    late = desk.send(adt(NEU, 3))
    assert (late.did, "older" in late.warning, desk.order().order.patient) == (Did.LATE, True, EVA)
    assert desk.send(adt(NEU, 3), late=LateStatements.OFF).did is Did.CHANGED


def test_event_without_patient_id_is_refused(desk: Desk) -> None:
    refusal = desk.refused(adt(Patient()))
    assert (refusal.code, refusal.location) == ("101", "PID^1^3")


def test_event_that_asks_nothing_does_nothing(desk: Desk) -> None:
    nothing = adt(patient_action=PatientAction.NOTHING, visit_action=VisitAction.NOTHING)
    assert desk.send(nothing).did is Did.NOTHING
    visit_alone = adt(patient_action=PatientAction.NOTHING, visit=V1)
    assert desk.send(visit_alone).warning
    assert patients(desk) == []


def test_visit_is_known_to_orders_that_state_none(desk: Desk) -> None:
    desk.send(adt(visit=V1))
    assert desk.send(new(2)).orders[0].order.visit == V1
    desk.send(adt(minute=3, visit={"CurrentPatientLocation": "US 3"}))
    assert desk.order().order.visit["CurrentPatientLocation"] == "US 3"
    assert desk.order().origins["", "CurrentPatientLocation"].source == "X-CurrentPatientLocation"


def test_transfer_reaches_orders_of_the_same_visit(desk: Desk) -> None:
    desk.send(new(order={"visit": V1}))
    applied = desk.send(adt(visit={"AdmissionID": "V1", "CurrentPatientLocation": "US 3"}))
    assert applied.orders[0].order.visit == {**V1, "CurrentPatientLocation": "US 3"}
    assert desk.order() == applied.orders[0]


def test_order_of_another_visit_keeps_its_own(desk: Desk) -> None:
    desk.send(new(order={"visit": V1}))
    desk.send(adt(visit={"AdmissionID": "V2"}))
    assert desk.order().order.visit == V1
    assert patients(desk)[0].visit == {"AdmissionID": "V2"}


def test_who_refers_is_each_orders_own(desk: Desk) -> None:
    desk.send(new(0, order={"visit": V1}))
    desk.send(new(1, stated=SECOND, order={"visit": {**V1, "ReferringPhysicianName": "Other^Otto"}}))
    assert desk.order("F1").order.visit["ReferringPhysicianName"] == "Refer^Rita"
    assert desk.order("F10").order.visit["ReferringPhysicianName"] == "Other^Otto"


def test_value_of_the_visit_that_is_cleared_leaves_the_orders_of_that_visit(desk: Desk) -> None:
    desk.send(new(order={"visit": V1}))
    desk.send(adt(visit={"AdmissionID": "V1"}, cleared=frozenset({(0, "CurrentPatientLocation")})))
    assert desk.order().order.visit == {key: V1[key] for key in ("AdmissionID", "ReferringPhysicianName")}
    assert ("", "CurrentPatientLocation") not in desk.order().origins


@pytest.mark.parametrize("action", [VisitAction.DISCHARGE, VisitAction.REOPEN])
def test_discharge_and_its_cancel_leave_visit_and_orders(desk: Desk, action: VisitAction) -> None:
    desk.send(new(order={"visit": V1}))
    desk.send(adt(visit={"AdmissionID": "V1"}, visit_action=action))
    assert (desk.order().order.visit, desk.statuses()) == (V1, {"S1": StepStatus.SCHEDULED})


def test_canceled_admission_drops_the_visit_and_cancels_nothing(desk: Desk) -> None:
    desk.send(new(order={"visit": V1}))
    applied = desk.send(adt(visit={"AdmissionID": "V1"}, visit_action=VisitAction.DROP))
    assert applied.orders[0].order.visit == {"ReferringPhysicianName": "Refer^Rita"}
    assert desk.order() == applied.orders[0]
    assert desk.statuses() == {"S1": StepStatus.SCHEDULED}
    assert patients(desk)[0].visit == {}


def test_canceled_admission_of_another_visit_drops_nothing(desk: Desk) -> None:
    desk.send(new(order={"visit": V1}))
    applied = desk.send(adt(visit={"AdmissionID": "V9"}, visit_action=VisitAction.DROP))
    assert (applied.did, bool(applied.warning), desk.order().order.visit) == (Did.NOTHING, True, V1)


def test_arrival_reaches_todays_steps_of_the_visit(desk: Desk) -> None:
    desk.send(new(steps=(step("S1", "20260201"), step("S2", "20260202")), order={"visit": V1}))
    desk.send(new(1, stated=SECOND, order={"visit": {"AdmissionID": "V2"}}))
    arrival = adt(minute=2, visit={"AdmissionID": "V1"}, visit_action=VisitAction.ARRIVE, today="20260201")
    applied = desk.send(arrival)
    assert desk.statuses("F1") == {"S1": StepStatus.ARRIVED, "S2": StepStatus.SCHEDULED}
    assert desk.statuses("F10") == {"S1": StepStatus.SCHEDULED}
    assert desk.order("F1") in applied.orders
    assert Did.STATUS in desk.did(desk.order("F1").id)
    assert desk.order("F1").order.visit == V1


def test_delete_is_refused_while_orders_wait(desk: Desk) -> None:
    desk.send(new())
    delete = adt(patient_action=PatientAction.DELETE, visit_action=VisitAction.NOTHING)
    refusal = desk.refused(delete)
    assert (refusal.code, "cancel them first" in refusal.text) == ("204", True)
    desk.send(only(Action.CANCEL))
    assert desk.send(delete).warning
    assert len(patients(desk)) == 1


def test_delete_removes_a_patient_whom_nothing_names(desk: Desk) -> None:
    desk.send(adt())
    delete = adt(patient_action=PatientAction.DELETE, visit_action=VisitAction.NOTHING)
    assert desk.send(delete).did is Did.CHANGED
    assert patients(desk) == []
    assert desk.send(delete).did is Did.NOTHING


def test_former_identifier_with_other_demographics_is_for_a_person(desk: Desk) -> None:
    desk.send(new())
    desk.send(merge("4700", EVA))
    stranger = replace(ADAM, patient_id="4700")
    for change in (adt(stranger, 2), new(2, stated=SECOND, patient=stranger)):
        refusal = desk.refused(change)
        assert (refusal.code, refusal.for_person) == ("204", True)
        assert "PatientBirthDate and PatientSex" in refusal.text
    assert desk.send(adt(stranger, 2), decided=True).did is Did.CHANGED


def test_patient_is_found_by_identifier_or_row(desk: Desk) -> None:
    desk.send(adt())
    desk.send(adt(ADAM))
    (eva,) = patients(desk, "4711")
    assert patients(desk, str(eva.id)) == [eva]
    assert [found.patient for found in patients(desk)] == [ADAM, EVA]
    assert patients(desk, "nobody") == []


def test_unknown_is_no_conflict() -> None:
    assert conflicts(EVA, Patient("1", "H")) == ()
    assert conflicts(EVA, replace(EVA, patient_sex="M")) == ("PatientSex",)
