"""`[destinations.correction]`, and what it refuses."""

import tomllib

import pytest

from broker.environments.corrections import CorrectionSettings, Unsure, read_correction
from broker.environments.reading import Mistakes, TomlTable
from broker.errors import Misconfigured

WHOLE = 'attributes = ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"]'


def read(text: str) -> CorrectionSettings | None:
    mistakes = Mistakes("test.toml")
    table = TomlTable(tomllib.loads(text), mistakes)
    found = read_correction(table)
    table.finish()
    mistakes.stop()
    return found


def test_without_it_nothing_is_corrected() -> None:
    assert read("") is None


def test_what_is_unsure_is_sent_as_received_unless_it_is_to_be_held() -> None:
    attributes = ("PatientName", "AccessionNumber")
    named = 'correction = { attributes = ["PatientName", "AccessionNumber"]'
    assert read(named + " }") == CorrectionSettings(attributes, Unsure.SEND, Unsure.SEND)
    assert read(named + ', unmatched = "hold" }') == CorrectionSettings(attributes, Unsure.HOLD, Unsure.HOLD)
    assert read(named + ', other_patient = "hold" }') == CorrectionSettings(attributes, Unsure.SEND, Unsure.HOLD)


def test_another_patients_images_are_corrected_only_where_that_is_said_and_whole() -> None:
    found = read(f'[correction]\n{WHOLE}\nother_patient = "correct"')
    assert found is not None and found.other_patient is Unsure.CORRECT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('attributes = ["StudyInstanceUID"]', "StudyInstanceUID is never altered: other instances"),
        ('attributes = ["SOPInstanceUID"]', "would lose it"),
        ('attributes = ["IssuerOfPatientID"]', "goes with PatientID: name that"),
        ('attributes = ["PatientsName"]', "did you mean 'PatientName'"),
        ("attributes = []", "names no attribute"),
        ("", "correction.attributes: is missing"),
        ('attributes = ["PatientID"]\nother_patient = "correct"', "needs 'PatientName', 'PatientBirthDate'"),
        (f'{WHOLE}\nunmatched = "correct"', "impossible without an order"),
        (f'{WHOLE}\nunmached = "hold"', "unknown key: did you mean 'unmatched'"),
    ],
)
def test_a_mistake_is_named_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        read(f"[correction]\n{text}")
