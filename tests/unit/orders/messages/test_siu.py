"""Appointments: moved, canceled, and created only where the source may."""

import pytest

from broker.environments.model import Appointments
from broker.orders.model import Action
from tests.unit.orders.messages.said import PID, changes, context, message, order, refused

SCH = "SCH|P1^HIS|F1^RIS"
RESOURCES = (
    "RGS|1",
    "AIS|1||USABD^Abdomen US^L|20260202110000",
    "AIG|1||US1",
    "AIL|1||ROOM1",
    "AIP|1||9^Perform^Pia",
)


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("S12", Action.NEW),
        ("S13", Action.CHANGE),
        ("S14", Action.CHANGE),
        ("S15", Action.CANCEL),
        ("S17", Action.CANCEL),
        ("S26", Action.CANCEL),
    ],
)
def test_event_says_what_becomes_of_the_order(event: str, action: Action) -> None:
    change = order(SCH, PID, *RESOURCES, kind=f"SIU^{event}")
    assert (change.action, change.location, change.creates) == (action, "SCH^1", False)
    assert (change.keys.placer_order_number, change.keys.filler_order_number) == ("P1", "F1")
    assert (change.keys.placer_issuer, change.keys.filler_issuer) == ("HIS", "RIS")


def test_resources_give_the_step() -> None:
    (step,) = order(SCH, PID, *RESOURCES, kind="SIU^S13").order.steps
    assert (step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time) == (
        "20260202",
        "110000",
    )
    assert step.scheduled_station_ae_titles == ("US1",)
    assert step.scheduled_performing_physician_name == "Perform^Pia"
    assert step.attributes["ScheduledProcedureStepLocation"] == "ROOM1"


def test_several_services_are_several_steps_with_the_resources_of_their_group() -> None:
    other = ("RGS|2", "AIS|1||USKID^Kidney US^L|20260202120000", "AIG|1||US2")
    steps = order(SCH, PID, *RESOURCES, *other, kind="SIU^S13").order.steps
    assert [step.scheduled_station_ae_titles for step in steps] == [("US1",), ("US2",)]


def test_services_of_one_group_share_its_resources() -> None:
    segments = (
        "RGS|1",
        "AIS|1||USABD^Abdomen US^L|20260202110000",
        "AIS|2||USKID^Kidney US^L|20260202110000",
        "AIG|1||US1",
    )
    steps = order(SCH, PID, *segments, kind="SIU^S13").order.steps
    assert [(step.scheduled_procedure_step_description, step.scheduled_station_ae_titles) for step in steps] == [
        ("Abdomen US", ("US1",)),
        ("Kidney US", ("US1",)),
    ]


def test_order_numbers_go_before_the_appointment_s() -> None:
    numbered = SCH + "|" * 24 + "P7^HIS|F7^RIS"
    change = order(numbered, PID, *RESOURCES, kind="SIU^S13")
    assert (change.keys.placer_order_number, change.keys.filler_order_number) == ("P7", "F7")


def test_source_may_create_or_ignore() -> None:
    assert order(SCH, PID, *RESOURCES, kind="SIU^S12", here=context(appointments=Appointments.CREATE)).creates
    assert changes(SCH, PID, *RESOURCES, kind="SIU^S12", here=context(appointments=Appointments.IGNORE)) == ()


def test_notes_of_an_appointment_are_the_procedure_s() -> None:
    change = order(SCH, "NTE|1||Bring films", PID, *RESOURCES, kind="SIU^S13")
    assert change.order.attributes["RequestedProcedureComments"] == "Bring films"
    assert "PatientComments" not in change.order.patient.attributes


def test_appointment_needs_sch_and_patient() -> None:
    assert refused(message(PID, *RESOURCES, kind="SIU^S13")) == ("AE", "100", "SCH^1")
    assert refused(message(SCH, *RESOURCES, kind="SIU^S13")) == ("AE", "100", "PID^1")
