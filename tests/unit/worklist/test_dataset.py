"""Answers: exactly what was asked for, as pydicom reads them."""

import json
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from broker.orders.model import Code
from broker.worklist.attributes import STEP_KEYWORDS, TOP_KEYWORDS, answer_entity
from broker.worklist.dataset import Encoded, encode
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import read
from tests.unit.worklist.building import ANYBODY, SYNTAXES, US1, decoded, encoded, identifier, item


def answer(
    data: bytes, of: WorklistItem | None = None, viewer: Viewer = US1, syntax: str = IMPLICIT_LITTLE_ENDIAN
) -> tuple[Dataset, Encoded]:
    result = encode(read(data, syntax), of or item(), viewer, syntax)
    return decoded(result.identifier, syntax), result


def asking(*keywords: str, **keys: Any) -> bytes:
    return identifier(None, **dict.fromkeys(keywords, ""), **keys)


def with_sequence(keyword: str, *items: Dataset) -> bytes:
    dataset = Dataset()
    setattr(dataset, keyword, Sequence(items))
    return encoded(dataset)


def test_every_attribute_of_the_tables_has_a_tag() -> None:
    assert all(tag_for_keyword(keyword) for keyword in TOP_KEYWORDS | STEP_KEYWORDS)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_exactly_what_was_asked_is_returned_at_every_depth(syntax: str) -> None:
    keys = identifier({"Modality": "US", "ScheduledProcedureStepID": ""}, syntax, PatientName="must*", PatientID="")
    found, result = answer(keys, syntax=syntax)
    step = Dataset()
    step.Modality = "US"
    step.ScheduledProcedureStepID = "S1"
    expected = Dataset()
    expected.PatientName = "Muster^Eva^M^Dr^Jr"
    expected.PatientID = "4711"
    expected.ScheduledProcedureStepSequence = Sequence([step])
    assert found == expected
    assert result.all_supported


def test_the_same_query_gives_the_same_bytes() -> None:
    keys = asking(*sorted(TOP_KEYWORDS - {k for k in TOP_KEYWORDS if k.endswith("Sequence")}))
    assert answer(keys)[1] == answer(keys)[1]


def test_known_attributes_without_a_value_have_zero_length() -> None:
    found, result = answer(asking("PatientWeight", "MedicalAlerts", "AdmittingDate", "StudyDate"))
    assert [element.VM for element in found] == [0, 0, 0, 0]
    assert result.all_supported


def test_unsupported_attributes_have_zero_length_and_are_noted() -> None:
    found, result = answer(asking("PatientID", "Manufacturer", "QueryRetrieveLevel"))
    assert found.Manufacturer == ""
    assert "QueryRetrieveLevel" in found
    assert not result.all_supported
    found, result = answer(with_sequence("ContributingEquipmentSequence", Dataset()))
    assert len(found.ContributingEquipmentSequence) == 0
    assert not result.all_supported


def test_a_private_attribute_keeps_its_creator() -> None:
    dataset = Dataset()
    dataset.private_block(0x8001, "LIAC", create=True).add_new(0x01, "LO", "ONCO^FRANCO")
    found, _ = answer(encoded(dataset))
    assert found[0x8001, 0x0010].value == "LIAC"
    assert not found[0x8001, 0x1001].value


def test_group_lengths_the_zone_and_the_request_s_character_set_are_not_echoed() -> None:
    data = b"\x10\x00\x00\x00\x04\x00\x00\x00\x08\x00\x00\x00"
    keys = asking("PatientID", TimezoneOffsetFromUTC="+0100", SpecificCharacterSet="ISO_IR 192")
    found, _ = answer(keys[:0] + keys + data)
    assert [element.keyword for element in found] == ["PatientID"]


@pytest.mark.parametrize("items", [(), (Dataset(),)])
def test_a_step_asked_for_as_a_whole_returns_all_it_has(items: tuple[Dataset, ...]) -> None:
    found, _ = answer(with_sequence("ScheduledProcedureStepSequence", *items))
    (step,) = found.ScheduledProcedureStepSequence
    assert step.ScheduledStationAETitle == "US1"
    assert step.ScheduledProcedureStepStartDate == "20260201"
    assert step.ScheduledProcedureStepStartTime == "093000"
    assert step.Modality == "US"
    assert step.ScheduledPerformingPhysicianName == "Schall^Sven"
    assert step.ScheduledProcedureStepDescription == "Liver"
    assert step.ScheduledStationName == "USROOM1"
    assert step.ScheduledProcedureStepLocation == "ROOM 1"
    assert step.ScheduledProcedureStepStatus == "SCHEDULED"
    assert [code.CodeValue for code in step.ScheduledProtocolCodeSequence] == ["USLIV", "USKID"]


