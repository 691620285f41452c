"""The matching rules, with every vector of the standard's digest."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from broker.orders.model import StepStatus
from broker.worklist.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from broker.worklist.model import WorklistItem
from broker.worklist.query import BadQuery, matches, read
from tests.unit.worklist.building import ANYBODY, SYNTAXES, US1, encoded, identifier, item

DATE = "ScheduledProcedureStepStartDate"
TIME = "ScheduledProcedureStepStartTime"
AET = "ScheduledStationAETitle"
PHYSICIAN = "ScheduledPerformingPhysicianName"


def found(step: dict[str, str] | None = None, of: WorklistItem | None = None, **keys: Any) -> bool:
    query = read(identifier(step, **keys), IMPLICIT_LITTLE_ENDIAN)
    return matches(query, of or item(), ANYBODY)


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20260131-20260201", "0800-0900", False),  # the interval ends 1 Feb 09:00
        ("20260131-20260201", "0800-1000", True),
        ("20260131-20260202", "1000-0800", True),  # 31 Jan 10:00 to 2 Feb 08:00
        ("20260201-20260202", "1000-0800", False),
        ("20260201-20260201", "093000-093000", True),
        ("20260201-", "0931-", False),
        ("20260201-", "0930-", True),
        ("-20260201", "-0930", True),
        ("-20260201", "-0929", False),
        ("20260201-", "-0800", True),  # an open end of the dates leaves that end open
        ("20260201", "0900-1000", True),
        ("20260201", "1000-", False),
        ("20260201", "-093000", True),
        ("20260131-20260203", "0930", True),  # only one is a range: both by themselves
        ("20260131-20260203", "0931", False),
        ("", "0900-1000", True),
        ("", "1000-1100", False),
        ("-20260131", "", False),
        ("20260201-", "", True),
        ("-20260201", "", True),
        ("", "", True),
        ("*", "*", True),
        ("20260201", "", True),
        ("20260202", "", False),
        ("2026.02.01", "09:30:00", True),  # retired forms
        ("20260201 - 20260202", "", True),
        (" 20260201-20260202 ", "", True),
        ("20260201", "093000", True),
        ("20260201", "0930", True),  # by meaning
        ("20260201", "09", False),
        ("20260201", "093000.000", True),
        ("20260201", "0000-2359", True),
        ("20260201", "000000-235959", True),
        ("20260202-20260131", "", False),
    ],
)
def test_dates_and_times(date: str, time: str, expected: bool) -> None:
    assert found({DATE: date, TIME: time}) is expected


def test_a_whole_day_by_0000_to_2359_includes_its_last_minute() -> None:
    late = item(scheduled_procedure_step_start_time="235930.5")
    assert found({DATE: "20260201", TIME: "0000-2359"}, late)
    assert found({DATE: "20260201-20260201", TIME: "000000-235959"}, late)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("must*", True),
        ("MUSTER^E*", True),
        ("*^Eva", False),  # the literal rule: a trailing * is needed
        ("*^Eva*", True),
        ("Muster", True),  # by policy
        ("muster^eva", True),
        ("Muster^Eva^M^Dr^Jr", True),
        ("Muster^Eva^^^", True),
        ("Muster ^ Eva", True),
        ("Must", False),
        ("Muster^Ev", False),
        ("M?ster*", True),
        ("M?ter*", False),
        ("MUSTER EVA", True),
        ("Muster, Eva", True),
        ("Muster, Ev*", True),
        ("Müster", True),
        ("", True),
        ("*", True),
        ("**", True),
        ("Muster\\Beispiel", True),
        ("%", False),
        ("Muste_", False),
    ],
)
def test_names(name: str, expected: bool) -> None:
    assert found(PatientName=name, SpecificCharacterSet="ISO_IR 100") is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("山田*", True),
        ("Yamada", True),
        ("やまだ^たろう", True),
        ("Yamada=山田", True),
        ("=山田", True),
        ("=高橋", False),
        ("太郎", False),
    ],
)
def test_names_match_in_any_component_group(name: str, expected: bool) -> None:
    of = item(patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert found(None, of, PatientName=name, SpecificCharacterSet="ISO_IR 192") is expected


@pytest.mark.parametrize(
    ("stored", "key"),
    [("Łukasz^Ændra", "lukasz"), ("Strauß", "STRAUSS"), ("O'Søren", "o'soren"), ("ÉMILE", "emile"), ("İnan", "INAN")],
)
def test_names_match_without_case_and_accents(stored: str, key: str) -> None:
    assert found(None, item(patient_name=stored), PatientName=key)


@pytest.mark.parametrize(
    ("title", "expected"),
    [("US1 ", True), (" US1", True), ("us1", False), ("US2", False), ("", True), ("*", True), ("US*", True),
     ("US?", True), ("CT1\\US1", True)],
)  # fmt: skip
def test_station_titles(title: str, expected: bool) -> None:
    assert found({AET: title}) is expected


def test_any_of_several_station_titles_counts() -> None:
    both = item(scheduled_station_ae_titles=("US1", "US2"))
    assert found({AET: "US2"}, both)
    assert not found({AET: "US3"}, both)


@pytest.mark.parametrize(
    ("step", "keys", "expected"),
    [
        ({"Modality": "us"}, {}, True),
        ({"Modality": " US "}, {}, True),
        ({"Modality": "CT"}, {}, False),
        ({"Modality": "IVUS\\US"}, {}, True),
        ({"Modality": "U*"}, {}, True),
        ({PHYSICIAN: "schall"}, {}, True),
        ({PHYSICIAN: "schall^s*"}, {}, True),
        ({PHYSICIAN: "rauch"}, {}, False),
        ({"ScheduledProcedureStepID": "S1"}, {}, True),
        ({"ScheduledProcedureStepID": "s1"}, {}, False),
        ({"ScheduledProcedureStepID": "S?"}, {}, True),
        ({"ScheduledProcedureStepStatus": "scheduled"}, {}, True),
        ({"ScheduledProcedureStepStatus": "READY"}, {}, False),
        (None, {"PatientID": "4711"}, True),
        (None, {"PatientID": "\x004711  "}, True),
        (None, {"PatientID": "47*"}, True),
        (None, {"PatientID": "471"}, False),
        (None, {"PatientID": "471%"}, False),
        (None, {"AccessionNumber": "A200"}, True),
        (None, {"AccessionNumber": "a200"}, False),
        (None, {"AccessionNumber": "A2??"}, True),
        (None, {"RequestedProcedureID": "RP200"}, True),
        (None, {"RequestedProcedureID": "RP201"}, False),
        (None, {"StudyInstanceUID": "1.2.3.4.200"}, True),
        (None, {"StudyInstanceUID": "1.2.3\\1.2.3.4.200"}, True),
        (None, {"StudyInstanceUID": "1.2.3"}, False),
        (None, {"StudyInstanceUID": "*"}, True),
        (None, {"ReferringPhysicianName": "refer"}, True),
        (None, {"ReferringPhysicianName": "anders"}, False),
        (None, {"PatientBirthDate": "19800229"}, True),
        (None, {"PatientBirthDate": "19800101-19801231"}, True),
        (None, {"PatientBirthDate": "1981-"}, None),
        (None, {"PatientSex": "f"}, True),
        (None, {"PatientSex": "M"}, False),
        (None, {"AdmissionID": "V123"}, True),
        (None, {"AdmissionID": "V124"}, False),
        (None, {"PatientComments": "no key of ours"}, True),
        (None, {"Modality": "CT"}, False),  # outside the sequence counts as if inside
        (None, {"ScheduledStationAETitle": "US1"}, True),
    ],
)
def test_other_keys(step: dict[str, str] | None, keys: dict[str, str], expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(BadQuery) as caught:
            found(step, **keys)
        assert caught.value.status == 0xA900
        return
    assert found(step, **keys) is expected


@pytest.mark.parametrize("field", ["patient_sex", "patient_birth_date", "accession_number"])
def test_what_is_unknown_satisfies_only_universal_keys(field: str) -> None:
    unknown = item(**{field: ""})
    keyword = {"patient_sex": "PatientSex", "patient_birth_date": "PatientBirthDate"}.get(field, "AccessionNumber")
    assert found(None, unknown, **{keyword: ""})
    assert not found(None, unknown, **{keyword: {"PatientBirthDate": "19000101-"}.get(keyword, "?")})


def test_a_step_without_time_or_station_is_invisible_to_keys_on_them() -> None:
    assert not found({TIME: "0000-2359"}, item(scheduled_procedure_step_start_time=""))
    assert not found({DATE: "20260101-", TIME: "0000-"}, item(scheduled_procedure_step_start_time=""))
    assert not found({AET: "US1"}, item(scheduled_station_ae_titles=()))
    assert found({AET: ""}, item(scheduled_station_ae_titles=()))


def test_an_empty_sequence_and_an_empty_item_are_universal() -> None:
    empty = Dataset()
    empty.ScheduledProcedureStepSequence = Sequence([])
    assert matches(read(encoded(empty), IMPLICIT_LITTLE_ENDIAN), item(), ANYBODY)
    assert found({})


def test_a_registered_device_sees_only_its_stations() -> None:
    everything = read(identifier({}), IMPLICIT_LITTLE_ENDIAN)
    assert matches(everything, item(), US1)
    assert matches(everything, item(scheduled_station_ae_titles=("US2", "US1")), US1)
    assert not matches(everything, item(scheduled_station_ae_titles=("US2",)), US1)
    assert not matches(everything, item(scheduled_station_ae_titles=()), US1)
    assert matches(everything, item(scheduled_station_ae_titles=("US2",)), ANYBODY)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "character_set",
    ["ISO_IR 100", "ISO_IR 192", "GB18030", "\\ISO 2022 IR 87", "ISO 2022 IR 100\\ISO 2022 IR 87"],
)
def test_keys_are_decoded_in_the_request_s_set_which_is_no_key(syntax: str, character_set: str) -> None:
    name = "山田^太郎" if character_set[-3:] != "100" else "Müller^Jörg"
    data = identifier({}, syntax, SpecificCharacterSet=character_set.split("\\"), PatientName=name)
    query = read(data, syntax)
    assert set(query.keys) == {"PatientName"}
    assert matches(query, item(patient_name=name), ANYBODY)
    assert not matches(query, item(), ANYBODY)


def test_an_unknown_character_set_matches_what_decodes() -> None:
    raw = identifier(PatientID="4711", SpecificCharacterSet="ISO_IR 100", PatientName="")
    query = read(raw.replace(b"ISO_IR 100", b"ISO_IR 999"), IMPLICIT_LITTLE_ENDIAN)
    assert matches(query, item(), ANYBODY)


def test_more_than_one_step_item_is_refused_with_a900() -> None:
    dataset = Dataset()
    dataset.ScheduledProcedureStepSequence = Sequence([Dataset(), Dataset()])
    with pytest.raises(BadQuery) as caught:
        read(encoded(dataset), IMPLICIT_LITTLE_ENDIAN)
    assert caught.value.status == 0xA900
    assert caught.value.offending_element == (0x00400100,)
    assert len(caught.value.comment) <= 64


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"PatientID": "x" * 65}, 0xC000),
        ({"PatientID": "*a" * 9}, 0xC000),
        ({"PatientName": "a?" * 9}, 0xC000),
        ({"PatientID": "\\".join(["abc"] * 257)}, 0xC000),
        ({"PatientBirthDate": "tomorrow"}, 0xA900),
    ],
)
def test_keys_out_of_bounds_are_refused_without_their_value(keys: dict[str, str], status: int) -> None:
    with pytest.raises(BadQuery) as caught:
        read(identifier(**keys), IMPLICIT_LITTLE_ENDIAN)
    assert caught.value.status == status
    ((keyword, value),) = keys.items()
    assert keyword in caught.value.comment
    assert value not in caught.value.comment


def test_64_characters_and_8_wildcards_are_taken() -> None:
    assert not found(PatientID="*a" * 8)
    assert not found(PatientID="x" * 64)


def test_wildcards_cannot_be_made_to_run_for_long() -> None:
    of = item(patient_id="a" * 64)
    assert not found(None, of, PatientID="*a*a*a*a*a*a*a*b")


def test_garbage_is_refused_with_c000() -> None:
    for data in (b"\xff" * 7, b"\x10\x00\x10\x00\xff\xff\xff\x7f", b"x" * 70_000):
        with pytest.raises(BadQuery) as caught:
            read(data, EXPLICIT_LITTLE_ENDIAN)
        assert caught.value.status == 0xC000


def test_status_is_the_item_s_own() -> None:
    assert found({"ScheduledProcedureStepStatus": "STARTED"}, item(status=StepStatus.STARTED))
