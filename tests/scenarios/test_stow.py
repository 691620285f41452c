"""The product stores by STOW-RS: Orthanc as the PACS, HAProxy before it, and every file of the sample corpus."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.delivery.http_answers import Unreached
from broker.delivery.model import DeliveryState
from broker.delivery.senders.outcome import Answered, Listed, Unanswered
from broker.environments.model import CallTls
from tests.peers.broker import COMMAND, Environment
from tests.peers.certificates import Authority, Issued
from tests.peers.haproxy import haproxy
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.processes import run, wait_for
from tests.peers.raw_sender import DataSet, cut_part10, read_part10, send
from tests.peers.web import Got, Reply, http, stated, web
from tests.scenarios.kills import tried
from tests.scenarios.test_main_job import FIXTURES, delivered, images
from tests.unit.delivery.senders.desk import desk

pytestmark = pytest.mark.foreign

LOGIN = "broker:hunter2"


@dataclass(frozen=True)
class Hospital:
    """Who issues, and what was issued."""

    authority: Authority
    front: Issued
    broker: Issued

    @property
    def keys(self) -> str:
        return (
            f'tls = {{ certificate = "{self.broker.certificate}", key = "{self.broker.key}", '
            f'trusted = "{self.authority.certificate}" }}'
        )

    @property
    def call(self) -> CallTls:
        return CallTls(self.broker.certificate, self.broker.key, self.authority.certificate)


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    with orthanc(tmp_path / "orthanc", login=LOGIN) as server:
        yield server


def destination(url: str, folder: Path, keys: str = "") -> str:
    """Return the TOML of a destination by STOW-RS with Orthanc's login, to which everything is routed."""
    secret = folder / "password"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(LOGIN.partition(":")[2] + "\n")
    return (
        f'[[destinations]]\nname = "cloud"\nprotocol = "stow"\nurl = "{url}"\n{keys}\n'
        f'login = {{ method = "basic", user = "broker", password = {{ file = "{secret}" }} }}\n'
        '[[routes]]\nto = ["cloud"]\n'
    )


def settled(environment: Environment) -> bool:
    ended = (DeliveryState.DELIVERED, DeliveryState.PARKED)
    return all(delivery.state in ended for delivery in environment.deliveries())


def kept(pacs: Orthanc) -> dict[str, bytes]:
    """Return the data set of each instance that Orthanc has, by SOP Instance UID, as WADO-RS gives it."""
    found = {}
    for row in pacs.get("/instances?expand"):
        tags = pacs.get(f"/instances/{row['ID']}/tags?simplify")
        uids = (tags.get("StudyInstanceUID", ""), tags.get("SeriesInstanceUID", ""), tags["SOPInstanceUID"])
        found[uids[2]] = cut_part10(pacs.wado(*uids)).data
    return found


def sendable(folder: Path) -> Iterator[tuple[Path, DataSet]]:
    """Yield the files of a folder that a raw sender can name."""
    for file in sorted(folder.glob("*.dcm")):
        if file.read_bytes()[128:132] == b"DICM":
            item = read_part10(file)
            if item.sop_class_uid and item.sop_instance_uid and item.transfer_syntax:
                yield file, item


def test_images_reach_orthanc_byte_for_byte_behind_its_login(pacs: Orthanc, tmp_path: Path) -> None:
    environment = Environment(tmp_path, destinations=destination(pacs.dicomweb, tmp_path)).write()
    environment.register()
    checked = run([*COMMAND, "env", "check", environment.profile, "--online"])
    assert "answers a query" in checked.stdout, checked.stderr
    items = [read_part10(file) for file in images()]
    with environment.serving():
        for item in items:
            assert send(environment.dicom, "US_ROOM2", item) == 0
        wait_for("all delivered", lambda: delivered(environment, len(items)))
    assert kept(pacs) == {item.sop_instance_uid: item.data for item in items}
    assert "hunter2" not in environment.log.read_text()
    assert list((tmp_path / "state-test" / "spool").rglob("*.dcm")) == []


@pytest.mark.slow
def test_what_is_refused_for_its_syntax_goes_in_another_where_the_profile_allows_it(tmp_path: Path) -> None:
    jpeg = "1.2.840.10008.1.2.4.50"

    def refuse_jpeg(got: Got) -> Reply | None:
        if got.method != "POST":
            return None
        refused = {part.sop_instance_uid: 0xC122 for part in got.parts if part.transfer_syntax == jpeg}
        return stated([uid for uid in got.uids if uid not in refused], refused, 202) if refused else None

    with web() as server:
        server.answer = refuse_jpeg
        toml = destination(server.url, tmp_path, "transcode = true")
        environment = Environment(tmp_path, destinations=toml).write()
        environment.register()
        with environment.serving():
            for file in images():
                assert send(environment.dicom, "US_ROOM2", read_part10(file)) == 0
            wait_for("all delivered", lambda: delivered(environment, len(images())), 60)
    sent = [(part.sop_instance_uid, part.transfer_syntax) for got in server.got for part in got.parts]
    assert len(sent) == len(images()) + 1
    assert [syntax for _, syntax in sent].count(jpeg) == 1


# --- HAProxy -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    authority = Authority(tmp_path_factory.mktemp("certificates"), "hospital")
    return Hospital(authority, authority.issue("front"), authority.issue("broker"))