def test_an_empty_value_of_a_whole_step_is_there_with_zero_length() -> None:
    bare = item(scheduled_performing_physician_name="", scheduled_station_ae_titles=())
    found, _ = answer(with_sequence("ScheduledProcedureStepSequence"), bare, ANYBODY)
    (step,) = found.ScheduledProcedureStepSequence
    assert step.ScheduledPerformingPhysicianName == ""
    assert not step.ScheduledStationAETitle
    assert step.ScheduledStationName == ""
    assert (step.PreMedication, step.RequestedContrastAgent) == ("", "")


def test_a_step_for_no_known_device_is_for_who_asks() -> None:
    nobody = item(modality="MR", scheduled_station_ae_titles=())
    found, _ = answer(with_sequence("ScheduledProcedureStepSequence"), nobody, Viewer(calling=("MR9",)))
    assert found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "MR9"


@pytest.mark.parametrize(
    ("changes", "procedure", "step"),
    [
        ({}, "Abdomen US", "Liver"),
        ({"scheduled_procedure_step_description": ""}, "Abdomen US", "Code"),
        ({"requested_procedure_description": ""}, "Requested", "Liver"),
        ({"requested_procedure_description": "", "requested_procedure_code": None}, "Liver", "Liver"),
        ({"scheduled_procedure_step_description": "", "scheduled_protocol_codes": ()}, "Abdomen US", "Abdomen US"),
    ],
)
def test_a_description_that_was_not_ordered_is_taken_from_the_next_best(
    changes: dict[str, Any], procedure: str, step: str
) -> None:
    codes = {
        "requested_procedure_code": Code("R", "L", "Requested"),
        "scheduled_protocol_codes": (Code("P", "L", "Code"),),
    }
    keys = identifier({"ScheduledProcedureStepDescription": ""}, RequestedProcedureDescription="")
    found, _ = answer(keys, item(**{**codes, **changes}))
    inner = found.ScheduledProcedureStepSequence[0]
    assert (found.RequestedProcedureDescription, inner.ScheduledProcedureStepDescription) == (procedure, step)


def test_of_an_order_that_describes_nothing_the_modality_is_said() -> None:
    nothing = item(
        requested_procedure_description="",
        requested_procedure_code=None,
        scheduled_procedure_step_description="",
        scheduled_protocol_codes=(),
    )
    keys = identifier({"ScheduledProcedureStepDescription": ""}, RequestedProcedureDescription="")
    found, _ = answer(keys, nothing)
    assert found.RequestedProcedureDescription == "US"
    assert found.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription == "US"


@pytest.mark.parametrize("sub_keys", [None, (), ("CodeValue",), ("CodeValue", "CodingSchemeVersion")])
def test_codes_are_returned_whole(sub_keys: tuple[str, ...] | None) -> None:
    inner = Dataset()
    for keyword in sub_keys or ():
        setattr(inner, keyword, "")
    items = () if sub_keys is None else (inner,)
    found, _ = answer(with_sequence("RequestedProcedureCodeSequence", *items))
    (code,) = found.RequestedProcedureCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("USABD", "L", "Abdomen US")
    assert ("CodingSchemeVersion" in code) is ("CodingSchemeVersion" in (sub_keys or ()))


def test_a_code_too_long_or_empty_is_left_out() -> None:
    none = item(requested_procedure_code=None, scheduled_protocol_codes=(Code("", "L", "x"), Code("c" * 17, "L", "x")))
    found, _ = answer(with_sequence("RequestedProcedureCodeSequence"), none)
    assert len(found.RequestedProcedureCodeSequence) == 0
    found, _ = answer(with_sequence("ScheduledProcedureStepSequence"), none)
    assert "ScheduledProtocolCodeSequence" not in found.ScheduledProcedureStepSequence[0]


def test_referenced_study_and_patient_have_no_items() -> None:
    for keyword in ("ReferencedStudySequence", "ReferencedPatientSequence"):
        found, result = answer(with_sequence(keyword, Dataset()))
        assert len(found[keyword].value) == 0
        assert result.all_supported


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_binary_number_follows_the_byte_order(syntax: str) -> None:
    found, _ = answer(identifier(None, syntax, PregnancyStatus=None), syntax=syntax)
    assert found.PregnancyStatus == 3
    found, _ = answer(identifier(None, syntax, PregnancyStatus=None), item(attributes={}), syntax=syntax)
    assert found.PregnancyStatus is None or found["PregnancyStatus"].VM == 0


def test_all_stations_are_returned() -> None:
    both = item(scheduled_station_ae_titles=("US1", "US2"))
    found, _ = answer(identifier({"ScheduledStationAETitle": "US2"}), both)
    assert found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == ["US1", "US2"]


def test_the_item_s_station_name_and_location_go_before_the_viewer_s() -> None:
    keys = identifier({"ScheduledStationName": "", "ScheduledProcedureStepLocation": ""})
    named = item(attributes={"ScheduledStationName": "ORDERED"})
    (step,) = answer(keys, named)[0].ScheduledProcedureStepSequence
    assert (step.ScheduledStationName, step.ScheduledProcedureStepLocation) == ("ORDERED", "ROOM 1")


