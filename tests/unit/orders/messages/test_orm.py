"""Orders by ORM^O01: groups, steps, identifiers, what is missing, what is made here."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.orders.model import Action, Missing, Origin, Refusal
from tests.unit.orders.messages.said import OBR, ORC, PID, changes, context, message, order, orders, refused

ZDS = "ZDS|1.2.3.4^100^Application^DICOM"


def test_order_is_read_whole() -> None:
    change = order(PID, ORC, OBR, ZDS)
    assert (change.action, change.location, change.step_ids, change.missing) == (Action.NEW, "ORC^1", ("S1",), None)
    assert change.keys.study_instance_uid == change.order.study_instance_uid == "1.2.3.4"
    assert (change.keys.placer_issuer, change.keys.filler_issuer) == ("HIS", "RIS")
    (step,) = change.order.steps
    assert (step.modality, step.scheduled_procedure_step_start_date) == ("US", "20260201")
    assert step.scheduled_procedure_step_start_time == "093000"
    assert change.order.timezone == "Europe/Berlin"


def test_identifiers_that_are_not_stated_stay_empty() -> None:
    change = order(PID, "ORC|NW|P1|F1", "OBR|1|P1|F1|USABD^Abdomen US^L||||||||||||||||||||US")
    assert change.order.accession_number == change.order.requested_procedure_id == change.order.study_instance_uid == ""
    assert change.order.steps[0].scheduled_procedure_step_id == ""
    assert change.step_ids == ()


def test_every_value_says_which_field_gave_it() -> None:
    origins = order(PID, ORC, OBR, ZDS).origins
    assert origins[0, "AccessionNumber"] == Origin("OBR-18")
    assert origins[0, "IssuerOfPatientID"] == Origin("PID-3.4")
    assert origins[0, "RequestedProcedurePriority"] == Origin("ORC-7.6", "R means ROUTINE")
    assert origins[1, "ScheduledProcedureStepStartTime"] == Origin("ORC-7.4")
    assert origins[1, "Modality"] == Origin("OBR-24")


def test_modality_of_a_code_names_field_and_rule() -> None:
    change = order(PID, ORC, OBR.removesuffix("US") + "rus")
    assert change.order.steps[0].modality == "US"
    assert change.origins[1, "Modality"] == Origin("OBR-24", "rus means US")


def test_start_that_is_not_stated_is_the_message_s_time_and_made_here() -> None:
    change = order(PID, "ORC|NW|P1|F1", OBR)
    (step,) = change.order.steps
    assert (step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time) == (
        "20260131",
        "102233",
    )
    assert change.origins[1, "ScheduledProcedureStepStartDate"].made_here
    assert change.origins[1, "ScheduledProcedureStepStartTime"].made_here


def test_start_without_a_time_is_midnight_which_is_made_here() -> None:
    change = order(PID, "ORC|NW|P1|F1||||^^^20260201", f"{OBR}|||^^^20260301101500")
    (step,) = change.order.steps
    assert (step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time) == (
        "20260201",
        "000000",
    )
    assert change.origins[1, "ScheduledProcedureStepStartDate"] == Origin("ORC-7.4")
    assert change.origins[1, "ScheduledProcedureStepStartTime"].made_here


def test_start_with_an_offset_is_moved_to_the_site() -> None:
    (step,) = order(PID, "ORC|NW|P1|F1||||^^^202607012330+0000", OBR).order.steps
    assert (step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time) == (
        "20260702",
        "013000",
    )


def test_two_groups_of_one_order_are_two_steps_and_share_the_study_after_them() -> None:
    second = OBR.replace("|S1|", "|S2|").replace("OBR|1", "OBR|2")
    change = order(PID, ORC, OBR, ORC, second, ZDS)
    assert [step.scheduled_procedure_step_id for step in change.order.steps] == ["S1", "S2"]
    assert change.order.study_instance_uid == "1.2.3.4"
    assert change.step_ids == ("S1", "S2")


def test_groups_of_one_step_are_one_step_with_several_protocols() -> None:
    liver = OBR.replace("USABD^Abdomen US^L", "USABD^Abdomen US^L^USLIV^Liver^L")
    kidney = OBR.replace("USABD^Abdomen US^L", "USABD^Abdomen US^L^USKID^Kidney^L")
    (step,) = order(PID, ORC, liver, ORC, kidney).order.steps
    assert [code.value for code in step.scheduled_protocol_codes] == ["USLIV", "USKID"]


def test_one_orc_serves_the_obrs_after_it() -> None:
    found = orders(PID, "ORC|NW", OBR, OBR.replace("P1|F1", "P2|F2").replace("|A1|RP1|", "|A2|RP2|"))
    assert [change.keys.accession_number for change in found] == ["A1", "A2"]


def test_orders_of_several_patients_in_one_message_stay_apart() -> None:
    other = PID.replace("100", "200").replace("Jane", "John")
    found = orders(PID, ORC, OBR, other, ORC, OBR)
    assert [change.order.patient.patient_id for change in found] == ["100", "200"]


def test_a_study_holds_its_groups_together_where_only_order_numbers_differ() -> None:
    first = "OBR|1|P1|F1|X^Y^L||||||||||||||||S1||||US"
    second = "OBR|2|P2|F2|X^Y^L||||||||||||||||S2||||US"
    change = order(PID, "ORC|NW|P1|F1", first, "ORC|NW|P2|F2", second, ZDS)
    assert len(change.order.steps) == 2


def test_without_a_study_the_order_numbers_tell_orders_apart() -> None:
    first = "OBR|1|P1|F1|X^Y^L||||||||||||||||||||US"
    assert len(orders(PID, "ORC|NW|P1|F1", first, "ORC|NW|P2|F2", first.replace("P1|F1", "P2|F2"))) == 2


def test_cancel_of_a_step_names_it() -> None:
    change = order(PID, "ORC|CA|P1|F1", OBR)
    assert (change.action, change.step_ids) == (Action.CANCEL, ("S1",))


def test_cancel_without_obr_is_about_all_steps_and_states_none() -> None:
    change = order(PID, "ORC|CA|P1|F1")
    assert (change.step_ids, change.order.steps) == ((), ())


def test_change_that_says_nothing_of_steps_has_none() -> None:
    change = order(PID, "ORC|XO|P1|F1", "OBR|1|P1|F1|||||||||||||||A1")
    assert change.order.steps == ()
    assert change.missing == Missing("OBR^1^24", "Modality is missing and cannot be derived")


@pytest.mark.parametrize(
    ("segments", "location"),
    [
        (("PID|||||Doe^Jane", ORC, OBR), "PID^1^3"),
        (("PID|||100", ORC, OBR), "PID^1^5"),
        ((ORC, OBR), "PID^1^3"),
        ((PID, ORC, OBR.removesuffix("US")), "OBR^1^24"),
        ((PID, ORC), "OBR^1^24"),
    ],
)
def test_what_is_missing_is_named_and_left_to_who_applies_it(segments: tuple[str, ...], location: str) -> None:
    missing = order(*segments).missing
    assert missing is not None
    assert missing.location == location


def test_parent_needs_no_step() -> None:
    change = order(PID, "ORC|PA|P1|F1")
    assert (change.action, change.missing, change.order.steps) == (Action.PARENT, None, ())


@pytest.mark.parametrize(
    "segments", [("ORC|CH|P2|F2|||||P1&HIS^F1&RIS", OBR), ("ORC|CH|P2|F2", f"{OBR}|||||P1&HIS^F1&RIS")]
)
def test_child_names_its_parent(segments: tuple[str, ...]) -> None:
    change = order(PID, *segments)
    assert change.action is Action.CHILD
    assert change.parent is not None
    assert (change.parent.placer_order_number, change.parent.filler_order_number) == ("P1", "F1")
    assert (change.parent.placer_issuer, change.parent.filler_issuer) == ("HIS", "RIS")


def test_replacement_names_the_old_order() -> None:
    old, new = orders(PID, "ORC|RP|P1|F1", OBR, "ORC|RO|P2|F2", OBR.replace("P1|F1", "P2|F2"))
    assert (old.action, new.action) == (Action.REPLACE, Action.NEW)
    assert new.parent == old.keys


def test_number_of_the_placer_is_for_the_order_of_the_filler() -> None:
    change = order(PID, "ORC|NA|P1|F1")
    assert (change.action, change.keys.placer_order_number, change.keys.filler_order_number) == (
        Action.NUMBER,
        "P1",
        "F1",
    )


def test_status_that_changes_nothing_gives_no_change() -> None:
    assert changes(PID, "ORC|SC|P1|F1", "OBR|1|P1|F1") == ()
    assert changes(PID, "ORC|OK") == ()


def test_time_of_the_order_is_orc_9_else_the_message_s() -> None:
    sent = datetime(2026, 1, 31, 9, 22, 33, tzinfo=UTC)
    assert order(PID, ORC, OBR).effective == sent
    change = order(PID, "ORC|XO|P1|F1||||||20260131110000", OBR)
    assert (change.effective, change.sent) == (datetime(2026, 1, 31, 10, 0, tzinfo=UTC), sent)


def test_message_without_time_says_none_and_starts_when_it_came() -> None:
    raw = message(PID, "ORC|NW|P1|F1", OBR).replace(b"20260131102233+0100", b"")
    from broker.orders.messages import translate
    from tests.unit.orders.messages.said import CONTEXT

    (change,) = translate(raw, CONTEXT)
    assert (change.sent, change.effective) == (None, None)
    assert change.order.steps[0].scheduled_procedure_step_start_time == "090000"  # type: ignore[union-attr]


def test_comments_stand_with_what_they_follow() -> None:
    change = order(PID, "NTE|1||Needs help", ORC, OBR, "NTE|1||Line 1~Line 2", "OBX|1|TX|A^B||C", "NTE|1||Line 3")
    assert change.order.patient.attributes["PatientComments"] == "Needs help"
    assert change.order.attributes["RequestedProcedureComments"] == "Line 1\r\nLine 2\r\nLine 3"


def test_comments_of_several_groups_are_joined() -> None:
    second = OBR.replace("|S1|", "|S2|")
    change = order(PID, ORC, OBR, "NTE|1||One", ORC, second, "NTE|1||Two")
    assert change.order.attributes["RequestedProcedureComments"] == "One\r\nTwo"


def test_null_clears_and_empty_says_nothing() -> None:
    change = order('PID|||100^^^HOSP^MR||Doe^Jane||""|F', 'PV1||O|||||||||||||||||""', ORC, OBR, 'NTE|1||""')
    assert change.cleared == {
        (0, "PatientBirthDate"),
        (0, "AdmissionID"),
        (0, "IssuerOfAdmissionIDSequence"),
        (0, "RequestedProcedureComments"),
    }


def test_null_gives_way_to_a_later_source() -> None:
    change = order(PID, "ORC|NW|P1|F1|||||||||16^Order^Olga", f'{OBR[: -len("||A1|RP1|S1||||US")]}""||A1|RP1|S1||||US')
    assert change.order.attributes["RequestingPhysician"] == "Order^Olga"


@pytest.mark.parametrize(
    ("segments", "location"),
    [
        ((PID.replace("100^^^HOSP^MR", '""'), ORC, OBR), "PID^1^3"),
        ((PID.replace("Doe^Jane", '""'), ORC, OBR), "PID^1^5"),
        ((PID, ORC, OBR, 'ZDS|""'), "ZDS^1^1"),
        ((PID, ORC, OBR.replace("A1", "A" * 17)), "OBR^1^18"),
        ((PID, ORC, OBR.replace("RP1", "R" * 17)), "OBR^1^19"),
        ((PID, ORC, OBR.replace("S1", "S" * 17)), "OBR^1^20"),
        ((PID, ORC, OBR, "ZDS|1.02.3"), "ZDS^1^1"),
        ((PID, ORC.replace("20260201093000", "202602"), OBR), "ORC^1^7"),
        ((PID, ORC.replace("20260201093000", "20260230"), OBR), "ORC^1^7"),
    ],
)
def test_what_an_attribute_cannot_hold_is_refused_with_its_place(segments: tuple[str, ...], location: str) -> None:
    assert refused(message(*segments)) == ("AE", "102", location)


def test_order_that_nothing_names_is_refused() -> None:
    assert refused(message(PID, "ORC|NW", "OBR|1|||X^Y^L")) == ("AE", "101", "ORC^1^2")


def test_obr_without_orc_is_refused() -> None:
    assert refused(message(PID, OBR)) == ("AE", "101", "ORC^1^1")


def test_message_without_order_is_refused() -> None:
    assert refused(message(PID)) == ("AE", "100", "ORC^1")


def test_unmapped_control_is_for_a_person() -> None:
    with pytest.raises(Refusal) as caught:
        changes(PID, ORC, OBR, "ORC|ZZ|P2|F2", OBR)
    assert caught.value.for_person
    assert (caught.value.answer, caught.value.code, caught.value.location) == ("AE", "103", "ORC^2^1")


def test_authority_of_the_source_stands_in_and_is_made_here() -> None:
    change = order(PID.replace("^^^HOSP^MR", ""), ORC, OBR)
    assert change.order.patient.issuer_of_patient_id == "SITE"
    assert change.origins[0, "IssuerOfPatientID"].made_here
    assert (
        order(
            PID.replace("^^^HOSP^MR", ""), ORC, OBR, here=context(patient_authority="")
        ).order.patient.issuer_of_patient_id
        == ""
    )


def test_a_time_without_offset_is_of_the_source_s_zone_and_shown_in_the_site_s() -> None:
    abroad = context(timezone=ZoneInfo("Europe/Lisbon"))
    change = order(PID, ORC, OBR, here=abroad)
    assert change.order.steps[0].scheduled_procedure_step_start_time == "103000"
    assert change.order.timezone == "Europe/Berlin"
    change = order(PID, ORC.replace("093000", "093000+0100"), OBR, here=abroad)
    assert change.order.steps[0].scheduled_procedure_step_start_time == "093000"
