"""One item a step, with what patient, order and step say."""

from dataclasses import replace

from broker.orders.model import Origin, StepStatus
from broker.worklist.plan import plan
from tests.unit.worklist.building import ORDER, PATIENT, STEP


def test_each_step_becomes_an_item() -> None:
    first, second = plan(ORDER, 7)
    assert (first.scheduled_procedure_step_id, second.scheduled_procedure_step_id) == ("S1", "S2")
    assert second.scheduled_procedure_step_start_time == "094500"
    assert {first.order_id, second.order_id} == {7}
    assert first.id == 0
    assert first.status is StepStatus.SCHEDULED
    assert first.patient_name == "Muster^Eva^M^Dr^Jr"
    assert first.requested_procedure_code == ORDER.requested_procedure_code
    assert first.scheduled_protocol_codes == STEP.scheduled_protocol_codes


def test_attributes_of_patient_order_and_step_are_merged_the_step_s_first() -> None:
    order = replace(
        ORDER,
        patient=replace(PATIENT, attributes={"PatientComments": "p", "AdmissionID": "V1", "Allergies": ""}),
        attributes={"AdmissionID": "V2"},
        steps=(replace(STEP, attributes={"AdmissionID": "V3", "ScheduledStationName": "ROOM1"}),),
    )
    (item,) = plan(order, 1)
    assert item.attributes == {
        "PatientComments": "p",
        "AdmissionID": "V3",
        "ScheduledStationName": "ROOM1",
        "PlacerOrderNumberImagingServiceRequest": "P100",
        "FillerOrderNumberImagingServiceRequest": "F200",
    }


def test_an_item_has_the_status_of_its_step() -> None:
    steps = (replace(STEP, status=StepStatus.ARRIVED), replace(STEP, status=StepStatus.HELD))
    items = plan(replace(ORDER, steps=steps), 1)
    assert [item.status for item in items] == [StepStatus.ARRIVED, StepStatus.HELD]


def test_an_item_says_where_its_values_come_from_the_step_s_own_first() -> None:
    origins = {
        ("", "PatientName"): Origin("PID-5", entry_id=3),
        ("", "Modality"): Origin("OBR-24", entry_id=3),
        ("S1", "Modality"): Origin("OBR-24", entry_id=4),
        ("S2", "ScheduledProcedureStepID"): Origin(rule="the requested procedure's, numbered"),
    }
    first, second = plan(ORDER, 1, origins=origins)
    assert first.provenance == {"PatientName": Origin("PID-5", entry_id=3), "Modality": Origin("OBR-24", entry_id=4)}
    assert second.provenance["ScheduledProcedureStepID"].made_here


def test_the_visit_of_an_order_goes_before_the_patient_s_own_attributes() -> None:
    order = replace(ORDER, visit={"AdmissionID": "V9", "CurrentPatientLocation": "US 2 1"})
    assert plan(order, 1)[0].attributes["AdmissionID"] == "V9"


def test_a_station_that_no_device_has_does_not_hide_the_step() -> None:
    order = replace(ORDER, steps=(replace(STEP, scheduled_station_ae_titles=("US1", "RAD")),))
    (item,) = plan(order, 1, {"US1", "US2"})
    assert item.scheduled_station_ae_titles == ("US1",)
    (item,) = plan(order, 1, {"US2"})
    assert item.scheduled_station_ae_titles == ()