def test_keys_of_the_step_outside_its_sequence_are_answered_there() -> None:
    found, result = answer(asking("Modality", "ScheduledStationAETitle"))
    assert (found.Modality, found.ScheduledStationAETitle) == ("US", "US1")
    assert "ScheduledProcedureStepSequence" not in found
    assert result.all_supported


def test_further_sequences_come_from_json() -> None:
    issuer = json.dumps([{"LocalNamespaceEntityID": "HOSP", "UniversalEntityID": "1.2.3"}])
    of = item(attributes={"IssuerOfAccessionNumberSequence": issuer, "ReferencedStudySequence": "no json"})
    found, _ = answer(with_sequence("IssuerOfAccessionNumberSequence", Dataset()), of)
    assert found.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "HOSP"
    assert found.IssuerOfAccessionNumberSequence[0].UniversalEntityID == "1.2.3"
    assert answer_entity(of).sequences["ReferencedStudySequence"] == ()


def test_other_patient_ids_are_values_and_items() -> None:
    of = item(attributes={"OtherPatientIDs": "815\\816"})
    found, _ = answer(with_sequence("OtherPatientIDsSequence", Dataset()), of)
    assert [other.PatientID for other in found.OtherPatientIDsSequence] == ["815", "816"]
    found, _ = answer(asking("OtherPatientIDs"), of)
    assert found.OtherPatientIDs == ["815", "816"]


def test_every_value_of_the_tables_is_answered() -> None:
    keywords = [k for k in TOP_KEYWORDS | STEP_KEYWORDS if not k.endswith("Sequence")]
    texts = dict.fromkeys(keywords, "x")
    texts |= {k: "20260101" for k in keywords if k.endswith("Date")} | {
        k: "1200" for k in keywords if k.endswith("Time")
    }
    texts |= {"PregnancyStatus": "3", "PatientWeight": "70", "PatientSize": "1.7"}
    found, result = answer(asking(*[k for k in keywords if k != "PregnancyStatus"]), item(attributes=texts))
    assert result.all_supported
    assert [element.keyword for element in found if not element.value] == []


# --- character sets ----------------------------------------------------------------------------------------------


def named(name: str, *sets: str) -> tuple[Dataset, Encoded]:
    return answer(asking("PatientName", "SpecificCharacterSet"), item(patient_name=name), Viewer(character_sets=sets))


def test_plain_ascii_is_sent_without_a_character_set() -> None:
    found, result = named("Muster^Eva", "ISO_IR 100")
    assert "SpecificCharacterSet" not in found
    assert result.character_set == ""


def test_the_first_set_that_holds_the_text_is_sent() -> None:
    found, result = named("Müller^Eva", "", "ISO_IR 100", "ISO_IR 192")
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert str(found.PatientName) == "Müller^Eva"
    assert not result.transliterated


def test_a_set_is_sent_even_when_it_was_not_asked_for() -> None:
    found, _ = answer(asking("PatientName"), item(patient_name="Łukasz"), ANYBODY)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert str(found.PatientName) == "Łukasz"


def test_text_that_was_not_asked_for_decides_nothing() -> None:
    found, _ = answer(asking("PatientID"), item(patient_name="Łukasz"), ANYBODY)
    assert "SpecificCharacterSet" not in found


def test_without_a_set_that_holds_it_text_is_transliterated_into_the_first_and_noted() -> None:
    found, result = named("Łukasz^Jörg", "ISO_IR 100")
    assert str(found.PatientName) == "Lukasz^Jörg"
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert result.transliterated
    found, result = named("Łukasz^Jörg", "")
    assert str(found.PatientName) == "Lukasz^Jorg"
    assert "SpecificCharacterSet" not in found
    assert result.transliterated


def test_a_group_in_an_unknown_script_is_left_out_beside_the_alphabetic_one() -> None:
    found, result = named("Yamada^Tarou=山田^太郎", "ISO_IR 100")
    assert str(found.PatientName) == "Yamada^Tarou"
    assert result.transliterated
    found, _ = named("Yamada^Tarou=山田^太郎", "\\ISO 2022 IR 87")
    assert str(found.PatientName) == "Yamada^Tarou=山田^太郎"
    assert list(found.SpecificCharacterSet or []) == ["", "ISO 2022 IR 87"]


def test_a_backslash_in_text_makes_no_second_value() -> None:
    found, _ = answer(asking("RequestedProcedureDescription"), item(requested_procedure_description="a\\b"))
    assert found.RequestedProcedureDescription == "a/b"
    found, _ = answer(asking("PatientComments"), item(attributes={"PatientComments": "a\\b\r\nc"}))
    assert found.PatientComments == "a\\b\r\nc"
