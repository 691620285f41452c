"""What fields become in attributes: names, codes, units, dates, lengths."""

import pytest

from broker.orders.mapping import Form
from broker.orders.messages.forms import FORMS
from broker.orders.model import Code, Origin
from tests.unit.orders.messages.said import OBR, ORC, PID, order


def _obx(name: str, value: str, unit: str) -> str:
    return f"OBX|1|NM|{name}||{value}|{unit}"


def test_every_form_has_its_function() -> None:
    assert set(Form) == FORMS.keys()


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("Muster^Eva^M^Jr^Dr", "Muster^Eva^M^Dr^Jr"),
        ("Muster^Eva^^^^PhD", "Muster^Eva^^^PhD"),
        ("von Muster&von&Muster^Eva", "von Muster^Eva"),
        ("Alias^A^^^^^A~Legal^L^^^^^L", "Legal^L"),
        ("Maiden^M^^^^^M~Other^O^^^^^D", "Other^O"),
        ("Yamada^Tarou^^^^^L^A~\u5c71\u7530^\u592a\u90ce^^^^^L^I~\u3084\u307e\u3060^\u305f\u308d\u3046^^^^^L^P",
         "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"),
        ("\u5c71\u7530^\u592a\u90ce^^^^^L^I", "\u5c71\u7530^\u592a\u90ce"),
        ("O\\T\\Neil^A\\S\\B", "O&Neil^A B"),
        ("A=B^C", "A B^C"),
        ('Doe^""^Q', "Doe^^Q"),
    ],
)  # fmt: skip
def test_name_of_the_patient(stated: str, expected: str) -> None:
    found = order(PID.replace("Doe^Jane", stated), ORC, OBR).order.patient.patient_name
    assert found == expected


def test_patient_identifier_is_of_the_preferred_type_and_the_others_are_kept() -> None:
    change = order(PID.replace("100^^^HOSP^MR", "9^^^STATE^SS~100^^^HOSP&1.2&ISO^MR~7"), ORC, OBR)
    assert (change.order.patient.patient_id, change.order.patient.issuer_of_patient_id) == ("100", "HOSP")
    assert change.origins[0, "PatientID"] == Origin("PID-3[2]")
    further = change.order.patient.attributes
    assert further["OtherPatientIDs"] == "9\\7"
    assert further["OtherPatientIDsSequence"] == (
        '[{"PatientID": "9", "IssuerOfPatientID": "STATE", "TypeOfPatientID": "TEXT"}, '
        '{"PatientID": "7", "TypeOfPatientID": "TEXT"}]'
    )
    assert further["IssuerOfPatientIDQualifiersSequence"] == (
        '[{"UniversalEntityID": "1.2", "UniversalEntityIDType": "ISO"}]'
    )


@pytest.mark.parametrize(("stated", "expected"), [("19800229", "19800229"), ("198002", ""), ("19800230", ""), ("x", ""),
                                                   ("19800229233000+0000", "19800229"), ("00000000", "")])  # fmt: skip
def test_birth_date_is_never_moved_and_never_a_reason_to_refuse(stated: str, expected: str) -> None:
    assert order(PID.replace("19700101", stated), ORC, OBR).order.patient.patient_birth_date == expected


@pytest.mark.parametrize(
    ("stated", "expected"), [("F", "F"), ("m", "M"), ("A", "O"), ("N", "O"), ("O", "O"), ("U", ""), ("F^Female", "F")]
)
def test_sex_is_one_of_three_or_unknown(stated: str, expected: str) -> None:
    assert order(f"{PID[:-1]}{stated}", ORC, OBR).order.patient.patient_sex == expected


@pytest.mark.parametrize(
    ("segments", "keyword", "expected"),
    [
        ((_obx("29463-7^Weight^LN", "70", "kg"),), "PatientWeight", "70"),
        ((_obx("^BODY WEIGHT", "154", "lb"),), "PatientWeight", "69.853"),
        ((_obx("3141-9", "3500", "g"),), "PatientWeight", "3.5"),
        ((_obx("8302-2", "180", "cm"),), "PatientSize", "1.8"),
        ((_obx("8302-2", "70", "[in_i]"),), "PatientSize", "1.778"),
        ((_obx("8302-2", "1800", "cm"), _obx("8302-2", "1.75", "m")), "PatientSize", "1.75"),
        ((_obx("29463-7", "700", "kg"),), "PatientWeight", None),
        ((_obx("29463-7", "70", "stone"),), "PatientWeight", None),
        ((_obx("OTHER", "70", "kg"),), "PatientWeight", None),
    ],
)
def test_weight_and_size_are_converted_and_plausible(
    segments: tuple[str, ...], keyword: str, expected: str | None
) -> None:
    assert order(PID, ORC, OBR, *segments).order.attributes.get(keyword) == expected


