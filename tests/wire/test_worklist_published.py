"""Every item that the HL7 corpus publishes: by our own table, by an IOD description, and as a file of wlmscpfs."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian

from tests.peers import dcmtk
from tests.peers.dcmtk import Node
from tests.wire import iod, return_keys
from tests.wire.iod import Description
from tests.wire.published import LENIENTLY, Published, fixtures, published, sampled
from tests.wire.worklist_golden import MODALITY_WORKLIST

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("published")]

LEAST = 140
CHARACTER_SET, STEP = 0x00080005, 0x00400100
A_FOLDER = 25  # files that wlmscpfs reads for each query

# The description wants all three parts of an authority, where the standard has conditions (PS3.3 table 10-17): a
# namespace or a universal ID, and with the latter its type. `return_keys` judges them by these conditions.
CONDITIONAL = re.compile(r"(00380014|00400026|00400027)/004000(31|32|33): missing, required 1")


# --- what is published -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def description(samples: Path | None) -> Description:
    """The IOD description of the sample corpus; nothing where that is not there."""
    return iod.read(samples / "worklist" / "dcm4chee__mwl.iod.json") if samples else {}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory, samples: Path | None, description: Description) -> list[Published]:
    """Each item of fixtures/hl7, and of the sample corpus as a site of defaults takes it and as a lenient one does."""
    corpora = [("fixtures/hl7", fixtures(), "")]
    if samples:
        corpora += [("sample corpus", sampled(samples), ""), ("the same, leniently", sampled(samples), LENIENTLY)]
    found: list[Published] = []
    for name, histories, hl7 in corpora:
        own = published(tmp_path_factory.mktemp("published"), histories, queries(description), hl7)
        print(f"{name}: {len(histories)} files, {sum(map(len, histories.values()))} messages, {len(own)} items")
        found += own
    return found


def queries(description: Description) -> tuple[Dataset, Dataset]:
    """Two queries: every return key of our table and of the description by name, and the step as a whole."""
    step = Dataset()
    _ask(step, {*return_keys.TABLE[STEP].members, *_tags(description.get(f"{STEP:08X}", {}).get("items", {}))})
    return _asking({*return_keys.TABLE, *_tags(description)}, [step]), _asking(set(return_keys.TABLE), [])


def _asking(tags: set[int], steps: list[Dataset]) -> Dataset:
    asked = Dataset()
    _ask(asked, tags - {CHARACTER_SET, STEP})
    asked.ScheduledProcedureStepSequence = steps
    return asked


def _tags(description: Description) -> set[int]:
    return {int(name, 16) for name in description}


def _ask(asked: Dataset, tags: set[int]) -> None:
    for keyword in map(keyword_for_tag, tags):
        setattr(asked, keyword, [] if keyword.endswith("Sequence") else None)


# --- how it is judged --------------------------------------------------------------------------------------------


def test_no_item_violates_our_table(items: list[Published]) -> None:
    assert len(items) >= LEAST
    found = [
        (one.source, wrong) for one in items for answer in one.answers if (wrong := return_keys.violations(answer))
    ]
    assert found == []


def test_no_item_violates_the_iod_description(items: list[Published], description: Description) -> None:
    if not description:
        pytest.skip("BROKER_SAMPLES is not set: the IOD description is part of the sample corpus")
    found = [(one.source, wrong) for one in items for wrong in iod.violations(one.answers[0], description)]
    assert [(source, wrong) for source, wrong in found if not CONDITIONAL.match(wrong)] == []
    print(f"{len(items)} items; {len(found)} times a part of an authority that is conditional")


# --- what wlmscpfs does with it ----------------------------------------------------------------------------------


@pytest.mark.foreign
def test_every_item_is_a_file_that_wlmscpfs_serves_with_the_same_values(items: list[Published], tmp_path: Path) -> None:
    folders = [items[at : at + A_FOLDER] for at in range(0, len(items), A_FOLDER)]
    for number, own in enumerate(folders):
        _write(tmp_path / f"WL{number}", own)
    with dcmtk.wlmscpfs(tmp_path) as port:
        for number, own in enumerate(folders):
            node = Node(port, f"WL{number}")
            served = _find(node, tmp_path / f"all{number}", [])
            assert _differences(served, own) == []
            for one in {_identity(_whole(one)) for one in own}:
                alike = [other for other in own if _identity(_whole(other)) == one]
                # It compares bytes, and takes a character for as many as it has in UTF-8.
                accession, patient = (re.sub("[^ -~]+", "*", text) for text in one)
                found = _find(node, tmp_path / "one", [f"AccessionNumber={accession}", f"PatientID={patient}"])
                assert _differences(found, alike) == []
    print(f"{len(items)} files in {len(folders)} folders: each served with the same values")


def _differences(found: Sequence[Dataset], items: Sequence[Published]) -> list[str]:
    """Return which values are only in what was found, or only in the items."""
    theirs = Counter(value for answer in found for value in _values(answer))
    ours = Counter(_EMPTY.get(value, value) for item in items for value in _values(_whole(item)))
    return [f"theirs: {one}" for one in theirs - ours] + [f"ours: {one}" for one in ours - theirs]


def _write(folder: Path, items: Sequence[Published]) -> None:
    """Write the answers, byte for byte, as the worklist files of a title; the step whole, as such a file has it."""
    folder.mkdir()
    (folder / "lockfile").touch()
    for number, item in enumerate(items):
        (folder / f"{number:03}.wl").write_bytes(_head(f"1.2.3.{number + 1}") + item.forms[1].replace(_NO_CODE, b""))


def _head(uid: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MODALITY_WORKLIST
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = BytesIO()
    write_file_meta_info(written, meta, enforce_standard=True)
    return bytes(128) + b"DICM" + written.getvalue()


# RequestedProcedureCodeSequence is 1C: an answer has it empty, since it was asked for, a file has an item or none.
_NO_CODE = b"\x32\x00\x64\x10SQ\0\0\0\0\0\0"

# What wlmscpfs returns of a worklist file, in DCMTK's documents.
RETURNED = (
    *("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("PatientWeight", "MedicalAlerts", "Allergies", "PregnancyStatus", "StudyInstanceUID", "RequestingPhysician"),
    *("RequestedProcedureDescription", "AdmissionID", "SpecialNeeds", "CurrentPatientLocation", "PatientState"),
    *("RequestedProcedureID", "RequestedProcedurePriority", "PatientTransportArrangements"),
)
RETURNED_OF_STEP = (
    *("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "Modality"),
    *("ScheduledPerformingPhysicianName", "ScheduledProcedureStepDescription", "ScheduledStationName"),
    *("ScheduledProcedureStepLocation", "PreMedication", "ScheduledProcedureStepID", "RequestedContrastAgent"),
)


# wlmscpfs says of an empty one that it is unknown (PS3.3 C.2.3: 4).
_EMPTY = {("PregnancyStatus", ""): ("PregnancyStatus", "4")}


def _find(node: Node, folder: Path, keys: list[str]) -> list[FileDataset]:
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    asked = [*RETURNED, *(f"ScheduledProcedureStepSequence[0].{keyword}" for keyword in RETURNED_OF_STEP), *keys]
    done = dcmtk.findscu(node, "ANYBODY", asked, "-X", "-od", str(folder))
    assert "Final Find Response (Success)" in done.stdout + done.stderr, done.stderr
    return [dcmread(file) for file in sorted(folder.glob("rsp*.dcm"))]


def _whole(item: Published) -> Dataset:
    return item.answers[1]


def _identity(answer: Dataset) -> tuple[str, str]:
    return str(answer.AccessionNumber), str(answer.PatientID)


def _values(answer: Dataset) -> list[tuple[str, str]]:
    return list(_stated(answer, RETURNED)) + list(_stated(answer.ScheduledProcedureStepSequence[0], RETURNED_OF_STEP))


def _stated(item: Dataset, keywords: Sequence[str]) -> Iterator[tuple[str, str]]:
    for keyword in keywords:
        value = item.get(keyword)
        yield keyword, "" if value is None or value == [] else str(value)
