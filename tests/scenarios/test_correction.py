"""One loop for several destinations: three get the order's patient, one what came, and the spool keeps what came."""

import io
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk, raw_sender
from tests.peers.broker import Environment
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, cut_part10, read_part10, send
from tests.scenarios.test_exam import image, study_of
from tests.scenarios.test_main_job import send_order
from tests.unit.delivery.correction.reading import EXPLICIT, ORIGINAL_ATTRIBUTES, but_for, dataset
from tests.unit.spool.reading import data_sets

pytestmark = [pytest.mark.foreign, pytest.mark.slow]

CINE = Path(__file__).parents[2] / "fixtures" / "dicom" / "us-cine-jpeg-30-frames.dcm"
DESTINATIONS = """\
[[destinations]]
name = "main-pacs"
protocol = "dimse"
host = "127.0.0.1"
port = {dimse}
ae_title = "ORTHANC"
correction = {{ attributes = [{attributes}] }}
[[destinations]]
name = "web"
protocol = "stow"
url = "http://127.0.0.1:{http}/dicom-web/"
correction = {{ attributes = [{attributes}], unmatched = "hold" }}
[[destinations]]
name = "plain"
protocol = "dimse"
host = "127.0.0.1"
port = {plain}
ae_title = "PACS"
[[destinations]]
name = "exact"
protocol = "dimse"
host = "127.0.0.1"
port = {exact}
ae_title = "PACS"
correction = {{ attributes = [{attributes}] }}
[[destinations]]
name = "off"
protocol = "dimse"
host = "127.0.0.1"
port = 1
ae_title = "OFF"
[[routes]]
to = ["main-pacs", "web", "plain", "exact", "off"]
"""
ATTRIBUTES = '"PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"'


def cine(study: str) -> DataSet:
    """Return a loop of JPEG frames as a console makes it: the order's study, and a name that was typed."""
    made = dcmread(CINE)
    made.StudyInstanceUID, made.PatientID, made.PatientName, made.AccessionNumber = study, "4711", "MUSTER EVA", ""
    stream = io.BytesIO()
    made.save_as(stream)
    return cut_part10(stream.getvalue())


def kept_by(pacs: Orthanc) -> dict[str, Dataset]:
    """Return what Orthanc keeps, by SOP Instance UID."""
    found = [dcmread(io.BytesIO(pacs.file(each))) for each in pacs.get("/instances")]
    return {str(one.SOPInstanceUID): one for one in found}


def settled(environment: Environment) -> bool:
    states = [one.state for one in environment.deliveries() if one.destination != "off"]
    return len(states) == 8 and set(states) <= {DeliveryState.DELIVERED, DeliveryState.HELD}


def check(found: Dataset, sent: DataSet) -> set[int]:
    """The order's patient, the old values told, and nothing else that differs; return the tags of what does."""
    assert (found.PatientID, str(found.PatientName), found.AccessionNumber) == ("4711", "Muster^Eva", "A1")
    (told,) = found.OriginalAttributesSequence
    assert (told.SourceOfPreviousValues, told.ReasonForTheAttributeModification) == ("US_ROOM2", "COERCE")
    assert str(told.ModifiedAttributesSequence[0].PatientName) == "MUSTER EVA"
    changed = {int(element.tag) for element in told.ModifiedAttributesSequence[0]} | {ORIGINAL_ATTRIBUTES}
    before = dataset(sent.data, EXPLICIT)
    assert {int(element.tag) for element in found} - changed == {int(element.tag) for element in before} - changed
    assert all(found[tag].value == before[tag].value for tag in before.keys() - changed)
    return changed


