"""The worklists that ours is measured against: wlmscpfs and Orthanc's plugin, each over a folder of files."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.bench import inputs
from tests.peers import orthanc
from tests.peers.dcmtk import Node
from tests.peers.processes import accepts, free_port, program, running, wait_for

MATCHING = 10
CALLED = "BENCH"
_NUMBER = 98765  # of the template; items have five digits too
_FIRST = 10_000
_PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")


def worklist_folder(folder: Path, count: int) -> Path:
    """Write so many worklist files, ten of them ultrasound, as wlmscpfs wants them; return where they are."""
    inner = folder / CALLED
    inner.mkdir(parents=True)
    (inner / "lockfile").touch()
    templates = {modality: _file(modality) for modality in ("US", "CT")}
    for number in range(count):
        content = templates["US" if number < MATCHING else "CT"]
        text = f"{_FIRST + number}".encode()
        (inner / f"{number:05}.wl").write_bytes(content.replace(f"{_NUMBER}".encode(), text))
    return inner


def _file(modality: str) -> bytes:
    item = inputs.worklist_item(_NUMBER, modality)
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.file_meta.MediaStorageSOPClassUID = UID(inputs.WORKLIST)
    item.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.826.0.1.8.{_NUMBER}")
    written = BytesIO()
    item.save_as(written, enforce_file_format=True)
    return written.getvalue()


@contextmanager
def wlmscpfs(folder: Path) -> Iterator[Node]:
    """Run DCMTK's over the folder above that of the files."""
    port = free_port()
    command: list[str | Path] = [program("wlmscpfs", "dcmtk"), "-dfp", folder.parent, str(port)]
    with running(command, folder.parent / "wlmscpfs.log", {"TCP_NODELAY": "1"}) as process:
        wait_for("wlmscpfs listens", lambda: process.poll() is None and accepts(port), 30)
        yield Node(port, CALLED)


@contextmanager
def orthanc_plugin(folder: Path) -> Iterator[Node]:
    """Run Orthanc's over the files."""
    assert _PLUGIN.exists(), "the worklist plugin is missing: apt-get install orthanc"
    settings: dict[str, Any] = {
        "Plugins": [str(_PLUGIN)],
        "Worklists": {"Enable": True, "Database": str(folder)},
        "DicomModalities": {"bench": [CALLED, "127.0.0.1", 104]},
    }
    with orthanc.orthanc(folder.parent / "orthanc", **settings) as server:
        yield Node(server.port, server.ae_title)


PEERS = {"wlmscpfs": wlmscpfs, "Orthanc": orthanc_plugin}
