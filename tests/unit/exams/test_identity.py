"""Whether an image is its order's, as a table."""

from datetime import UTC, datetime

import pytest

from broker.exams.identity import alert_text, disagreements, hold_reason, nearest
from broker.exams.model import Expected
from tests.unit.exams.building import instance

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
EXPECTED = Expected(1, frozenset({"4711", "9004"}), frozenset({"A1"}), frozenset({"1.2.3"}))


@pytest.mark.parametrize(
    ("changes", "keywords"),
    [
        ({}, ()),
        ({"patient_id": "9004"}, ()),  # a former identifier of the merged patient
        ({"patient_id": "", "accession_number": ""}, ()),  # no statement
        ({"patient_id": "4712"}, ("PatientID",)),
        ({"patient_id": "04711"}, ("PatientID",)),
        ({"accession_number": "A2"}, ("AccessionNumber",)),
        ({"study_instance_uid": "1.2.4"}, ("StudyInstanceUID",)),
        ({"patient_id": "1", "accession_number": "2", "study_instance_uid": "3"},
         ("PatientID", "AccessionNumber", "StudyInstanceUID")),
    ],
)  # fmt: skip
def test_what_disagrees_is_named_by_keyword(changes: dict[str, str], keywords: tuple[str, ...]) -> None:
    assert disagreements(instance(1, NOW, **changes), EXPECTED) == keywords


def test_what_an_order_does_not_state_is_no_expectation() -> None:
    assert disagreements(instance(1, NOW), Expected(1)) == ()


def test_of_orders_that_share_a_study_one_that_agrees_is_enough() -> None:
    other = Expected(2, EXPECTED.patient_ids, frozenset({"A2"}), EXPECTED.study_instance_uids)
    assert nearest(instance(1, NOW, accession_number="A2"), [EXPECTED, other]) == (other, ())
    assert nearest(instance(1, NOW, accession_number="A3"), [EXPECTED, other])[1] == ("AccessionNumber",)
    assert nearest(instance(1, NOW), []) == (None, ())


def test_people_are_told_keywords_and_no_value() -> None:
    for text in (alert_text(7, ("PatientID",), held=True), hold_reason(7, ("PatientID", "AccessionNumber"))):
        assert "PatientID" in text
        assert "4711" not in text
        assert "7" in text
    assert hold_reason(7, ("PatientID",)).startswith("PatientID of the image disagrees with order 7:")