def test_archives_with_a_rule_get_the_orders_patient_and_the_other_what_came(tmp_path: Path) -> None:
    with (
        orthanc(tmp_path / "pacs") as pacs,
        orthanc(tmp_path / "web", ae_title="WEB") as web,
        dcmtk.storescp(tmp_path / "plain") as plain,
        dcmtk.storescp(tmp_path / "exact") as exact,
    ):
        ports = {"dimse": pacs.port, "http": web.http_port, "plain": plain.port, "exact": exact.port}
        toml = DESTINATIONS.format(**ports, attributes=ATTRIBUTES)
        environment = Environment(tmp_path, destinations=toml).write()
        with environment.serving():
            environment.register()
            send_order(environment, "A1", "T")
            sent = cine(study_of(environment))
            stranger = image(7, "1.2.3.4.5", PatientID="1", AccessionNumber="")
            assert send(environment.dicom, "US_ROOM2", sent) == 0
            assert send(environment.dicom, "US_ROOM2", stranger) == 0
            wait_for("all but one destination have it", lambda: settled(environment), 60)
            exam = environment.ask("exam", "show", "A1")
            text = environment.command("exam", "show", "A1").stdout
            held = [one for one in environment.deliveries() if one.state is DeliveryState.HELD]
        for archive in (pacs, web):
            check(kept_by(archive)[sent.sop_instance_uid], sent)
        copy = {item.sop_instance_uid: item.data for item in _files(tmp_path / "exact")}[sent.sop_instance_uid]
        changed = check(dataset(copy, EXPLICIT), sent)
        assert but_for(copy, EXPLICIT, changed) == but_for(sent.data, EXPLICIT, changed)
        assert {(item.sop_instance_uid, item.data) for item in _files(tmp_path / "plain")} == {
            (sent.sop_instance_uid, sent.data),
            (stranger.sop_instance_uid, stranger.data),
        }
        assert kept_by(pacs)[stranger.sop_instance_uid].PatientID == "1"
        assert stranger.sop_instance_uid not in kept_by(web)
    assert [(one.destination, one.reason.partition(";")[0]) for one in held] == [
        ("web", "not corrected: no order is known for it")
    ]
    assert data_sets(tmp_path / "state-test" / "spool") == {sent.data, stranger.data}
    _told(exam, text)
    log = environment.log.read_text()
    assert log.count('"event": "destination.corrects"') == 3
    assert log.count('"event": "delivery.corrected"') == 3
    assert "muster" not in log.lower()


def _files(folder: Path) -> list[raw_sender.DataSet]:
    return [read_part10(file) for file in folder.iterdir()]


def _told(exam: Any, text: str) -> None:
    lines = [line["text"] for line in exam["lines"] if "corrected" in line["text"]]
    keywords = "PatientName, PatientBirthDate, PatientSex, AccessionNumber"
    assert [line.partition(": ")[0] for line in lines] == [
        "1 corrected on the way to exact",
        "1 corrected on the way to main-pacs",
        "1 corrected on the way to web",
    ]
    assert all(keyword in line for keyword in keywords.split(", ") for line in lines), lines
    assert "corrected on the way to main-pacs" in " ".join(text.split())


ONE = """\
[[destinations]]
name = "exact"
protocol = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "PACS"
correction = {{ attributes = [{attributes}] }}
[[routes]]
to = ["exact"]
"""


def test_a_copy_that_is_sent_again_after_an_end_is_the_same_copy(tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "exact", unique=True) as exact:
        toml = ONE.format(port=exact.port, attributes=ATTRIBUTES)
        environment = Environment(tmp_path, destinations=toml).write()
        # The archive has answered, and the answer is lost with the process.
        first = environment.start(BROKER_TEST_HOOKS="1", BROKER_FAIL="store.send.after:1:killall")
        try:
            environment.register()
            send_order(environment, "A1", "T")
            sent = cine(study_of(environment))
            assert send(environment.dicom, "US_ROOM2", sent) == 0
            wait_for("the failpoint was passed", lambda: first.process.poll() is not None, 20)
        finally:
            first.kill()
        with environment.serving():
            wait_for("it has it", lambda: _is_delivered(environment), 60)
            (delivery,) = environment.deliveries()
            shown = environment.ask("delivery", "show", str(delivery.id))
        copies = [item.data for item in _files(tmp_path / "exact")]
    assert len(copies) == 2
    assert copies[0] == copies[1] != sent.data
    assert shown["correction"].startswith("corrected by order 1: ")


def _is_delivered(environment: Environment) -> bool:
    return [one.state for one in environment.deliveries()] == [DeliveryState.DELIVERED]
