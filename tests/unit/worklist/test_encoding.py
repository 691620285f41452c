"""Elements encoded when an item was planned give the answers that a plain encoder gives, byte for byte."""

import json
from dataclasses import fields, replace
from itertools import cycle, product

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sequence import Sequence

from broker.orders.model import Code, StepStatus
from broker.worklist import dataset, elements, encoding
from broker.worklist.attributes import STEP_KEYWORDS, TOP_KEYWORDS
from broker.worklist.elements import Element
from broker.worklist.encoding import encoded_elements
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import EVERYTHING, Query, read
from tests.unit.worklist import plain_encoder
from tests.unit.worklist.building import SYNTAXES, US1, encoded, identifier, item

JAPANESE = "\\ISO 2022 IR 87"
SETS = (
    *((name,) for name in ("", "ISO_IR 100", "ISO_IR 192", "ISO_IR 144", "ISO_IR 13", "GB18030", JAPANESE)),
    ("ISO 2022 IR 87",),  # no set on its own: it holds no letter
    ("ISO 2022 IR 13\\ISO 2022 IR 87",),
    ("", "ISO_IR 100", "ISO_IR 192"),
    (),
)
ISSUER = json.dumps([{"LocalNamespaceEntityID": "HÖSP", "UniversalEntityID": ""}, {"UniversalEntityIDType": "DNS"}])
NESTED = json.dumps([{"CodeValue": "1", "EquivalentCodeSequence": [{"CodeValue": "ä"}, {}]}])
FURTHER = {
    "OtherPatientIDs": "1\\22\\333",
    "PatientWeight": "70",
    "PatientComments": "zwei\\Zeilen\r\nälter ",
    "MedicalAlerts": "Latex\\Jod",
    "IssuerOfAccessionNumberSequence": ISSUER,
    "ReasonForRequestedProcedureCodeSequence": NESTED,
    "ReferencedStudySequence": "no json",
    "ScheduledProcedureStepSequence": ISSUER,
    "ScheduledStationName": "EIGEN",
    "ScheduledStationAETitle": "OTHER",
    "PreMedication": "",
    "PregnancyStatus": "many",
    "SmallestImagePixelValue": "-3",
    "Manufacturer": "Ü",
    "TimezoneOffsetFromUTC": "+0100",
    "SpecificCharacterSet": "ISO_IR 192",
    "NoSuchKeyword": "x",
    "FileMetaInformationGroupLength": "1",
}
ITEMS = (
    item(),
    item(patient_name="Müller^Jörg=", patient_sex="", requested_procedure_code=None),
    item(patient_name="Łukasz^Jan=", scheduled_procedure_step_description="a\\b"),
    item(patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう", patient_id="=47="),
    item(patient_name="ﾔﾏﾀﾞ^ﾀﾛｳ", patient_id="~\\"),
    item(attributes=FURTHER, scheduled_station_ae_titles=(), status=StepStatus.STARTED),
    item(attributes=FURTHER, patient_name="Иванов", scheduled_station_ae_titles=("Ä", "B", "")),
    item(
        patient_name="",
        scheduled_protocol_codes=(Code("", "L", "x"), Code("c" * 17, "L", "x"), Code("é", "", "Köpf\\chen")),
        requested_procedure_code=Code("1", "99X", ""),
        attributes={},
    ),
)


def _sequence(keyword: str, *items: Dataset) -> Element:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    read_items = tuple(elements.read(encoded(inner), elements.IMPLICIT_LITTLE_ENDIAN) for inner in items)
    return Element(tag, "SQ", items=read_items)


def _asking(*keywords: str) -> Dataset:
    asked = Dataset()
    for keyword in keywords:
        setattr(asked, keyword, None)
    return asked


def _plain(*keywords: str) -> tuple[Element, ...]:
    return elements.read(encoded(_asking(*keywords)), elements.IMPLICIT_LITTLE_ENDIAN)


VALUED = sorted(k for k in TOP_KEYWORDS | STEP_KEYWORDS if not k.endswith("Sequence"))
SEQUENCES = sorted(k for k in TOP_KEYWORDS | STEP_KEYWORDS if k.endswith("Sequence"))
STEP = "ScheduledProcedureStepSequence"
PRIVATE = Dataset()
PRIVATE.private_block(0x8001, "ODD", create=True).add_new(0x01, "LO", "X")
CODED = Dataset()
CODED.RequestedProcedureCodeSequence = Sequence([_asking("CodeMeaning", "CodingSchemeVersion")])
CODED.ScheduledProtocolCodeSequence = Sequence([_asking("CodeValue")])
CODED.Modality = None
QUERIES = (
    (),
    _plain(*VALUED),
    tuple(_sequence(keyword) for keyword in SEQUENCES),
    tuple(_sequence(keyword, Dataset()) for keyword in SEQUENCES),
    tuple(_sequence(keyword, _asking("CodeValue", "UniversalEntityID", "Modality")) for keyword in SEQUENCES),
    (*_plain("PatientID", "Manufacturer", "QueryRetrieveLevel", "SmallestImagePixelValue"), *_plain("PatientID")),
    (_sequence("ContributingEquipmentSequence", _asking("Manufacturer")), _sequence(STEP, CODED, CODED)),
    tuple(reversed(_plain("AccessionNumber", "PatientName", "ScheduledStationName", "SpecificCharacterSet"))),
    (*elements.read(encoded(PRIVATE), SYNTAXES[0]), Element(0x00080001, "UL"), Element(0x00100000, "UL")),
    (Element(0x00080001, "UL"), Element(0x00290010, "OB", b"odd"), Element(0x60020010, "US"), *_plain("PatientName")),
    read(identifier({"Modality": "US", "ScheduledProcedureStepID": ""}, PatientName="m*"), SYNTAXES[0]).asked,
)  # fmt: skip
STATIONS = (US1, Viewer(), replace(US1, station_name="SÄAL", location="Räume\\1"))
VIEWERS = [replace(station, character_sets=sets) for station, sets in zip(cycle(STATIONS), SETS, strict=False)]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_answers_are_those_of_the_plain_encoder_byte_for_byte(syntax: str) -> None:
    for of, asked, by in product(ITEMS, QUERIES, VIEWERS):
        asks = Query(asked)
        expected = plain_encoder.encode(asks, of, by, syntax)
        assert dataset.encode(asks, replace(of, encoded=encoded_elements(of)), by, syntax) == expected


def test_what_changes_after_planning_is_not_taken_from_the_encoded_elements() -> None:
    made = encoded_elements(item())
    later = item(status=StepStatus.STARTED, scheduled_station_ae_titles=("US1", "US2"), encoded=made)
    asked = Query((_sequence(STEP),))
    assert dataset.encode(asked, later, US1, SYNTAXES[0]) == plain_encoder.encode(asked, later, US1, SYNTAXES[0])


@pytest.mark.parametrize("made", [b"", b"\xff of another version"])
def test_an_item_that_is_not_encoded_by_this_version_is_encoded_now(made: bytes) -> None:
    asked = Query(_plain(*VALUED))
    plain = plain_encoder.encode(asked, item(), US1, SYNTAXES[0])
    assert dataset.encode(asked, item(encoded=made), US1, SYNTAXES[0]) == plain


def test_encoded_elements_are_used_where_they_are_there() -> None:
    other = item(patient_name="Other", encoded=encoded_elements(item()))
    asked = Query(_plain("PatientName"))
    assert dataset.encode(asked, other, US1, SYNTAXES[0]) == dataset.encode(asked, item(), US1, SYNTAXES[0])


def test_they_begin_with_their_version_and_are_no_part_of_an_item_s_equality() -> None:
    made = encoded_elements(item())
    assert made[0] == encoding.VERSION
    assert encoding.is_current(made)
    assert item(encoded=made) == item()
    assert "encoded" not in repr(item(encoded=made))


def test_nobody_who_asks_and_no_status_changes_them() -> None:
    assert encoded_elements(item()) == encoded_elements(
        item(id=7, order_id=8, status=StepStatus.COMPLETED, scheduled_station_ae_titles=(), timezone="UTC")
    )


def test_every_field_of_an_item_that_an_answer_may_hold_is_in_them_or_read_when_asked() -> None:
    # A field that is added to WorklistItem has to be put into one of these, or it is answered by nobody.
    read_when_asked = {"status", "scheduled_station_ae_titles"}
    never_answered = {"id", "order_id", "timezone", "encoded", "provenance", "sending_application"}
    known = encoded_elements(item())
    for name in {field.name for field in fields(WorklistItem)} - read_when_asked - never_answered:
        empty: dict[str, object] = {"requested_procedure_code": None, "scheduled_protocol_codes": (), "attributes": {}}
        changed = empty.get(name, "X")
        assert encoded_elements(item(**{name: changed})) != known, name


def test_a_query_for_everything_is_an_empty_identifier() -> None:
    assert dataset.encode(EVERYTHING, item(), US1, SYNTAXES[0]).identifier == b""