@pytest.mark.parametrize(
    ("stated", "code", "description"),
    [
        ("USABD^Abdomen US^L", Code("USABD", "L", "Abdomen US"), "Abdomen US"),
        ("USABD^Abdomen US", Code("USABD", "L", "Abdomen US"), "Abdomen US"),
        ("USABD", Code("USABD", "L", "USABD"), "USABD"),
        (f"{'X' * 17}^Abdomen US^L", None, "Abdomen US"),
        ("^Abdomen US", None, "Abdomen US"),
        ("A\\E\\B^Abdomen\\.br\\US^L", None, "Abdomen US"),
    ],
)
def test_procedure_is_a_code_where_it_fits_and_a_text_anyway(stated: str, code: Code | None, description: str) -> None:
    change = order(PID, ORC, OBR.replace("USABD^Abdomen US^L", stated))
    assert (change.order.requested_procedure_code, change.order.requested_procedure_description) == (code, description)


def test_side_stands_in_the_description() -> None:
    change = order(PID, ORC, OBR.replace("||||||||||||||A1", "|||||||||||^^^^LEFT|||A1"))
    assert change.order.steps[0].scheduled_procedure_step_description == "Abdomen US (LEFT)"
    assert change.order.steps[0].scheduled_protocol_codes == (Code("USABD", "L", "Abdomen US"),)


@pytest.mark.parametrize(
    ("field", "expected"),
    [("9&Perform&Pia&&&Dr", "Perform^Pia^^Dr"), ("9^Perform^Pia", "Perform^Pia"), ("Perform, Pia", "Perform^Pia")],
)
def test_performer_is_a_name_in_subcomponents_or_in_components(field: str, expected: str) -> None:
    change = order(PID, ORC, f"{OBR}{'|' * 10}{field}")
    assert change.order.steps[0].scheduled_performing_physician_name == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("16^Order^Olga", "Order^Olga"),
        ("16^Order^Olga^M^Jr^Dr^MD", "Order^Olga^M^Dr^Jr MD"),
        ("Order, Olga", "Order^Olga"),
        ("16", None),
        ('16^""^""', None),
    ],
)
def test_physician_s_name_follows_the_identifier(field: str, expected: str | None) -> None:
    change = order(PID, f"ORC|NW|P1|F1|||||||||{field}", OBR)
    assert change.order.attributes.get("RequestingPhysician") == expected


def test_results_go_to_several() -> None:
    change = order(PID, ORC, f"{OBR}||||1^One^Ann~2^Two^Bob")
    assert change.order.attributes["NamesOfIntendedRecipientsOfResults"] == "One^Ann\\Two^Bob"


def test_special_needs_and_pregnancy_share_a_field() -> None:
    change = order(PID, "PV1||O|||||||||||||B6~A1~A2", ORC, OBR)
    assert change.order.patient.attributes == {"PregnancyStatus": "3", "SpecialNeeds": "A1 A2"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [("555-1", "555-1"), ("^PRN^PH^^49^30^12345", "49 30 12345"), ("^^^^^^^^^^^+49301", "+49301"), ('""', None)],
)
def test_telephone_number(field: str, expected: str | None) -> None:
    change = order(f"{PID}|||||{field}", ORC, OBR)
    assert change.order.patient.attributes.get("PatientTelephoneNumbers") == expected


def test_language_and_reason_are_codes() -> None:
    change = order(f"{PID}|||||||de^German^ISO639", ORC, f"{OBR}|||||||R10^Pain^I10")
    assert change.order.patient.attributes["PatientPrimaryLanguageCodeSequence"] == (
        '[{"CodeValue": "de", "CodingSchemeDesignator": "ISO639", "CodeMeaning": "German"}]'
    )
    assert change.order.attributes["ReasonForTheRequestedProcedure"] == "Pain"
    assert '"CodeValue": "R10"' in change.order.attributes["ReasonForRequestedProcedureCodeSequence"]


@pytest.mark.parametrize(("title", "expected"), [("US1", ("US1",)), ("A" * 17, ()), ("\u00dcS1", ())])
def test_station_is_never_cut(title: str, expected: tuple[str, ...]) -> None:
    change = order(PID, f"{ORC}|||||||||||{title}", OBR)
    assert change.order.steps[0].scheduled_station_ae_titles == expected
