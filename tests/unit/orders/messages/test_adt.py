"""Events of patients and visits."""

from datetime import UTC, datetime

import pytest

from broker.orders.model import Origin, PatientAction, VisitAction
from tests.unit.orders.messages.said import PID, changes, message, patient, refused

PV1 = "PV1||I|US^2^1^HOSP|||||77^Refer^Rita|||||||B6|V|||V123^^^HOSP"


@pytest.mark.parametrize(
    ("events", "patient_action", "visit_action"),
    [
        ("A01 A04 A05", PatientAction.UPSERT, VisitAction.UPDATE),
        ("A02 A06 A07 A08 A12", PatientAction.UPDATE, VisitAction.UPDATE),
        ("A03", PatientAction.NOTHING, VisitAction.DISCHARGE),
        ("A10", PatientAction.NOTHING, VisitAction.ARRIVE),
        ("A11 A38", PatientAction.NOTHING, VisitAction.DROP),
        ("A13", PatientAction.UPDATE, VisitAction.REOPEN),
        ("A23", PatientAction.DELETE, VisitAction.NOTHING),
        ("A28", PatientAction.UPSERT, VisitAction.NOTHING),
        ("A31", PatientAction.UPDATE, VisitAction.NOTHING),
    ],
)
def test_event_says_what_becomes_of_patient_and_visit(
    events: str, patient_action: PatientAction, visit_action: VisitAction
) -> None:
    for event in events.split():
        change = patient(event, PID, PV1)
        assert (change.patient_action, change.visit_action) == (patient_action, visit_action)


def test_patient_and_visit_are_read_with_their_origins() -> None:
    change = patient("A08", PID, PV1, "AL1|1||PCN^Penicillin|SV", "OBX|1|NM|29463-7^Weight^LN||70|kg")
    assert (change.patient.patient_id, change.patient.issuer_of_patient_id, change.location) == ("100", "HOSP", "PID^1")
    assert change.visit["CurrentPatientLocation"] == "US 2 1"
    assert change.visit["AdmissionID"] == "V123"
    assert change.visit["ReferringPhysicianName"] == "Refer^Rita"
    assert change.patient.attributes["Allergies"] == "Penicillin (SV)"
    assert change.patient.attributes["PregnancyStatus"] == "3"
    assert change.origins[0, "AdmissionID"] == Origin("PV1-19")


def test_event_s_time_is_evn_2_else_the_message_s() -> None:
    change = patient("A08", PID)
    assert change.effective == datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
    assert change.sent == datetime(2026, 1, 31, 9, 22, 33, tzinfo=UTC)
    (without,) = changes(PID, kind="ADT^A08")
    assert without.effective == without.sent


def test_today_is_the_site_s_day() -> None:
    assert patient("A10", PID, PV1).today == "20260201"


@pytest.mark.parametrize("event", ["A24", "A37"])
def test_links_change_nothing(event: str) -> None:
    assert changes(PID, PV1, PID, kind=f"ADT^{event}") == ()


def test_patient_without_identifier_is_refused() -> None:
    assert refused(message("PID|||||Doe^Jane", kind="ADT^A08")) == ("AE", "101", "PID^1^3")
    assert refused(message(PV1, kind="ADT^A08")) == ("AE", "100", "PID^1")
