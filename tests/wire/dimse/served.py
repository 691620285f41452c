"""The product with the rows of the worklist tests, served for foreign peers; and data sets to send and compare."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from broker.dimse.service import OutgoingInstance
from broker.environments import profile as profiles
from broker.migrations import open_database
from tests.peers.broker import Environment
from tests.peers.processes import program, run
from tests.peers.raw_sender import DataSet, read_part10
from tests.wire.test_worklist_findscu import ROWS, fill

FIXTURES = sorted((Path(__file__).parents[3] / "fixtures" / "dicom").glob("*.dcm"))
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
# What dcmconv writes for each option; only of what is not compressed.
RECODINGS = {
    "+ti": "1.2.840.10008.1.2",
    "+te": EXPLICIT,
    "+tb": "1.2.840.10008.1.2.2",
    "+td": DEFLATED,
}
OPEN_ROWS = ROWS[:5]  # the sixth is cancelled
ACCESSIONS = [row[0] for row in OPEN_ROWS]


@contextmanager
def broker(folder: Path, destinations: str = "") -> Iterator[Environment]:
    """Run `broker serve` with the worklist's rows; everybody is let in."""
    made = Environment(folder, destinations=destinations, policy='unknown_callers = "accept"').write()
    made.register()
    with closing(open_database(profiles.read(made.profile))) as database:
        fill(database)
    with made.serving():
        yield made


def recoded(file: Path, folder: Path, option: str, number: int) -> Path:
    """Return a copy of a Part 10 file in another transfer syntax and with a SOP Instance UID of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{file.stem}{option}.dcm"
    done = run([program("dcmconv", "dcmtk"), option, str(file), str(made)])
    assert done.returncode == 0, done.stderr
    done = run([program("dcmodify", "dcmtk"), "-nb", "-m", f"SOPInstanceUID=1.2.826.0.1.{number + 1}", str(made)])
    assert done.returncode == 0, done.stderr
    return made


def outgoing(file: Path) -> OutgoingInstance:
    """Return a Part 10 file's data set as what is to be sent."""
    item, size = read_part10(file), file.stat().st_size
    length = len(item.data)
    return OutgoingInstance(
        item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax, str(file), size - length, length
    )


def padded(item: DataSet) -> bytes:
    """Return the data set's bytes as they are to arrive: a deflated one with even length (PS3.5 A.5)."""
    return item.data + bytes(len(item.data) % 2 if item.transfer_syntax == DEFLATED else 0)


def meaning(item: DataSet) -> bytes:
    """Return a data set as pydicom understands it, written in one way: lengths and syntax do not count."""
    dataset = dcmread(BytesIO(part10(item)), force=True)
    plain = Dataset()
    plain.update({element.tag: element for element in dataset if element.tag.element})
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, plain)
    return stream.getvalue()


def part10(item: DataSet) -> bytes:
    """Return the bytes of a file with this data set."""
    uid = item.transfer_syntax.encode()
    uid += b"\0" * (len(uid) % 2)
    syntax = b"\x02\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    length = b"\x02\0\0\0UL\x04\0" + len(syntax).to_bytes(4, "little")
    return bytes(128) + b"DICM" + length + syntax + item.data
