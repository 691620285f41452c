"""Copies that the decoding process makes, against what DCMTK's own decoders make of the same file."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.transcoding import copies
from broker.delivery.transcoding.rule import EXPLICIT, IMPLICIT
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance
from tests.peers.processes import program
from tests.peers.raw_sender import read_part10
from tests.unit.spool.datasets import facts, pieces

pytestmark = pytest.mark.foreign

FIXTURES = Path(__file__).parents[4] / "fixtures" / "dicom"
IMAGE, CINE, REPORT = (
    FIXTURES / name for name in ("us-image-retired-rgb.dcm", "us-cine-jpeg-30-frames.dcm", "comprehensive-sr.dcm")
)
Dcmtk = Callable[[Path, Path], object]


def tool(name: str, *options: str) -> Dcmtk:
    """Return what runs one of DCMTK's programs from a file to another."""
    return lambda source, copy: subprocess.run(
        [program(name, "dcmtk"), *options, str(source), str(copy)], check=True, capture_output=True, timeout=60
    )


def spooled(spool: FileSpool, file: Path) -> SpooledInstance:
    item = read_part10(file)
    known = replace(
        facts(item.sop_instance_uid),
        sop_class_uid=item.sop_class_uid,
        sop_instance_uid=item.sop_instance_uid,
        transfer_syntax=item.transfer_syntax,
    )
    return spool.keep(pieces(item.data, 100_000), known)


def delivery(instance: SpooledInstance, syntax: str = EXPLICIT, number: int = 1) -> Delivery:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    return Delivery(number, instance.id, "pacs", DeliveryState.SENDING, 1, now, now, "", syntax=syntax)


@pytest.fixture
def spool(tmp_path: Path) -> FileSpool:
    return FileSpool(tmp_path / "spool")


@pytest.mark.parametrize(
    ("compress", "syntax"),
    [
        (tool("dcmcrle"), "1.2.840.10008.1.2.5"),
        (tool("dcmcjpeg", "+e1"), "1.2.840.10008.1.2.4.70"),
        (tool("dcmcjpeg", "+el"), "1.2.840.10008.1.2.4.57"),
        (tool("dcmcjpls"), "1.2.840.10008.1.2.4.80"),
    ],
    ids=["RLE", "JPEG Lossless SV1", "JPEG Lossless", "JPEG-LS"],
)
def test_what_was_compressed_without_loss_comes_back_pixel_for_pixel(
    spool: FileSpool, tmp_path: Path, compress: Dcmtk, syntax: str
) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    tool("dcmconv", "+te")(IMAGE, plain)
    compress(plain, packed)
    assert read_part10(packed).transfer_syntax == syntax
    instance = spooled(spool, packed)
    with copies.prepared(spool, [(delivery(instance), instance)]) as prepared:
        assert not prepared.problems
        ((_, copy),) = prepared.batch
        spool.verify(copy)
        made = dcmread(spool.path_of(copy))
    original = dcmread(plain)
    assert made.PixelData == original.PixelData
    assert (made.SOPInstanceUID, made.file_meta.TransferSyntaxUID) == (original.SOPInstanceUID, EXPLICIT)
    assert copy.facts.transfer_syntax == EXPLICIT
    assert "LossyImageCompression" not in made


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_lossy_loop_is_decoded_as_dcmtk_does_and_says_that_it_was_lossy(
    spool: FileSpool, tmp_path: Path, syntax: str
) -> None:
    tool("dcmdjpeg", "+cp", "+px")(CINE, tmp_path / "theirs.dcm")
    instance = spooled(spool, CINE)
    with copies.prepared(spool, [(delivery(instance, syntax), instance)]) as prepared:
        assert not prepared.problems
        made = dcmread(spool.path_of(prepared.batch[0][1]))
    theirs = dcmread(tmp_path / "theirs.dcm")
    assert (made.NumberOfFrames, made.Rows, made.Columns) == (theirs.NumberOfFrames, theirs.Rows, theirs.Columns)
    assert (made.PhotometricInterpretation, made.PlanarConfiguration) == ("RGB", 0)
    assert (made.LossyImageCompression, made.file_meta.TransferSyntaxUID) == ("01", syntax)
    assert len(made.PixelData) == len(theirs.PixelData)
    differences = [abs(own - other) for own, other in zip(made.PixelData[::97], theirs.PixelData[::97], strict=True)]
    assert max(differences) <= 3 and sum(differences) / len(differences) < 0.1, "another rounding at most"


def test_a_report_goes_from_one_plain_syntax_to_another_with_every_value(spool: FileSpool) -> None:
    instance = spooled(spool, REPORT)
    with copies.prepared(spool, [(delivery(instance, IMPLICIT), instance)]) as prepared:
        made = dcmread(spool.path_of(prepared.batch[0][1]))
    assert made.file_meta.TransferSyntaxUID == IMPLICIT
    assert made.to_json() == dcmread(REPORT).to_json()


def test_nothing_stays_of_the_copies_and_a_batch_without_any_starts_nothing(spool: FileSpool) -> None:
    instance = spooled(spool, REPORT)
    with copies.prepared(spool, [(delivery(instance, ""), instance)]) as prepared:
        assert prepared.batch == [(delivery(instance, ""), instance)]
    assert not (spool.directory / "transcoding").exists()
    with copies.prepared(spool, [(delivery(instance, IMPLICIT), instance)]) as prepared:
        copy = spool.path_of(prepared.batch[0][1])
        assert copy.exists()
    assert list((spool.directory / "transcoding").iterdir()) == []


def test_a_file_that_cannot_be_decoded_is_named_and_the_others_go_on(spool: FileSpool, tmp_path: Path) -> None:
    packed, broken = tmp_path / "packed.dcm", tmp_path / "broken.dcm"
    tool("dcmcrle")(IMAGE, packed)
    data_set = dcmread(packed)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = f"{data_set.SOPInstanceUID}.9"
    data_set.PixelData = data_set.PixelData[:200]
    data_set.save_as(broken)
    items = [spooled(spool, broken), spooled(spool, packed)]
    batch = [(delivery(item, EXPLICIT, number), item) for number, item in enumerate(items, 1)]
    with copies.prepared(spool, batch) as prepared:
        assert [one.id for one, _ in prepared.batch] == [2]
        assert [one.id for one in prepared.parked] == [1]
        assert "cannot be decoded" in prepared.problems[1] and "have it accept that syntax" in prepared.problems[1]