@pytest.mark.slow
def test_an_outage_behind_haproxy_loses_nothing_and_heals_by_itself(hospital: Hospital, tmp_path: Path) -> None:
    reserved = socket.socket()  # bound and not listening: refused, and nobody else's
    reserved.bind(("127.0.0.1", 0))
    http_port = int(reserved.getsockname()[1])
    items = [read_part10(file) for file in images()]
    # The largest of the images is over this limit, and no batch is under it.
    largest = sorted(len(item.data) for item in items)
    limit = f"    http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {largest[-1] - 1} }}"
    with haproxy(tmp_path / "front", http_port, hospital.front, hospital.authority, rules=limit) as front:
        url = f"{front.url}/dicom-web"
        environment = Environment(tmp_path, destinations=destination(url, tmp_path, hospital.keys)).write()
        environment.register()
        with environment.serving():
            for item in items:
                assert send(environment.dicom, "US_ROOM2", item) == 0
            wait_for("the outage is known", lambda: "503" in environment.log.read_text())
            assert {each.state for each in environment.deliveries()} == {DeliveryState.WAITING}
            reserved.close()
            with orthanc(tmp_path / "orthanc", login=LOGIN, http_port=http_port) as pacs:
                wait_for("settled", lambda: settled(environment), 60)
                found = kept(pacs)
    states = {each.state: each.reason for each in environment.deliveries()}
    assert "HTTP 413: it is too large for it" in states[DeliveryState.PARKED]
    assert found == {item.sop_instance_uid: item.data for item in items if len(item.data) < largest[-1]}


FAILURES: dict[str, Reply] = {
    "HTTP 502": b"",
    "without a word": lambda connection: connection.sendall(stated(["1.1"])[:-20]),
    "HTTP 500": http(500, b"<html>failed</html>", "text/html"),
}


@pytest.mark.parametrize("said", FAILURES)
def test_what_haproxy_makes_of_a_failure_is_unknown_until_it_is_asked(
    hospital: Hospital, tmp_path: Path, said: str
) -> None:
    with desk(tmp_path) as one, haproxy(tmp_path / "front", one.web.port, hospital.front, hospital.authority) as front:
        one.url, one.tls = f"{front.url}/dicom-web", hospital.call
        one.owe("1.1")
        one.web.answer = lambda got: FAILURES[said] if got.method == "POST" else None
        (outcome,) = one.send().values()
        assert isinstance(outcome, Unanswered)
        assert said in str(outcome.error)
        one.web.kept["1.1"] = one.web.got[0].parts[0]
        assert one.send() == {"1.1": Listed()}


def test_haproxy_lets_nobody_in_without_our_certificate(hospital: Hospital, tmp_path: Path) -> None:
    with desk(tmp_path) as one, haproxy(tmp_path / "front", one.web.port, hospital.front, hospital.authority) as front:
        one.url, one.tls = f"{front.url}/dicom-web", CallTls(None, None, hospital.authority.certificate)
        one.owe("1.1")
        with pytest.raises(Unreached, match="give `certificate` and `key`"):
            one.send()
        one.tls = hospital.call
        assert one.send() == {"1.1": Answered(0x0000)}


# --- the end at any point ----------------------------------------------------------------------------------------

ENDS = [
    f"{place}.{side}:{nth}:killall"
    for place in ("store.send", "delivery-lease.commit", "delivery-outcome.commit", "spool.unlink")
    for side in ("before", "after")
    for nth in (1, 2)
]


@pytest.mark.slow
@pytest.mark.parametrize("end", tried(ENDS, 5))
def test_instances_arrive_once_and_whole_whenever_the_product_is_killed(
    pacs: Orthanc, tmp_path: Path, end: str
) -> None:
    keys = "batch_instances = 2"
    environment = Environment(tmp_path, destinations=destination(pacs.dicomweb, tmp_path, keys)).write()
    environment.register()
    items = [read_part10(file) for file in images()]
    serving = environment.start(BROKER_TEST_HOOKS="1", BROKER_FAIL=end)
    with suppress(OSError, AssertionError):
        for item in items:
            send(environment.dicom, "US_ROOM2", item)
    with suppress(AssertionError):
        wait_for("it is killed", lambda: serving.process.poll() is not None, 10)
    serving.kill()
    with environment.serving():
        for item in items:  # as a modality does that got no answer
            assert send(environment.dicom, "US_ROOM2", item) == 0
        wait_for("all settled", lambda: settled(environment), 30)
    assert {each.state for each in environment.deliveries()} == {DeliveryState.DELIVERED}
    assert kept(pacs) == {item.sop_instance_uid: item.data for item in items}


# --- the corpus --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_file_of_the_corpus_comes_back_from_orthanc_as_it_was_received(
    pacs: Orthanc, tmp_path: Path, samples: Path | None
) -> None:
    folder = samples / "dicom" if samples else FIXTURES / "dicom"
    environment = Environment(tmp_path, destinations=destination(pacs.dicomweb, tmp_path)).write()
    environment.register()
    taken: dict[str, list[tuple[Path, bytes]]] = {}
    with environment.serving():
        for file, item in sendable(folder):
            if send(environment.dicom, "US_ROOM2", item) == 0:
                taken.setdefault(item.sop_instance_uid, []).append((file, item.data))
        wait_for("all were tried", lambda: all(each.finished or each.tries for each in environment.deliveries()), 120)
    found = kept(pacs)
    assert len(found) > len(list(folder.glob("*.dcm"))) // 2
    assert {uid for uid, data in found.items() if data not in {each for _, each in taken[uid]}} == set()
    # What did not arrive is what Orthanc's DICOMweb takes from nobody; each is parked with its answer.
    missing = [file for uid in taken if uid not in found for file, _ in taken[uid]]
    assert [file.name for file in missing if pacs.stows(file.read_bytes())] == []
    open_ = [each.reason for each in environment.deliveries() if each.state is not DeliveryState.DELIVERED]
    assert len(open_) == len(missing)
    assert {reason for reason in open_ if "HTTP 400" not in reason and "status C000" not in reason} == set()
