"""The life of an exam: ordered, asked for by DCMTK, stored, delivered to a folder; the ledger tells it all."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.peers.broker import Environment
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, send
from tests.scenarios.test_main_job import accessions, delivered, send_order

pytestmark = pytest.mark.foreign

FOLDER = """\
[[destinations]]
name = "archive"
protocol = "folder"
path = "archive"
[[routes]]
to = ["archive"]
[exams]
quiet_minutes = 1
{exams}
"""
IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT = "1.2.840.10008.1.2.1"


def image(number: int, study: str, **changes: str) -> DataSet:
    """An ultrasound image of the order of `send_order`, as its console would make it."""
    made = Dataset()
    values = {
        "SOPClassUID": IMAGE,
        "SOPInstanceUID": f"1.2.826.0.1.3680043.9.77.{number}",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"1.2.826.0.1.3680043.9.7{number % 2}",
        "PatientID": "4711",
        "PatientName": "Muster^Eva",
        "AccessionNumber": "A1",
        "Modality": "US",
    }
    for keyword, value in (values | changes).items():
        setattr(made, keyword, value)
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, made)
    return DataSet(IMAGE, values["SOPInstanceUID"], EXPLICIT, stream.getvalue())


def study_of(environment: Environment) -> str:
    (item,) = environment.ask("worklist", "list")
    return str(item["study_instance_uid"])


def test_the_ledger_tells_the_whole_life_of_an_exam_with_its_numbers(tmp_path: Path) -> None:
    environment = Environment(tmp_path, destinations=FOLDER.format(exams="")).write()
    with environment.serving():
        environment.register()
        send_order(environment, "A1", "T")
        for _ in range(2):
            assert accessions(environment) == {"A1"}
        study = study_of(environment)
        for number in range(1, 4):
            assert send(environment.dicom, "US_ROOM2", image(number, study)) == 0
        wait_for("all delivered", lambda: delivered(environment, 3))
        exam = environment.ask("exam", "show", "A1")
        text = environment.command("exam", "show", "A1").stdout
        (listed,) = environment.ask("exam", "list", "--day", "2026-02-01")
    stages = exam["stages"]
    assert {name: stage["mark"] for name, stage in stages.items()} == {
        "ordered": "done",
        "offered": "done",
        "started": "done",
        "completed": "partly",  # no MPPS, and something came a moment ago
        "received": "partly",
        "delivered": "done",
        "proven": "not asked",
        "reported": "not asked",
    }
    assert (stages["offered"]["count"], stages["received"]["count"]) == (2, 3)
    assert (stages["delivered"]["count"], stages["delivered"]["of"]) == (3, 3)
    assert listed["stages"] == stages
    for words in ("ORM^O01 A1", "answered 2 times", "us-room-2", "no MPPS", "3 images, 2 series", "3 of 3 delivered"):
        assert words in text, text
    assert len(list((tmp_path / "archive").iterdir())) == 3


def test_an_image_of_another_patient_is_counted_by_keyword(tmp_path: Path) -> None:
    environment = Environment(tmp_path, destinations=FOLDER.format(exams="")).write()
    with environment.serving():
        environment.register()
        send_order(environment, "A1", "T")
        study = study_of(environment)
        assert send(environment.dicom, "US_ROOM2", image(1, study)) == 0
        assert send(environment.dicom, "US_ROOM2", image(2, study, PatientID="4712")) == 0
        exam = environment.ask("exam", "show", "A1")
    assert exam["stages"]["received"]["mark"] == "person"
    assert any("1 disagrees with the order in PatientID" in line["text"] for line in exam["lines"])


def test_an_image_of_another_patient_is_held_where_the_profile_says_so(tmp_path: Path) -> None:
    environment = Environment(tmp_path, destinations=FOLDER.format(exams='identity = "hold"')).write()
    with environment.serving():
        environment.register()
        send_order(environment, "A1", "T")
        study = study_of(environment)
        assert send(environment.dicom, "US_ROOM2", image(1, study)) == 0
        assert send(environment.dicom, "US_ROOM2", image(2, study, PatientID="4712")) == 0
        wait_for("the right one is delivered", (tmp_path / "archive").is_dir)
        (held,) = environment.ask("delivery", "list", "--state", "held")
        (alert,) = [each for each in environment.ask("alert", "list") if each["event"] == "exam.identity"]
        assert "PatientID" in alert["text"]
        assert "4712" not in alert["text"]
        assert environment.ask("exam", "show", "A1")["stages"]["delivered"]["mark"] == "person"
        assert environment.command("delivery", "release", str(held["id"])).returncode == 0
        wait_for("both are delivered", lambda: delivered(environment, 2))
