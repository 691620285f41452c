"""dcmjs-dimse, an upper layer in JavaScript, in both directions: as a modality, and as the PACS behind us."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AssociationRefused, ContextRefused, Peer, Rejection
from tests.peers import npm
from tests.peers.broker import Environment, destination
from tests.peers.dcmtk import Node
from tests.peers.processes import wait_for
from tests.peers.raw_sender import read_part10
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.raw_peer import IMPLICIT, VERIFICATION
from tests.wire.dimse.served import (
    ACCESSIONS,
    DEFLATED,
    FIXTURES,
    OPEN_ROWS,
    RECODINGS,
    broker,
    outgoing,
    padded,
    recoded,
)

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("dcmjs")]

# dcmjs-dimse does not encode this one's dates of 1994, "1994.11.05", and says so before it sends a byte of it.
UNSENDABLE = "us-image-retired-rgb.dcm"
SENDABLE = [file for file in FIXTURES if file.name != UNSENDABLE]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Path]]:
    folder = tmp_path_factory.mktemp("pacs") / "kept"
    with npm.scp(folder) as node:
        yield node, folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, pacs: tuple[Node, Path]) -> Iterator[Environment]:
    routed = destination("main-pacs", pacs[0].port, pacs[0].ae_title)
    with broker(tmp_path_factory.mktemp("broker"), routed) as made:
        yield made


# --- as a modality ---------------------------------------------------------------------------------------------------


def test_its_echoes_are_answered(environment: Environment) -> None:
    said = npm.echo(environment.dicom, "US_ROOM2", 5)
    assert said.statuses == [0] * 5
    assert said.events == ["associationAccepted", "associationReleased"]


@pytest.mark.parametrize("maximum_length", [0, 4096])
def test_it_finds_the_rows(environment: Environment, maximum_length: int) -> None:
    said = npm.find(environment.dicom, "ANYBODY", {}, maximum_length)
    assert said.statuses == [0xFF00] * 5 + [0]
    assert [answer["AccessionNumber"] for answer in said.answers] == ACCESSIONS
    for answer, (accession, name, modality, stations, date, time) in zip(said.answers, OPEN_ROWS, strict=True):
        (step,) = answer["ScheduledProcedureStepSequence"]
        assert _name(answer["PatientName"]) == name
        assert answer["PatientID"] == f"PID-{accession}"
        assert (step["Modality"], step["ScheduledProcedureStepStartDate"]) == (modality, date)
        assert step["ScheduledProcedureStepStartTime"] == time
        assert set(stations) <= set(_values(step["ScheduledStationAETitle"]))


def test_its_keys_select(environment: Environment) -> None:
    step = {"Modality": "US", "ScheduledProcedureStepStartDate": "20260202-20260228", "ScheduledStationAETitle": ""}
    said = npm.find(environment.dicom, "ANYBODY", {"ScheduledProcedureStepSequence": [step]})
    assert [answer["AccessionNumber"] for answer in said.answers] == ["A3", "A5"]
    said = npm.find(environment.dicom, "ANYBODY", {"PatientName": "Muster*"})
    assert [answer["AccessionNumber"] for answer in said.answers] == ["A1"]


def test_what_it_sends_arrives_at_itself_as_it_encoded_it(
    environment: Environment, pacs: tuple[Node, Path], tmp_path: Path
) -> None:
    recodings = [recoded(SENDABLE[0], tmp_path, option, n) for n, option in enumerate(RECODINGS) if option != "+td"]
    said = npm.store(environment.dicom, "US_ROOM2", [*SENDABLE, *recodings], tmp_path / "sent")
    assert said.statuses == [0] * 5, said.events
    sent = {(each.sop_instance_uid, each.transfer_syntax, each.data) for each in said.encoded}
    assert len(sent) == 5
    wait_for("the broker has forwarded them", lambda: sent <= npm.kept(pacs[1]))
    log = environment.log.read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_it_reads_why_it_is_refused(serve: Serve) -> None:
    port, provider = serve()
    provider.rejection = Rejection(1, 1, 7)
    said = npm.echo(Node(port, "NOBODY"), "US_ROOM2")
    assert 'associationRejected: {"result":1,"source":1,"reason":7}' in said.events


# --- as a PACS -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum_length", [0, 1024, 65536])
def test_it_keeps_our_bytes(tmp_path: Path, maximum_length: int) -> None:
    files = [
        *FIXTURES,
        *(recoded(FIXTURES[0], tmp_path, option, n) for n, option in enumerate(RECODINGS)),
    ]
    kept = tmp_path / "kept"
    with npm.scp(kept, maximum_length) as node:
        instances = [outgoing(file) for file in files]
        wanted = [(each.sop_class_uid, each.transfer_syntax) for each in instances]
        with EngineRequestor().associate(_peer(node), [(VERIFICATION, IMPLICIT), *wanted]) as association:
            assert association.echo() == 0
            statuses = [association.store(each).status for each in instances]
            assert association.echo() == 0
    # It keeps a deflated data set as it comes and cannot read it: our script then answers Processing Failure.
    assert statuses == [0x0110 if each.transfer_syntax == DEFLATED else 0 for each in instances]
    items = map(read_part10, files)
    assert npm.kept(kept) == {(item.sop_instance_uid, item.transfer_syntax, padded(item)) for item in items}


def test_its_refusal_of_a_context_is_understood(tmp_path: Path) -> None:
    cine = outgoing(next(file for file in FIXTURES if "jpeg" in file.name))
    report = outgoing(FIXTURES[0])
    wanted = [(each.sop_class_uid, each.transfer_syntax) for each in (cine, report)]
    with npm.scp(tmp_path / "kept", refused=[cine.transfer_syntax]) as node:
        with EngineRequestor(QUICK).associate(_peer(node), wanted) as association:
            assert association.store(report).status == 0
            with pytest.raises(ContextRefused) as refused:
                association.store(cine)
        with pytest.raises(AssociationRefused), EngineRequestor(QUICK).associate(_peer(node), wanted[:1]):
            pass
    assert refused.value.result == 4


def _peer(node: Node) -> Peer:
    return Peer("127.0.0.1", node.port, node.ae_title, "BROKER_TEST")


def _name(value: Any) -> str:
    """Return a person name as one string: dcmjs gives a list of its component groups."""
    (groups,) = value
    return "=".join(groups[part] for part in ("Alphabetic", "Ideographic", "Phonetic") if part in groups)


def _values(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
