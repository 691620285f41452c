"""Orthanc in both directions: as the PACS that we store to, and as the system that echoes, queries and stores."""

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import Answer, Peer
from tests.peers.broker import Environment
from tests.peers.orthanc import Orthanc, orthanc
from tests.peers.raw_sender import DataSet, cut_part10, read_part10
from tests.wire.dimse.conftest import Serve
from tests.wire.dimse.raw_peer import IMPLICIT, VERIFICATION
from tests.wire.dimse.served import ACCESSIONS, FIXTURES, OPEN_ROWS, RECODINGS, broker, meaning, outgoing, recoded

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("orthanc")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, server: Orthanc) -> Iterator[Environment]:
    with broker(tmp_path_factory.mktemp("broker")) as made:
        server.know("broker", made.ae_title, made.ports["dicom"])
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The fixtures, and the two uncompressed ones in every other syntax without compression."""
    folder = tmp_path_factory.mktemp("recoded")
    plain = [file for file in FIXTURES if read_part10(file).transfer_syntax in RECODINGS.values()]
    made = [
        recoded(file, folder / str(n), option, 10 * n + m)
        for n, file in enumerate(plain)
        for m, option in enumerate(RECODINGS)
    ]
    return [*FIXTURES, *made]


@pytest.fixture(scope="module")
def stored(server: Orthanc, files: list[Path]) -> dict[str, DataSet]:
    """What Orthanc keeps after our requestor has stored all of them, by SOP Instance UID."""
    instances = [outgoing(file) for file in files]
    wanted = [(each.sop_class_uid, each.transfer_syntax) for each in instances]
    peer = Peer("127.0.0.1", server.port, server.ae_title, "BROKER_TEST")
    with EngineRequestor().associate(peer, [(VERIFICATION, IMPLICIT), *wanted]) as association:
        assert association.echo() == 0
        assert [association.store(each) for each in instances] == [Answer(0)] * len(files)
    return {
        item.sop_instance_uid: item for item in (cut_part10(server.file(each)) for each in server.get("/instances"))
    }


def test_orthanc_keeps_what_we_store(stored: dict[str, DataSet], files: list[Path]) -> None:
    sent = {item.sop_instance_uid: item for item in map(read_part10, files)}
    assert stored.keys() == sent.keys()
    assert len(sent) == 11
    for uid, item in sent.items():
        assert stored[uid].transfer_syntax == item.transfer_syntax
        assert meaning(stored[uid]) == meaning(item)


def test_orthanc_stores_to_us_what_it_keeps(server: Orthanc, stored: dict[str, DataSet], serve: Serve) -> None:
    port, provider = serve()
    server.know("sink", "SINK", port)
    told = server.call("POST", "/modalities/sink/store", server.get("/instances"))
    assert (told["InstancesCount"], told["FailedInstancesCount"]) == (len(stored), 0)
    arrived = {
        request.sop_instance_uid: DataSet(
            request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax, content
        )
        for request, content in provider.stored
    }
    assert arrived.keys() == stored.keys()
    for uid, item in stored.items():
        assert meaning(arrived[uid]) == meaning(item)
    assert {item.transfer_syntax for item in arrived.values()} == {item.transfer_syntax for item in stored.values()}


def test_orthanc_echoes(server: Orthanc, environment: Environment) -> None:
    assert server.call("POST", "/modalities/broker/echo", {}) == {}


def test_orthanc_stores_to_the_product(server: Orthanc, environment: Environment, stored: dict[str, DataSet]) -> None:
    told = server.call("POST", "/modalities/broker/store", server.get("/instances"))
    assert told["FailedInstancesCount"] == 0
    environment.await_index()
    lines = [json.loads(line) for line in environment.log.read_text(encoding="utf-8").splitlines() if line[:1] == "{"]
    assert sum(line["count"] for line in lines if line["event"] == "instances.received") >= len(stored)


def test_orthanc_finds_the_worklist(server: Orthanc, environment: Environment) -> None:
    step = dict.fromkeys(("Modality", "ScheduledProcedureStepStartDate", "ScheduledStationAETitle"), "")
    query = {
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": "",
        "PatientName": "",
        "ScheduledProcedureStepSequence": [step],
    }
    found = server.call("POST", "/modalities/broker/find-worklist", query)
    assert [answer["AccessionNumber"] for answer in found] == ACCESSIONS
    assert [answer["PatientName"] for answer in found] == [row[1] for row in OPEN_ROWS]
    assert [answer["ScheduledProcedureStepSequence"][0]["Modality"] for answer in found] == [
        row[2] for row in OPEN_ROWS
    ]
    narrowed = {**query, "ScheduledProcedureStepSequence": [{**step, "Modality": "CT"}]}
    found = server.call("POST", "/modalities/broker/find-worklist", narrowed)
    assert [answer["AccessionNumber"] for answer in found] == ["A4"]


def test_orthanc_is_told_that_its_title_is_unknown(server: Orthanc, tmp_path: Path) -> None:
    made = Environment(tmp_path).write()
    with made.serving():
        server.know("strict", made.ae_title, made.ports["dicom"])
        with pytest.raises(urllib.error.HTTPError):
            server.call("POST", "/modalities/strict/echo", {})
        assert [row["calling"] for row in made.ask("rejection", "list")] == [server.ae_title]
