"""A DICOM file from outside, read as an instance would be on receipt. Keeps, moves and sends nothing."""

import struct
from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import read_file_meta_info

from broker.errors import Refused
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.spool.scan import Scanner

_PIECE = 1024 * 1024
_META_START = 132 + 12  # preamble, prefix, and File Meta Information Group Length (PS3.10 7.1)
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"


def meta_of(path: Path) -> dict[str, str]:
    """Return the File Meta Information that says what the file is, by keyword; "" where it is silent.

    Raises Refused for what is no Part 10 file.
    """
    try:
        with path.open("rb") as stream:
            _data_set_offset(stream, path)
        meta = read_file_meta_info(path)
    except OSError as error:
        raise Refused(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    names = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    return {name: str(meta.get(name, "")) for name in (*names, "SourceApplicationEntityTitle")}


def instance_of(path: Path, facts: ReceiptFacts) -> SpooledInstance:
    """Return the instance as the spool would have kept it. Raises Refused for a data set that it would not take."""
    scanner = Scanner(facts.transfer_syntax)
    with path.open("rb") as stream:
        offset = _data_set_offset(stream, path)
        stream.seek(offset)
        while piece := stream.read(_PIECE):
            scanner.feed(piece)
    scan = scanner.finish()
    if scan.cut or not scan.attributes:
        raise Refused(f"{path.name} would not be taken: {scan.problem or 'its data set is empty'}")
    found = scan.attributes
    return SpooledInstance(
        id="",
        facts=facts,
        sha256="",
        path=str(path),
        offset=offset,
        length=path.stat().st_size - offset,
        study_instance_uid=found.get("StudyInstanceUID", ""),
        series_instance_uid=found.get("SeriesInstanceUID", ""),
        patient_id=found.get("PatientID", ""),
        accession_number=found.get("AccessionNumber", ""),
        modality=found.get("Modality", ""),
        attributes=found,
    )


def _data_set_offset(stream: BinaryIO, path: Path) -> int:
    start = stream.read(_META_START)
    if len(start) < _META_START or start[128:132] != b"DICM" or start[132:140] != _GROUP_LENGTH:
        raise Refused(f"{path.name} is no DICOM file (PS3.10): it lacks DICM and File Meta Information at its start")
    return _META_START + int(struct.unpack_from("<I", start, 140)[0])
