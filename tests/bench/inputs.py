"""What is sent and asked in the measurements: synthetic images and worklist items. Measures nothing."""

import random
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
US = "1.2.840.10008.5.1.4.1.1.6.1"
US_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
WORKLIST = "1.2.840.10008.5.1.4.31"


@dataclass(frozen=True)
class Shape:
    """What an image's pixels need."""

    rows: int
    columns: int
    bits: int
    frames: int = 1


def images(folder: Path, sop_class: str, count: int, shape: Shape) -> list[Path]:
    """Write `count` uncompressed images of random pixels as Part 10 files."""
    folder.mkdir(parents=True)
    pixels = random.Random(1).randbytes(shape.rows * shape.columns * shape.bits // 8) * shape.frames
    return [_image(folder / f"{n:04}.dcm", sop_class, n, shape, pixels) for n in range(1, count + 1)]


def _image(path: Path, sop_class: str, number: int, shape: Shape, pixels: bytes) -> Path:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = sop_class, f"1.2.826.0.1.{shape.rows}.{number}"
    image.StudyDate, image.Modality = "20260201", "US"
    image.PatientName, image.PatientID = "Bench^Mark", "1"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.0.1.1", f"1.2.826.0.1.2.{shape.rows}"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.NumberOfFrames, image.Rows, image.Columns = shape.frames, shape.rows, shape.columns
    image.BitsAllocated = image.BitsStored = shape.bits
    image.HighBit, image.PixelRepresentation = shape.bits - 1, 0
    image.PixelData = pixels
    image["PixelData"].VR = "OW" if shape.bits == 16 else "OB"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    image.file_meta.MediaStorageSOPInstanceUID = UID(image.SOPInstanceUID)
    image.save_as(path, enforce_file_format=True)
    return path


def worklist_item(number: int, modality: str = "US") -> Dataset:
    """Return a scheduled procedure step with the attributes that consoles ask for."""
    step = Dataset()
    step.ScheduledStationAETitle, step.Modality = "US1", modality
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260201", "093000"
    step.ScheduledPerformingPhysicianName = "Doctor^Some"
    step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepID = "Abdomen", f"S{number:05}"
    item = Dataset()
    item.AccessionNumber = f"A{number:05}"
    item.ReferringPhysicianName = "Doctor^Other"
    item.PatientName, item.PatientID = f"Bench^{number:05}", f"P{number:05}"
    item.PatientBirthDate, item.PatientSex = "19700101", "O"
    item.StudyInstanceUID = f"1.2.826.0.1.9.{number}"
    item.RequestedProcedureDescription, item.RequestedProcedureID = "Abdomen", f"R{number:05}"
    item.ScheduledProcedureStepSequence = [step]
    return item


def worklist_folder(folder: Path, count: int, matching: int) -> None:
    """Write a worklist for `wlmscpfs -dfp FOLDER`: `count` items of which `matching` are ultrasound."""
    inner = folder / "BENCH"
    inner.mkdir(parents=True)
    (inner / "lockfile").touch()
    for number in range(count):
        item = worklist_item(number, "US" if number < matching else "CT")
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = UID(WORKLIST)
        item.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.826.0.1.8.{number}")
        item.save_as(inner / f"{number:04}.wl", enforce_file_format=True)


def worklist_keys() -> Dataset:
    """Return the query of a console for ultrasound, with all return keys."""
    keys = worklist_item(0)
    for element in keys:
        if element.VR != "SQ":
            element.value = ""
    for element in keys.ScheduledProcedureStepSequence[0]:
        element.value = "US" if element.keyword == "Modality" else ""
    return keys
