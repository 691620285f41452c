"""DCMTK and pynetdicom as peers, in both directions."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode

from broker.dimse import contexts
from broker.dimse.contexts import STORAGE_SYNTAXES
from broker.dimse.limits import Limits
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AssociationRefused, FindAnswer, OutgoingInstance, Peer, Rejection
from tests.peers.steady import steady
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.raw_peer import EXPLICIT, IMPLICIT, ULTRASOUND, VERIFICATION, WORKLIST

# The syntax flags of DCMTK 3.6.7's storescu ("--propose-…") and storescp ("--prefer-…" is one for each).
DCMTK_PROPOSALS = {
    "-xe": EXPLICIT,
    "-xb": "1.2.840.10008.1.2.2",
    "-xi": IMPLICIT,
    "-xs": "1.2.840.10008.1.2.4.70",
    "-xy": "1.2.840.10008.1.2.4.50",
    "-xx": "1.2.840.10008.1.2.4.51",
    "-xv": "1.2.840.10008.1.2.4.90",
    "-xw": "1.2.840.10008.1.2.4.91",
    "-xt": "1.2.840.10008.1.2.4.80",
    "-xu": "1.2.840.10008.1.2.4.81",
    "-xm": "1.2.840.10008.1.2.4.100",
    "-xh": "1.2.840.10008.1.2.4.101",
    "-xn": "1.2.840.10008.1.2.4.102",
    "-xl": "1.2.840.10008.1.2.4.103",
    "-x2": "1.2.840.10008.1.2.4.104",
    "-x3": "1.2.840.10008.1.2.4.105",
    "-xo": "1.2.840.10008.1.2.4.106",
    "-x4": "1.2.840.10008.1.2.4.107",
    "-x5": "1.2.840.10008.1.2.4.108",
    "-xr": "1.2.840.10008.1.2.5",
    "-xd": "1.2.840.10008.1.2.1.99",
}
PLAIN = {IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}


def tool(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which(words[0]), f"{words[0]} is missing: install the Debian package dcmtk"
    return subprocess.run(
        words, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment}
    )


def part10(path: Path, syntax: str, instance: str = "1.2.826.1") -> Path:
    """Write a small image whose pixel data fits its transfer syntax well enough to be sent."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = ULTRASOUND, instance
    image.PatientName, image.PatientID = "Muster^Eva", "1"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.2", "1.2.826.3"
    image.Modality, image.Rows, image.Columns = "US", 16, 16
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    if syntax in PLAIN:
        image.PixelData = bytes(256)
        image["PixelData"].VR = "OB"
    else:
        from pydicom.encaps import encapsulate

        image.PixelData = encapsulate([b"\xff\xd8" + bytes(1000) + b"\xff\xd9"])
        image["PixelData"].VR = "OB"
        image["PixelData"].is_undefined_length = True
    image.file_meta = Dataset()  # type: ignore[assignment]
    from pydicom.dataset import FileMetaDataset

    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.file_meta.MediaStorageSOPClassUID = UID(ULTRASOUND)
    image.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    image.save_as(path, enforce_file_format=True)
    return path


def slice_of(path: Path) -> OutgoingInstance:
    """Return the data set of a Part 10 file as what is to be sent."""
    content = path.read_bytes()
    group_length = int.from_bytes(content[140:144], "little")
    offset = 144 + group_length
    from pydicom import dcmread

    meta = dcmread(path, stop_before_pixels=True).file_meta
    return OutgoingInstance(
        ULTRASOUND, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID, str(path), offset, len(content) - offset
    )


