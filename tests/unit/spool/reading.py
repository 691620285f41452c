"""A spool's segments read as a start of the product reads them. Asserts nothing."""

from pathlib import Path

from broker.spool import segments
from broker.spool.segments import SegmentWriter
from broker.spool.spool import Spool
from broker.spool.tail import Found, SegmentReader, Tail
from tests.peers.raw_sender import read_part10


def found(spool: Path) -> list[Found]:
    """Return every record that is not forgotten, whole or not, with its data set's hash compared."""
    SegmentWriter(spool)  # the process before it writes no more
    return taken(Tail(spool))


def taken(tail: Tail) -> list[Found]:
    """Return what the tail has to give now."""
    return [
        part.reader.found(at, head) for part in tail.ready() for at, head in part.reader.heads(part.start, part.end)
    ]


def left(spool: Path) -> list[str]:
    """Return what a spool that may be in use has not forgotten: the identifiers of records and of files."""
    found = [path.stem for path in spool.rglob("*.dcm")]
    for name in segments.in_use(spool / segments.FOLDER):
        with SegmentReader(spool, name) as reader:
            found += [head.id for _, head in reader.heads(segments.FIRST, reader.end())]
    return found


def data_sets(spool: Path) -> set[bytes]:
    """Return the data sets of a spool that nobody serves any more."""
    kept = [one.kept.instance for one in found(spool) if one.kept]
    records = {b"".join(Spool(spool).data(instance)) for instance in kept}
    return records | {read_part10(path).data for path in spool.rglob("*.dcm")}


def kept_ids(spool: Path) -> list[str]:
    """Return the identifiers of the whole records."""
    return [one.kept.instance.id for one in found(spool) if one.kept]
