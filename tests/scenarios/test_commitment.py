"""Storage commitment in the running product: Orthanc and a scripted PACS prove, Orthanc and a console ask."""

from pathlib import Path

import pytest
from pydicom import Dataset

from broker.database import Database, sqlite_url
from broker.spool import store as spool_index
from tests.peers.archive import INSTANCE, PUSH, Where, archive
from tests.peers.broker import Environment, destination
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import wait_for
from tests.peers.raw_sender import DataSet, read_part10, send
from tests.scenarios.kills import tried
from tests.scenarios.test_main_job import images
from tests.unit.spool.reading import left
from tests.wire.commitment_world import Console, action, committed

pytestmark = pytest.mark.foreign

COMMITMENT = 'proof = "commitment"'


def spooled(environment: Environment) -> int:
    """How many instances the spool's index holds, with all that was answered before."""
    environment.await_index()
    database = Database(environment.database_url or sqlite_url(environment.folder / "state-test" / "broker.db"))
    try:
        with database.read() as tx:
            return spool_index.counts(tx).instances
    finally:
        database.close()


def files(environment: Environment) -> list[str]:
    return left(environment.folder / "state-test" / "spool")


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
            rows = environment.ask("commitment", "list")
            proven = environment.ask("commitment", "proofs", "--state", "proven")
            (shown,) = [environment.ask("delivery", "show", str(row["delivery"])) for row in proven[:1]]
        log = environment.log.read_text()
    assert sum(row["committed"] for row in rows) == len(items)
    assert (shown["proof"]["by"], shown["proof"]["state"], len(proven)) == ("commitment", "proven", len(items))
    assert "report.taken" in log and "report.unknown" not in log


@pytest.mark.parametrize("by", ["find", "qido"])
def test_orthanc_is_asked_by_a_query_where_it_is_not_to_commit(tmp_path: Path, by: str) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        url = f'proof_url = "http://127.0.0.1:{pacs.http_port}/dicom-web"' if by == "qido" else ""
        toml = destination("main-pacs", pacs.port, "ORTHANC", f'proof = "{by}"\n{url}')
        environment = Environment(tmp_path, destinations=toml).write()
        with environment.serving():
            pacs.know("broker", "BROKER_TEST", environment.ports["dicom"])
            environment.register()
            items = sent(environment)
            wait_for("the spool is empty", lambda: spooled(environment) == 0, 30)
            proven = environment.ask("commitment", "proofs", "--state", "proven")
    assert {row["sop_instance_uid"] for row in proven} == {item.sop_instance_uid for item in items}


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


def test_orthanc_as_a_device_is_told_by_proxy_when_orthanc_as_a_pacs_has_committed(tmp_path: Path) -> None:
    with (
        orthanc(tmp_path / "pacs", ae_title="PACS") as pacs,
        orthanc(tmp_path / "device", ae_title="ORTHANC") as device,
    ):
        environment = Environment(
            tmp_path, destinations=destination("main-pacs", pacs.port, "PACS", COMMITMENT)
        ).write()
        with environment.serving():
            environment.register(DEVICE.format(mode="proxy"))
            environment.command("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(device.port))
            for one in (pacs, device):
                one.know("broker", "BROKER_TEST", environment.ports["dicom"])
            items = sent(environment)
            path = asks(device, items)
            wait_for("the report came", lambda: device.get(path)["Status"] != "Pending", 30)
            report = device.get(path)
            (request,) = [row for row in environment.ask("commitment", "list") if row["by"] == "us-room-2"]
    assert (report["Status"], len(report["Success"])) == ("Success", len(items))
    assert (request["state"], request["committed"]) == ("reported", len(items))


# --- an end at any point -----------------------------------------------------------------------------------------

POINTS = [
    f"{place}.{side}:{nth}"
    for place, nth in (
        ("delivery-outcome.commit", 1),
        ("proof.commit", 2),  # the first is of the start
        ("commitment.ask", 1),
        ("proof.commit", 3),
        ("proof.commit", 4),
        ("commitment.commit", 1),
        ("normalized.answer", 1),
        ("commitment.commit", 2),
        ("commitment-report.commit", 2),
        ("commitment.report", 1),
        ("commitment-report.commit", 3),
    )
    for side in ("before", "after")
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom's sockets, cut by the kill
@pytest.mark.parametrize("point", tried(POINTS, 7))
def test_killed_between_proof_and_report_and_started_again_all_is_proven_and_reported(
    tmp_path: Path, point: str
) -> None:
    console, offset = Console(title="US_ROOM2"), tmp_path / "offset"
    with archive(where=Where.SAME) as pacs, console.listening() as port:
        toml = destination("main-pacs", pacs.port, "PACS", COMMITMENT) + "[commitment]\nwait_seconds = 2\n"
        environment = Environment(tmp_path, destinations=toml).write()
        hooks = {"BROKER_TEST_HOOKS": "1", "BROKER_CLOCK_OFFSET_FILE": str(offset)}
        first = environment.start(BROKER_FAIL=f"{point}:killall", **hooks)
        try:
            environment.register()
            environment.command("modality", "bind", "us-room-2", "--host", "127.0.0.1", "--port", str(port))
            items = sent(environment, 2)  # pynetdicom does not store the third, of a retired class
            uids = [item.sop_instance_uid for item in items]
            asked = _asked(console, environment, items)
            wait_for("the failpoint was passed", lambda: first.process.poll() is not None, 30)
        finally:
            first.kill()
        with environment.serving(**hooks):
            if not asked:  # as every modality does
                assert _asked(console, environment, items)
            wait_for("it is proven", lambda: spooled(environment) == 0 or _later(offset), 40)
            wait_for("it is reported", lambda: console.reports or _later(offset), 40)
        assert files(environment) == []
    assert all(len(pacs.stored[uid]) >= 1 for uid in uids)
    assert all(committed(information) == set(uids) for _, _, information in console.reports)


def _later(offset: Path) -> bool:
    """Let the clock run ahead, for what is due in an hour; never true, so that a wait may call it."""
    ahead = float(offset.read_text()) if offset.exists() else 0.0
    offset.write_text(str(ahead + 60))
    return False


def _asked(console: Console, environment: Environment, items: list[DataSet]) -> bool:
    """Ask for commitment; tell whether the request was answered."""
    asked = action("2.25.4711")
    for item in items:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
        asked.ReferencedSOPSequence.append(one)
    try:
        with console.calling(environment.ports["dicom"], "BROKER_TEST") as association:
            status, _ = association.send_n_action(asked, 1, PUSH, INSTANCE)
    except (AssertionError, RuntimeError):
        return False
    return "Status" in status and status.Status == 0x0000
