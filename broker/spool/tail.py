"""Reads segments: record by record what their writer has synced, and what another process left. Writes nothing."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker import durable
from broker.spool import record, segments, walk
from broker.spool.errors import BadInstance, DamagedInstance
from broker.spool.files import checked
from broker.spool.model import ReceiptFacts
from broker.spool.record import PAGE, Head, Kept, Place, spooled
from broker.spool.segments import CLOSED, FIRST, IN_USE, PACKED, Written

_PIECE = 1024 * 1024
_FRONT = 16 * 1024  # of a data set: what comes before the pixels usually ends within


@dataclass(frozen=True, slots=True)
class Found:
    """A record at its place: whole (`kept`), or not, for the reason given."""

    segment: str
    at: int
    head: Head
    kept: Kept | None
    problem: str = ""


class SegmentReader:
    """One segment, open for reading."""

    def __init__(self, spool: Path, name: str) -> None:
        self.name = name
        self._path = spool / segments.path_of(name)
        self._file = self._path.open("rb", buffering=0)
        self._size = self._path.stat().st_size

    def __enter__(self) -> "SegmentReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def heads(self, start: int, end: int) -> Iterator[tuple[int, Head]]:
        """Give place and header of each record from `start` to `end` that is not marked as forgotten.

        Where a header is missing the pages after it are searched for the next.
        """
        at = start
        while at < end:
            head = self._head(at)
            if head is not None and not head.forgotten:
                yield at, head
            at += PAGE if head is None else head.size

    def end(self) -> int:
        """Return where a closed segment ends: what its first page says, else its size."""
        said = self.said_end()
        return self._size if said is None else said

    def said_end(self) -> int | None:
        """Return where a segment ends that its writer has closed; all before it is synced. None where it did not."""
        said = segments.unpack(self._at(0, PACKED))
        return said.end if said is not None and said.segment == self.name else None

    def found(self, at: int, head: Head, *, is_fresh: bool = False) -> Found:
        """Return the record; its data set is read, and compared with its hash.

        Of one that is `fresh`, written and synced by a process that still writes, no more is read than the index
        needs: it is compared with its hash before it is sent, and after a stop.
        """
        try:
            kept = self._fresh(at, head) if is_fresh else None
            return Found(self.name, at, head, kept or self._whole(at, head))
        except (DamagedInstance, BadInstance) as error:
            return Found(self.name, at, head, None, str(error))

    def _fresh(self, at: int, head: Head) -> Kept | None:
        """Return a record by the beginning of its data set; None where that is too little."""
        data_at = at + record.HEAD
        facts, note = record.unpack_facts(head, self._at(data_at + head.length, head.facts_length))
        scan = walk.scan_front(memoryview(self._at(data_at, min(_FRONT, head.length))), facts.transfer_syntax)
        return None if scan is None else self._kept(data_at, head, checked(scan, facts), facts, note)

    def _whole(self, at: int, head: Head) -> Kept:
        data_at = at + record.HEAD
        content = memoryview(self._at(data_at, head.length + head.facts_length))
        data = content[: head.length]
        facts, note = record.unpack_facts(head, bytes(content[head.length :]))
        if hashlib.sha256(data).digest() != head.sha256:
            raise DamagedInstance("the data set has another hash than the one that was kept")
        attributes = checked(walk.scan_whole(data, facts.transfer_syntax), facts)
        return self._kept(data_at, head, attributes, facts, note)

    def _kept(
        self, at: int, head: Head, attributes: Mapping[str, str], facts: ReceiptFacts, note: Mapping[str, Any]
    ) -> Kept:
        place = Place(segments.path_of(self.name), at, head.length, head.sha256.hex())
        return Kept(spooled(head.id, facts, attributes, place), note)

    def pieces(self, at: int, length: int) -> Iterator[bytes]:
        """Give so many bytes, fewer where the file ends."""
        while length and (piece := self._at(at, min(length, _PIECE))):
            yield piece
            at, length = at + len(piece), length - len(piece)

    def _head(self, at: int) -> Head | None:
        head = record.read_head(self.name, self._at(at, record.HEAD))
        # no length is believed before it is compared with what is there
        return head if head is not None and head.size <= self._size - at else None

    def _at(self, at: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, at)


@dataclass(frozen=True, slots=True)
class Part:
    """The records of a segment from `start` to `end`; fresh where their writer has synced them and still writes."""

    reader: SegmentReader
    start: int
    end: int
    is_fresh: bool

    def found(self, at: int, head: Head) -> Found:
        """Return a record of it."""
        return self.reader.found(at, head, is_fresh=self.is_fresh)


class Tail:
    """What the index has to take from the segments: each record once in this process, when it is durable."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._folder = spool / segments.FOLDER
        self._page: durable.SharedPage | None = None
        self._taken: dict[str, int] = {}  # how far each segment was looked at; CLOSED for those that are through
        self._seen: Written | None = None

    def through(self, name: str) -> bool:
        """Tell whether a segment is closed and every record of it was taken."""
        return self._taken.get(name, 0) == CLOSED

    def forget(self, name: str) -> None:
        """Drop a segment that exists no more."""
        self._taken.pop(name, None)

    def ready(self) -> Iterator[Part]:
        """Give each part of a segment that can be read now; it counts as taken when the next is asked for."""
        written = self._written()
        if written is None or written == self._seen:
            return
        for name in segments.in_use(self._folder):
            if segments.number_of(name) <= segments.number_of(written.segment) and not self.through(name):
                is_open = name == written.segment and written.end != CLOSED
                yield from self._part(name, written.end if is_open else CLOSED)
        self._seen = written
        durable.SharedPage(self._folder / segments.TAKEN).put(written.pack())

    def _part(self, name: str, upto: int) -> Iterator[Part]:
        with SegmentReader(self._spool, name) as reader:
            is_fresh = upto != CLOSED or (reader.said_end() is not None and self._is_of_writer(name))
            start, end = self._taken.get(name, FIRST), reader.end() if upto == CLOSED else upto
            if not is_fresh and start < end:
                durable.sync_file(self._spool / segments.path_of(name))
            yield Part(reader, start, end, is_fresh)
        self._taken[name] = upto

    def _is_of_writer(self, name: str) -> bool:
        """Tell whether a segment that was closed is of the process that still writes, and not of an ended one."""
        return self._page is not None and segments.is_of_writer(self._page, name)

    def _written(self) -> Written | None:
        if self._page is None:
            path = self._folder / segments.WRITTEN
            if not path.is_file():
                return None
            self._page = durable.SharedPage(path)
        return segments.unpack(self._page.get(PACKED))


def segment_name(path: str) -> str:
    """Return the segment of an index row's path; empty for a file of its own."""
    folder, _, name = path.rpartition("/")
    return name.removesuffix(IN_USE) if folder == segments.FOLDER else ""
