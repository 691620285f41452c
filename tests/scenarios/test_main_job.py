"""The main job from end to end: the product as processes, DCMTK as ultrasound and as PACS."""

import time
from pathlib import Path

import pytest

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk
from tests.peers.broker import Environment, destination
from tests.peers.processes import wait_for
from tests.peers.raw_sender import read_part10

pytestmark = pytest.mark.foreign

FIXTURES = Path(__file__).parents[2] / "fixtures"

ORDER = (
    "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260201080000+0100||ORM^O01|{control}|{world}|2.3.1||||||8859/1\r"
    "PID|||4711^^^HOSP||Muster^Eva||19800229|F\r"
    "PV1||O|||||||77^Refer^Rita\r"
    "ORC|NW|P100^HIS|F200^RIS||SC||^^^20260201093000^^S\r"
    "OBR|1|P100|F200|USABD^Abdomen US^L||||||||||||16^Order^Olga||{accession}|RP200|S1||||US\r"
)
KEYS = (
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyInstanceUID",
    "ScheduledProcedureStepSequence[0].Modality=US",
)


def send_order(environment: Environment, accession: str, world: str) -> None:
    file = environment.folder / f"{accession}.hl7"
    file.write_bytes(ORDER.format(control=accession, accession=accession, world=world).encode("latin-1"))
    result = environment.command("order", "send", file)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "AA" in result.stdout


def accessions(environment: Environment) -> set[str]:
    """What an ultrasound's console shows."""
    found = dcmtk.findscu(environment.dicom, "US_ROOM2", KEYS)
    assert found.returncode == 0, found.stderr
    lines = [line for line in (found.stdout + found.stderr).splitlines() if "(0008,0050)" in line and "[" in line]
    return {line.split("[")[1].split("]")[0].strip() for line in lines}


def delivered(environment: Environment, count: int) -> bool:
    states = [delivery.state for delivery in environment.deliveries()]
    return len(states) == count and set(states) == {DeliveryState.DELIVERED}


def images() -> list[Path]:
    return sorted((FIXTURES / "dicom").glob("*.dcm"))


def test_an_order_becomes_a_worklist_entry_and_its_images_reach_the_pacs_in_both_worlds(tmp_path: Path) -> None:
    with (
        dcmtk.storescp(tmp_path / "test-pacs", ae_title="TEST_PACS") as test_pacs,
        dcmtk.storescp(tmp_path / "pacs", ae_title="PACS") as pacs,
    ):
        routed = destination("main-pacs", test_pacs.port, "TEST_PACS")
        test = Environment(tmp_path, destinations=routed, is_installed=True).write()
        routed = destination("main-pacs", pacs.port)
        production = Environment(
            tmp_path, "production", "production", "BROKER", destinations=routed, is_installed=True
        ).write()
        with test.serving(), production.serving():
            for environment, accession, world in ((test, "A-TEST", "T"), (production, "A-PROD", "P")):
                environment.register()
                send_order(environment, accession, world)
                assert accessions(environment) == {accession}
                sent = dcmtk.dcmsend(environment.dicom, "US_ROOM2", images())
                assert sent.returncode == 0, sent.stderr
                wait_for("all delivered", lambda e=environment: delivered(e, len(images())))
    received = [_contents(tmp_path / folder) for folder in ("test-pacs", "pacs")]
    assert received[0] == received[1]  # dcmsend re-encodes some: what its bytes become is the corpus test's matter
    assert {uid for uid, _ in received[0]} == {read_part10(file).sop_instance_uid for file in images()}


def _contents(folder: Path) -> set[tuple[str, bytes]]:
    return {(item.sop_instance_uid, item.data) for item in map(read_part10, folder.iterdir())}


def test_a_restart_picks_up_where_it_was(tmp_path: Path) -> None:
    environment = Environment(tmp_path, is_installed=True).write()
    with environment.serving():
        environment.register()
        send_order(environment, "A1", "T")
    with environment.serving():
        assert accessions(environment) == {"A1"}


def test_a_device_that_is_registered_later_sees_an_earlier_order(tmp_path: Path) -> None:
    environment = Environment(tmp_path).write()
    with environment.serving():
        send_order(environment, "A1", "T")
        refused = dcmtk.echoscu(environment.dicom, "US_ROOM2")
        assert refused.returncode != 0
        assert "Calling AE Title Not Recognized" in refused.stdout + refused.stderr
        environment.register()
        assert accessions(environment) == {"A1"}


def test_a_refused_device_is_told_why_and_the_nearest_title_is_named(tmp_path: Path) -> None:
    environment = Environment(tmp_path).write()
    with environment.serving():
        environment.register()
        assert dcmtk.echoscu(environment.dicom, "us_room2").returncode != 0
        wrong = dcmtk.Node(environment.ports["dicom"], "BROKER")
        answer = dcmtk.echoscu(wrong, "US_ROOM2")
        assert "Called AE Title Not Recognized" in answer.stdout + answer.stderr
        called, calling = environment.ask("rejection", "list")
    assert calling["nearest"] == "US_ROOM2"
    assert "upper and lower case" in calling["reason"]
    assert "BROKER_TEST" in called["reason"]


def test_serve_stops_cleanly_while_a_device_holds_an_association(tmp_path: Path) -> None:
    environment = Environment(tmp_path, is_installed=True).write()
    serving = environment.start()
    environment.register()
    assert dcmtk.echoscu(environment.dicom, "US_ROOM2").returncode == 0
    began = time.monotonic()
    serving.stop()
    assert time.monotonic() - began < 20


def test_the_whole_job_runs_on_postgresql_too(tmp_path: Path, postgresql_url: str) -> None:
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        environment = Environment(
            tmp_path, destinations=destination("main-pacs", pacs.port), database_url=postgresql_url
        ).write()
        with environment.serving():
            environment.register()
            send_order(environment, "A1", "T")
            assert accessions(environment) == {"A1"}
            assert dcmtk.dcmsend(environment.dicom, "US_ROOM2", images()).returncode == 0
            wait_for("all delivered", lambda: delivered(environment, len(images())))