def data_set_of(path: Path) -> bytes:
    instance = slice_of(path)
    return path.read_bytes()[instance.offset :]


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["storescp", "-od", str(folder), *options, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(5)


def await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the peer does not listen")


# --- DCMTK ---------------------------------------------------------------------------------------------------------


@pytest.mark.foreign
def test_echoscu_is_answered(serve: Serve) -> None:
    port, provider = serve()
    assert tool("echoscu", "-aec", "ANY", "127.0.0.1", str(port)).returncode == 0
    assert tool("echoscu", "-pdu", "4096", "--repeat", "20", "127.0.0.1", str(port)).returncode == 0
    assert tool("echoscu", "--abort", "127.0.0.1", str(port)).returncode == 0
    assert provider.echoes == 22


@pytest.mark.foreign
@pytest.mark.parametrize("flag", list(DCMTK_PROPOSALS))
def test_storescu_sends_every_syntax_it_has(serve: Serve, tmp_path: Path, flag: str) -> None:
    port, provider = serve()
    syntax = DCMTK_PROPOSALS[flag]
    path = part10(tmp_path / "image.dcm", syntax)
    sent = tool("storescu", "-v", flag, "-R", "127.0.0.1", str(port), str(path))
    assert sent.returncode == 0, sent.stderr
    request, content = provider.stored[0]
    assert request.sop_instance_uid == "1.2.826.1"
    if syntax not in PLAIN:  # an uncompressed one DCMTK re-encodes into what we prefer
        assert request.transfer_syntax == syntax
        assert content.endswith(data_set_of(path)[-1000:])


@pytest.mark.foreign
@pytest.mark.parametrize("nodelay", ["0", "1"])
def test_dcmsend_sends_many(serve: Serve, tmp_path: Path, nodelay: str) -> None:
    port, provider = serve()
    paths = [str(part10(tmp_path / f"{n}.dcm", EXPLICIT, f"1.2.826.{n}")) for n in range(1, 40)]
    begun = time.monotonic()
    assert tool("dcmsend", "127.0.0.1", str(port), *paths, TCP_NODELAY=nodelay).returncode == 0
    assert time.monotonic() - begun < 1.5, "a delayed acknowledgement costs 40 ms an image"
    assert len(provider.stored) == 39


@pytest.mark.foreign
def test_findscu_gets_every_answer(serve: Serve) -> None:
    port, provider = serve()
    identifiers = []
    for number in range(300):
        answer = Dataset()
        answer.PatientID = f"{number:06}"
        identifiers.append(encode(answer, False, True))
    provider.find_answers = [*(FindAnswer(0xFF00, each) for each in identifiers), FindAnswer(0)]
    found = tool("findscu", "-W", "-k", "0010,0020", "127.0.0.1", str(port))
    assert found.stderr.count("Find Response:") == 300, found.stderr[-500:]
    cancelled = tool("findscu", "-W", "--cancel", "5", "-k", "0010,0020", "127.0.0.1", str(port))
    assert cancelled.returncode == 0


@pytest.mark.foreign
@pytest.mark.parametrize("options", [(), ("-pdu", "4096"), ("+B",), ("--max-pdu", "131072")])
def test_storescp_keeps_what_we_send(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    path = part10(tmp_path / "image.dcm", EXPLICIT)
    with storescp(folder, *options) as port:
        wanted = [(ULTRASOUND, EXPLICIT), (VERIFICATION, IMPLICIT)]
        with EngineRequestor(QUICK).associate(Peer("127.0.0.1", port, "ANY", "US"), wanted) as association:
            assert association.echo() == 0
            for _ in range(3):
                assert association.store(slice_of(path)).status == 0
    kept = next(folder.iterdir())
    assert data_set_of(kept) == data_set_of(path)


@pytest.mark.foreign
def test_storescp_keeps_every_syntax_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    syntaxes = list(DCMTK_PROPOSALS.values())
    paths = [part10(tmp_path / f"{n}.dcm", syntax, f"1.2.826.{n}") for n, syntax in enumerate(syntaxes, 1)]
    with storescp(folder, "+xa", "+B") as port:
        wanted = [(ULTRASOUND, syntax) for syntax in syntaxes]
        with EngineRequestor(QUICK).associate(Peer("127.0.0.1", port, "ANY", "US"), wanted) as association:
            taken = [path for path in paths if (ULTRASOUND, slice_of(path).transfer_syntax) in association.accepted]
            for path in taken:
                assert association.store(slice_of(path)).status == 0
    assert len(taken) == len(paths)
    kept = {slice_of(path).sop_instance_uid: data_set_of(path) for path in folder.iterdir()}
    assert kept == {slice_of(path).sop_instance_uid: data_set_of(path) for path in taken}


@pytest.mark.foreign
def test_refusing_storescp_says_why(tmp_path: Path) -> None:
    requestor, refused = EngineRequestor(QUICK), pytest.raises(AssociationRefused)
    with storescp(tmp_path, "--refuse") as port:
        opening = requestor.associate(Peer("127.0.0.1", port, "ANY", "US"), [(VERIFICATION, IMPLICIT)])
        with refused as caught, opening:
            pass
    assert caught.value.rejection == Rejection(1, 1, 1)


# --- pynetdicom ------------------------------------------------------------------------------------------------------


def test_pynetdicom_stores_in_every_syntax_it_has(serve: Serve, tmp_path: Path) -> None:
    from pynetdicom import ALL_TRANSFER_SYNTAXES

    port, provider = serve(Limits())
    syntaxes = [syntax for syntax in ALL_TRANSFER_SYNTAXES if syntax in STORAGE_SYNTAXES]
    assert len(syntaxes) >= 42
    entity = AE("US")
    for syntax in syntaxes:
        entity.add_requested_context(ULTRASOUND, syntax)
    association = steady(entity.associate("127.0.0.1", port))
    assert association.is_established
    assert len(association.accepted_contexts) == len(syntaxes)
    for number, syntax in enumerate(syntaxes, 1):
        path = part10(tmp_path / f"{number}.dcm", str(syntax), f"1.2.826.{number}")
        assert association.send_c_store(path).Status == 0
    association.release()
    assert [request.transfer_syntax for request, _ in provider.stored] == [str(syntax) for syntax in syntaxes]


def test_pynetdicom_finds_and_cancels(serve: Serve) -> None:
    port, provider = serve()
    answer = Dataset()
    answer.PatientID = "1"
    provider.find_answers = [*(FindAnswer(0xFF00, encode(answer, True, True)) for _ in range(20)), FindAnswer(0)]
    entity = AE("US")
    entity.add_requested_context(WORKLIST, IMPLICIT)
    association = steady(entity.associate("127.0.0.1", port))
    statuses = [status.Status for status, _ in association.send_c_find(answer, WORKLIST)]
    association.release()
    assert statuses == [0xFF00] * 20 + [0]


@contextmanager
def pynetdicom_server(handlers: list[Any]) -> Iterator[int]:
    entity = AE("PACS")
    entity.maximum_pdu_size = 4096
    entity.add_supported_context(ULTRASOUND, [EXPLICIT])
    entity.add_supported_context(VERIFICATION)
    entity.add_supported_context(contexts.STORAGE_COMMITMENT_PUSH, scu_role=True, scp_role=True)
    entity.add_supported_context(contexts.MODALITY_PERFORMED_PROCEDURE_STEP)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def test_pynetdicom_takes_what_we_send(image: Path) -> None:
    received: list[bytes] = []

    def store(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0xB000

    with pynetdicom_server([(evt.EVT_C_STORE, store)]) as port:
        wanted = [(ULTRASOUND, EXPLICIT), (VERIFICATION, IMPLICIT)]
        with EngineRequestor(QUICK).associate(Peer("127.0.0.1", port, "PACS", "US"), wanted) as association:
            instance = OutgoingInstance(ULTRASOUND, "1.2.3", EXPLICIT, str(image), 0, image.stat().st_size)
            assert association.store(instance).status == 0xB000
            assert association.echo() == 0
    assert received == [image.read_bytes()]
