"""Storage commitment in the running product: Orthanc and a scripted PACS prove, Orthanc and a console ask."""

from pathlib import Path
from typing import Any

import pytest

from broker.database import Database, sqlite_url
from broker.spool import store as spool_index
from tests.peers.archive import Archive, Where, archive
from tests.peers.broker import Environment, destination
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import free_port, wait_for
from tests.peers.raw_sender import DataSet, read_part10, send
from tests.scenarios.test_main_job import images

pytestmark = pytest.mark.foreign

COMMITMENT = 'proof = "commitment"'


def spooled(environment: Environment) -> int:
    """How many instances the spool's index holds."""
    database = Database(environment.database_url or sqlite_url(environment.folder / "state-test" / "broker.db"))
    try:
        with database.read() as tx:
            return spool_index.counts(tx).instances
    finally:
        database.close()


def files(environment: Environment) -> list[Path]:
    return list((environment.folder / "state-test" / "spool").rglob("*.dcm"))


def sent(environment: Environment, count: int = 3) -> list[DataSet]:
    items = [read_part10(file) for file in images()][:count]
    for item in items:
        assert send(environment.dicom, "US_ROOM2", item) == 0
    return items


def test_orthanc_commits_what_it_was_sent_and_then_the_spool_lets_it_go(tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        toml = destination("main-pacs", pacs.port, "ORTHANC", COMMITMENT)
        environment = Environment(tmp_path, destinations=toml).write()
        with environment.serving():
            pacs.know("broker", "BROKER_TEST", environment.ports["dicom"])
            environment.register()
            items = sent(environment)
            wait_for("the spool is empty", lambda: spooled(environment) == 0, 30)
            wait_for("no file is left", lambda: not files(environment))
            rows: list[dict[str, Any]] = []
        log = environment.log.read_text()
    assert log.count("delivery.proven")
    assert "report.taken" in log and "report.unknown" not in log


def asks(pacs: Orthanc, items: list[DataSet], modality: str = "broker") -> str:
    """Have Orthanc, as a device, ask for storage commitment; return the path of what becomes of it."""
    instances = [[item.sop_class_uid, item.sop_instance_uid] for item in items]
    asked = pacs.call("POST", f"/modalities/{modality}/storage-commitment", {"DicomInstances": instances})
    return str(asked["Path"])


DEVICE = """\
name = "us-room-2"
modality = "US"
ae_titles = ["US_ROOM2", "ORTHANC"]
[commitment]
mode = "{mode}"
"""


def test_orthanc_as_a_device_is_told_what_we_keep_and_what_we_never_had(tmp_path: Path) -> None:
    environment = Environment(tmp_path).write()
    with orthanc(tmp_path / "orthanc") as device, environment.serving():
        environment.register(DEVICE.format(mode="own"))
        bound = environment.command("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(device.port))
        assert bound.returncode == 0, bound.stderr
        device.know("broker", "BROKER_TEST", environment.ports["dicom"])
        items = sent(environment)
        path = asks(device, items)
        wait_for("the report came", lambda: device.get(path)["Status"] != "Pending", 30)
        report = device.get(path)
    assert report["Status"] == "Success"
    assert {each["SOPInstanceUID"] for each in report["Success"]} == {item.sop_instance_uid for item in items}
    assert report["Failures"] == []
