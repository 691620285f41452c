"""pynetdicom's own programs in both directions, as somebody would run them from a shell."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AssociationRefused, ContextRefused, Peer
from tests.peers.broker import Environment
from tests.peers.dcmtk import Node
from tests.peers.processes import accepts, free_port, run, running, wait_for
from tests.peers.raw_sender import DataSet, read_part10
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.raw_peer import IMPLICIT, VERIFICATION
from tests.wire.dimse.served import (
    ACCESSIONS,
    FIXTURES,
    OPEN_ROWS,
    RECODINGS,
    broker,
    meaning,
    outgoing,
    padded,
    recoded,
)

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("pynetdicom-apps")]

RETIRED = "1.2.840.10008.5.1.4.1.1.6"  # Ultrasound Image: storescp takes current storage classes only
SCHEDULED = "ScheduledProcedureStepSequence[0]"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


def app(name: str, node: Node, *options: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pynetdicom", name, "127.0.0.1", str(node.port), *options]
    named = ["-aet", "ANYBODY", "-aec", node.ae_title, "-v"]
    return run(["env", "-C", cwd or Path.cwd(), *command, *named])


def test_echoscu_is_answered(environment: Environment) -> None:
    done = app("echoscu", environment.dicom)
    assert done.returncode == 0, done.stderr
    assert "Received Echo Response (Status: 0x0000 - Success)" in done.stderr


@pytest.mark.parametrize("maximum_length", ["0", "4096"])
def test_findscu_finds_the_rows(environment: Environment, tmp_path: Path, maximum_length: str) -> None:
    found = _find(environment, tmp_path, [f"{SCHEDULED}.Modality="], "-pdu", maximum_length)
    assert [answer.AccessionNumber for answer in found] == ACCESSIONS
    assert [str(answer.PatientName) for answer in found] == [row[1] for row in OPEN_ROWS]
    assert [answer.ScheduledProcedureStepSequence[0].Modality for answer in found] == [row[2] for row in OPEN_ROWS]


def test_findscu_s_keys_select(environment: Environment, tmp_path: Path) -> None:
    keys = [f"{SCHEDULED}.Modality=US", f"{SCHEDULED}.ScheduledProcedureStepStartDate=20260202-"]
    negotiated = ["--fuzzy-names", "--timezone-adj"]
    assert [answer.AccessionNumber for answer in _find(environment, tmp_path, keys, *negotiated)] == ["A3", "A5"]


def _find(environment: Environment, folder: Path, keys: list[str], *options: str) -> list[Dataset]:
    asked = [part for key in ("AccessionNumber=", "PatientName=", *keys) for part in ("-k", key)]
    done = app("findscu", environment.dicom, "-W", "-w", *asked, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Find SCP Result: 0x0000 (Success)" in done.stderr, done.stderr
    return [dcmread(file, force=True) for file in sorted(folder.glob("rsp*.dcm"))]


def test_storescu_s_images_arrive(serve: Serve, tmp_path: Path) -> None:
    port, provider = serve()
    folder = tmp_path / "files"
    folder.mkdir()
    for file in FIXTURES:
        (folder / file.name).write_bytes(file.read_bytes())
    for number, option in enumerate(RECODINGS):
        recoded(FIXTURES[0], folder, option, number)
    done = app("storescu", Node(port, "ANY"), folder, "-cx")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Received Store Response (Status: 0x0000 - Success)") == 7, done.stderr
    sent = {item.sop_instance_uid: item for item in map(read_part10, folder.iterdir())}
    assert len(provider.stored) == len(sent) == 7
    for request, content in provider.stored:
        item = DataSet(request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax, content)
        assert item.transfer_syntax == sent[item.sop_instance_uid].transfer_syntax
        assert meaning(item) == meaning(sent[item.sop_instance_uid])


def test_storescu_stores_to_the_product(environment: Environment) -> None:
    done = app("storescu", environment.dicom, FIXTURES[1], "-cx")
    assert "Received Store Response (Status: 0x0000 - Success)" in done.stderr, done.stderr


@pytest.mark.parametrize("maximum_length", ["0", "2048", "16382"])
def test_storescp_keeps_our_bytes(tmp_path: Path, maximum_length: str) -> None:
    retired = [file for file in FIXTURES if read_part10(file).sop_class_uid == RETIRED]
    current = [file for file in FIXTURES if file not in retired]
    files = [*current, *(recoded(FIXTURES[0], tmp_path, option, n) for n, option in enumerate(RECODINGS))]
    instances = [outgoing(file) for file in files]
    wanted = [(each.sop_class_uid, each.transfer_syntax) for each in [*instances, outgoing(retired[0])]]
    folder = tmp_path / "kept"
    requestor = EngineRequestor()
    with (
        storescp(folder, "-pdu", maximum_length) as peer,
        requestor.associate(peer, [(VERIFICATION, IMPLICIT), *wanted]) as association,
    ):
        assert association.echo() == 0
        assert [association.store(each).status for each in instances] == [0] * len(files)
        with pytest.raises(ContextRefused):
            association.store(outgoing(retired[0]))
    kept = {item.sop_instance_uid: (item.transfer_syntax, item.data) for item in map(read_part10, folder.iterdir())}
    sent = map(read_part10, files)
    assert kept == {item.sop_instance_uid: (item.transfer_syntax, padded(item)) for item in sent}


def test_storescp_without_verification_says_so(tmp_path: Path) -> None:
    requestor = EngineRequestor(QUICK)
    with storescp(tmp_path / "kept", "--no-echo") as peer:
        opening = requestor.associate(peer, [(VERIFICATION, IMPLICIT)])
        with pytest.raises(AssociationRefused), opening:
            pass


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    """Run the SCP; give the peer to call."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", folder, "-ba", "127.0.0.1", *options]
    with running(command, folder.parent / "storescp.log") as process:
        wait_for("pynetdicom listens", lambda: process.poll() is None and accepts(port))
        yield Peer("127.0.0.1", port, "STORESCP", "BROKER_TEST")
