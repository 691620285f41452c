"""A PACS that is down, and a broker that is killed: everything arrives, nothing twice."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from broker.delivery.model import DeliveryState
from tests.peers import dcmtk
from tests.peers.broker import Environment, destination
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import free_port, wait_for
from tests.peers.raw_sender import DataSet, read_part10, send
from tests.scenarios.kills import tried
from tests.scenarios.test_main_job import delivered, images
from tests.unit.spool.reading import found, left

pytestmark = pytest.mark.foreign


def test_orthanc_shows_what_was_stored_while_it_was_down_and_nothing_twice(tmp_path: Path) -> None:
    port = free_port()
    environment = Environment(tmp_path, destinations=destination("main-pacs", port, "ORTHANC")).write()
    items = [read_part10(file) for file in images()]
    with environment.serving():
        environment.register()
        for item in items:
            assert send(environment.dicom, "US_ROOM2", item) == 0
        wait_for("the outage is seen", lambda: "destination.failed" in environment.log.read_text())
        rows = environment.ask("delivery", "list")
        assert {row["state"] for row in rows} == {"waiting"}
        assert all("nothing listens on the port" in row["why"] for row in rows)
        with orthanc(tmp_path / "orthanc", port) as pacs:
            wait_for("all delivered", lambda: delivered(environment, len(items)), 60)
            _shows(pacs, items)
            changes = pacs.get("/changes?limit=1000")["Changes"]
            assert len([change for change in changes if change["ChangeType"] == "NewInstance"]) == len(items)


def _shows(pacs: Orthanc, items: list[DataSet]) -> None:
    """Check what a person would look for: the counts, each patient, each accession number."""
    sent = [_read(item) for item in items]
    statistics = pacs.statistics()
    assert statistics["CountInstances"] == len(items)
    assert statistics["CountSeries"] == len({data_set.SeriesInstanceUID for data_set in sent})
    assert statistics["CountStudies"] == len({data_set.StudyInstanceUID for data_set in sent})
    studies = pacs.get("/studies?expand")
    shown = {
        (
            study["MainDicomTags"]["StudyInstanceUID"],
            study["PatientMainDicomTags"].get("PatientID", ""),
            study["MainDicomTags"].get("AccessionNumber", ""),
        )
        for study in studies
    }
    assert shown == {(d.StudyInstanceUID, d.get("PatientID", ""), d.get("AccessionNumber", "")) for d in sent}
    instances = {instance["MainDicomTags"]["SOPInstanceUID"] for instance in pacs.get("/instances?expand")}
    assert instances == {item.sop_instance_uid for item in items}


def _read(item: DataSet) -> Dataset:
    implicit = item.transfer_syntax == "1.2.840.10008.1.2"
    return read_dataset(BytesIO(item.data), implicit, True, stop_when=lambda tag, _vr, _length: tag > 0x00200010)


POINTS = [
    *(f"segment.{verb}.{side}" for verb in ("prewrite", "rename", "syncdir", "write") for side in ("before", "after")),
    *(f"segment.sync.{side}" for side in ("before", "after")),
    *(f"spool-index.commit.{side}" for side in ("before", "after")),
    *(f"store.answer.{side}" for side in ("before", "after")),
    *(f"delivery-lease.commit.{side}" for side in ("before", "after")),
    *(f"store.send.{side}" for side in ("before", "after")),
    *(f"delivery-outcome.commit.{side}" for side in ("before", "after")),
    *(f"segment.mark.{side}" for side in ("before", "after")),
]


@pytest.mark.slow
@pytest.mark.parametrize("point", tried(POINTS, 3))
def test_killed_between_receipt_and_forwarding_and_started_again_all_is_delivered(tmp_path: Path, point: str) -> None:
    with dcmtk.storescp(tmp_path / "pacs") as pacs:
        environment = Environment(tmp_path, destinations=destination("main-pacs", pacs.port)).write()
        first = environment.start(BROKER_TEST_HOOKS="1", BROKER_FAIL=f"{point}:1:killall")
        items = [read_part10(file) for file in images()]
        try:
            environment.register()
            unanswered = [item for item in items if not _answered(environment, item)]
            wait_for("the failpoint was passed", lambda: first.process.poll() is not None, 20)
        finally:
            first.kill()
        with environment.serving():
            for item in unanswered:  # as every modality does
                assert send(environment.dicom, "US_ROOM2", item) == 0
            wait_for("all delivered", lambda: _all_delivered(environment), 30)
            # The PACS is found not to prove anything; then what was delivered goes.
            wait_for("the spool is empty", lambda: not left(_spool(environment)), 20)
    received = [read_part10(file).data for file in (tmp_path / "pacs").iterdir()]
    assert sorted(received) == sorted(item.data for item in items)


def _spool(environment: Environment) -> Path:
    return environment.folder / f"state-{environment.name}" / "spool"


def _answered(environment: Environment, item: object) -> bool:
    try:
        return send(environment.dicom, "US_ROOM2", item, timeout=5.0) == 0  # type: ignore[arg-type]
    except (OSError, AssertionError):
        return False


def _all_delivered(environment: Environment) -> bool:
    states = [delivery.state for delivery in environment.deliveries()]
    return len(states) >= len(images()) and set(states) == {DeliveryState.DELIVERED}


def test_a_part_that_dies_is_started_again_on_the_same_ports(tmp_path: Path) -> None:
    environment = Environment(tmp_path).write()
    item = read_part10(images()[0])
    with environment.serving(BROKER_TEST_HOOKS="1", BROKER_FAIL="segment.sync.before:1:kill"):
        environment.register()
        assert not _answered(environment, item)
        wait_for("it answers again", lambda: dcmtk.echoscu(environment.dicom, "US_ROOM2").returncode == 0)
        assert send(environment.dicom, "US_ROOM2", item) == 0


def test_an_instance_without_a_route_is_parked_and_told_and_kept(tmp_path: Path) -> None:
    environment = Environment(tmp_path).write()
    item = read_part10(images()[0])
    with environment.serving():
        environment.register()
        assert send(environment.dicom, "US_ROOM2", item) == 0
        wait_for("it is indexed", environment.deliveries)
        (row,) = environment.ask("delivery", "list")
        (alert,) = environment.ask("alert", "list")
    assert (row["state"], row["destination"]) == ("parked", "no-route")
    assert alert["event"] == "delivery.no-route"
    assert len(found(tmp_path / "state-test" / "spool")) == 1


def test_an_instance_that_was_damaged_on_disk_is_healed_by_sending_it_again(tmp_path: Path) -> None:
    port = free_port()
    environment = Environment(tmp_path, destinations=destination("main-pacs", port)).write()
    item = read_part10(images()[0])
    with environment.serving():
        environment.register()
        assert send(environment.dicom, "US_ROOM2", item) == 0
        wait_for("it is indexed", environment.deliveries)
        (file,) = (tmp_path / "state-test" / "spool").rglob("*.seg")
        content = bytearray(file.read_bytes())
        content[content.index(item.data) + len(item.data) - 1] ^= 1
        file.write_bytes(content)
        assert send(environment.dicom, "US_ROOM2", item) == 0
        with dcmtk.storescp(tmp_path / "pacs", port):
            wait_for("one arrives", lambda: DeliveryState.DELIVERED in {d.state for d in environment.deliveries()}, 30)
            wait_for("one is parked", lambda: DeliveryState.PARKED in {d.state for d in environment.deliveries()}, 30)
        events = {alert["event"] for alert in environment.ask("alert", "list")}
    (arrived,) = (tmp_path / "pacs").iterdir()
    assert read_part10(arrived).data == item.data
    assert "spool.damaged" in events
