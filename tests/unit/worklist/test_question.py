"""What consoles ask again and again is prepared once, and means the same."""

from dataclasses import replace

import pytest

from broker.registry.model import Habits
from broker.worklist.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from broker.worklist.encoding import encoded_elements
from broker.worklist.model import Viewer
from broker.worklist.query import BadQuery, read
from broker.worklist.question import question
from tests.unit.worklist.building import US1, identifier, item

SYNTAX = IMPLICIT_LITTLE_ENDIAN
ASKED = identifier({"Modality": "us"}, PatientName="MUST*", StudyInstanceUID="")


def test_the_same_bytes_of_the_same_viewer_are_read_once() -> None:
    again = ASKED[:1] + ASKED[1:]
    assert question(ASKED, SYNTAX, US1) is question(again, SYNTAX, replace(US1))
    assert question(ASKED, SYNTAX, US1).query == read(ASKED, SYNTAX, US1.habits)


def test_another_viewer_or_syntax_is_another_question() -> None:
    strict = replace(US1, habits=Habits(lenient_lists=False))
    several = identifier({"Modality": "US\\IVUS"}, PatientName="")
    assert question(several, SYNTAX, US1).query.keys
    with pytest.raises(BadQuery):
        question(several, SYNTAX, strict)
    explicit = identifier({"Modality": "us"}, EXPLICIT_LITTLE_ENDIAN, PatientName="MUST*", StudyInstanceUID="")
    stored = replace(item(), encoded=encoded_elements(item()))
    answers = [
        question(*each, US1).answers.encode(stored) for each in ((ASKED, SYNTAX), (explicit, EXPLICIT_LITTLE_ENDIAN))
    ]
    assert answers[0].identifier != answers[1].identifier


def test_an_item_that_has_changed_is_answered_as_it_is_now() -> None:
    answers = question(ASKED, SYNTAX, US1).answers
    before, after = (replace(one, encoded=encoded_elements(one)) for one in (item(), item(patient_name="Muster^Ada")))
    assert answers.encode(before) is answers.encode(replace(before))
    assert b"Muster^Ada" in answers.encode(after).identifier


def test_a_station_beside_it_is_not_answered_with_the_other_ones_titles() -> None:
    keys = identifier({"ScheduledStationAETitle": ""}, PatientName="")
    made = encoded_elements(item())
    titles = [replace(item(), encoded=made, scheduled_station_ae_titles=(title,)) for title in ("US1", "US2")]
    found = [question(keys, SYNTAX, US1).answers.encode(each).identifier for each in titles]
    assert b"US1" in found[0]
    assert b"US2" in found[1]


@pytest.mark.parametrize("length", [10, 5_000])
def test_a_bad_identifier_is_bad_each_time(length: int) -> None:
    for _ in range(2):
        with pytest.raises(BadQuery):
            question(b"\xff" * length, SYNTAX, Viewer())


def test_a_long_identifier_is_read_and_not_kept() -> None:
    long = identifier(PatientName="", PatientID="\\".join("1234567" for _ in range(250)), OtherPatientIDs="x" * 6_000)
    assert question(long, SYNTAX, US1) is not question(long, SYNTAX, US1)
