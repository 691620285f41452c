"""The golden items served by DCMTK's wlmscpfs, asked the same queries: where it differs, the fixture says why."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

from broker.registry.document import read
from broker.registry.model import Binding, Modality, Registry
from broker.worklist.dataset import encode
from broker.worklist.elements import EXPLICIT_LITTLE_ENDIAN
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import read as read_query
from broker.worklist.stations import resolved
from broker.worklist.store import OFFERED
from broker.worklist.viewer import registry_stations
from tests.peers import dcmtk
from tests.unit.worklist.building import decoded, encoded
from tests.wire.worklist_golden import FOLDER, MODALITY_WORKLIST, Consoles, Query, consoles, planned, queries

pytestmark = [pytest.mark.foreign, pytest.mark.xdist_group("wlmscpfs")]

RETURNED = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "AdmissionID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "RequestedProcedureID",
)
"""Of the answer's attributes, those that wlmscpfs reads of a worklist file and those that it demands."""


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    folder = tmp_path_factory.mktemp("wlm")
    write_files(folder / "BROKER", resolved_items())
    with dcmtk.wlmscpfs(folder) as port, consoles(port, "BROKER") as made:
        yield made


def resolved_items() -> list[WorklistItem]:
    """What is offered, with the stations that the devices' documents give."""
    devices = []
    for file in sorted((FOLDER / "devices").glob("*.toml")):
        document = read(file.read_bytes(), file.name)
        devices.append(Modality(document.name, "0" * 64, document, Binding()))
    stations = registry_stations(Registry(1, tuple(devices)))
    offered = (item for item in planned() if item.status in OFFERED)
    return [resolved(item, Viewer(), stations) for item in offered]


def write_files(folder: Path, items: Sequence[WorklistItem]) -> None:
    """Write worklist files as wlmscpfs reads them."""
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for item in items:
        as_file(answered(item)).save_as(folder / f"{item.accession_number}.wl", enforce_file_format=True)


def answered(item: WorklistItem) -> Dataset:
    """What we answer when all that wlmscpfs needs is asked for, in Unicode."""
    asked = Dataset()
    for keyword in RETURNED:
        setattr(asked, keyword, [] if keyword.endswith("Sequence") else "")
    asked.ScheduledProcedureStepSequence = []
    query = read_query(encoded(asked, EXPLICIT_LITTLE_ENDIAN), EXPLICIT_LITTLE_ENDIAN)
    viewer = replace(Viewer(), character_sets=("ISO_IR 192",))
    # wlmscpfs wants a station of a file, and there is none for a modality that no device has.
    stations = item.scheduled_station_ae_titles or ("NOBODY",)
    made = encode(query, replace(item, scheduled_station_ae_titles=stations), viewer, EXPLICIT_LITTLE_ENDIAN)
    return decoded(made.identifier, EXPLICIT_LITTLE_ENDIAN)


def as_file(dataset: Dataset) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MODALITY_WORKLIST
    meta.MediaStorageSOPInstanceUID = dataset.StudyInstanceUID
    meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    return FileDataset("", dataset, preamble=b"\0" * 128, file_meta=meta)


@pytest.mark.parametrize("query", queries("matching"), ids=lambda query: query["name"])
def test_dcmtk_finds_the_same_but_for_what_is_explained(asking: Consoles, query: Query) -> None:
    answer = asking.ask(query)
    ours = (query.get("status", "0000"), sorted(query.get("find", [])))
    theirs = (f"{answer.final:04X}", sorted(answer.accessions))
    if "dcmtk" in query:
        assert theirs == (query.get("dcmtk_status", "0000"), sorted(query["dcmtk"]))
        assert query["because"]
        assert theirs != ours, "no difference any more"
        return
    assert theirs == ours


def test_every_item_is_a_worklist_file_that_dcmtk_takes(asking: Consoles) -> None:
    assert len(asking.ask({}).found) == len(resolved_items())
