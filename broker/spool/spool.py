"""The spool: received instances, durable before Success. Small ones go into segments, large ones into files.

`keep`, `open`, `forget`. A record of a segment is indexed later, by who reads it with `tail.py`; a file at once, by who
kept it. A spool that did not `begin` writes files only.
"""

import hashlib
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from broker import durable
from broker.errors import Unavailable
from broker.identifiers import new_id
from broker.spool import record, segments, walk
from broker.spool.files import FileSpool, check_command, checked, identified
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.spool.record import Place, spooled
from broker.spool.room import Room
from broker.spool.segments import SegmentWriter
from broker.spool.tail import segment_name

LARGEST = 1024 * 1024  # of a data set in a segment; above it a file's own cost is small beside its bytes

_LOOK_SECONDS = 0.01
_BUFFERS = 16  # kept for the next who needs one
_HASHED = 64 * 1024  # bytes at a time, while the sender sends those that follow


@dataclass(frozen=True, slots=True)
class _Content:
    """A data set that is all there, and its hash."""

    data: memoryview
    sha256: bytes


class Spool(FileSpool):
    """One environment's spool. Every method may be called from many threads at once."""

    def __init__(self, directory: Path, room: Room | None = None) -> None:
        super().__init__(directory)
        self._room = room or Room(directory)
        self._writer: SegmentWriter | None = None
        self._buffers: list[bytearray] = []
        self._buffers_lock = threading.Lock()

    @property
    def room(self) -> Room:
        """The room of the spool's disk."""
        return self._room

    def begin(self) -> None:
        """Write segments from now on, as the only process that does. Raises Unavailable."""
        try:
            self._writer = SegmentWriter(self._directory)
        except OSError as error:
            raise Unavailable(f"the spool cannot be opened: {error.strerror or type(error).__name__}") from error

    def end(self) -> None:
        """Write no more."""
        if self._writer is not None:
            self._writer.close()

    def await_index(self, seconds: float) -> bool:
        """Wait until the index has read all that is durable, for so long at most; tell whether it has."""
        deadline = time.monotonic() + seconds
        while self._writer is not None and not self._writer.is_taken():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def keep(self, data: Iterable[memoryview], facts: ReceiptFacts, note: bytes = record.NO_NOTE) -> SpooledInstance:
        """Take a data set as it streams in; when this returns, it survives a power cut.

        `note` is a JSON object to be found again beside the instance where it lies in a segment; its attributes are
        read then, by who indexes it, and stay empty here.

        Raises BadInstance with the status to answer (PS3.4 B.2.3), Unavailable when the disk does not take it or is
        nearly full, and whatever `data` raises. In each case nothing is left.
        """
        self._room.check()
        if self._writer is None:
            return super().keep(data, facts)
        check_command(facts)
        buffer = self._buffer()
        try:
            return self._take(self._writer, buffer, iter(data), facts, note)
        finally:
            with self._buffers_lock:
                if len(self._buffers) < _BUFFERS:
                    self._buffers.append(buffer)

    def forget(self, instance: SpooledInstance) -> None:
        """Let an instance go: its file is removed, its record marked, so that the segment can be used again.

        Raises Unavailable; a file that stays is removed at the next start.
        """
        if not segment_name(instance.path):
            super().forget(instance)
            return
        self.mark_forgotten(instance.path, instance.offset - record.HEAD)

    def mark_forgotten(self, path: str, at: int) -> None:
        """Mark the record at `at` of a segment as one that nobody needs. Raises Unavailable."""
        try:
            durable.mark(self._directory / path, record.FORGOTTEN, at + record.FORGOTTEN_AT, segments.PLACE)
        except FileNotFoundError:
            return  # the segment is used again already
        except OSError as error:
            raise Unavailable(f"the spool cannot mark a record: {error.strerror}") from error

    def move_out(self, instance: SpooledInstance) -> SpooledInstance:
        """Copy an instance of a segment into a file of its own; return it there. Raises as `data` and `keep` do."""
        return self.copy(instance, self.data(instance))

    def _take(
        self,
        writer: SegmentWriter,
        buffer: bytearray,
        pieces: Iterator[memoryview],
        facts: ReceiptFacts,
        note: bytes,
    ) -> SpooledInstance:
        with memoryview(buffer) as whole:
            at = hashed = 0
            digest = hashlib.sha256()
            for piece in pieces:
                end = at + len(piece)
                if end > LARGEST:
                    return super().keep(chain((whole[:at], piece), pieces), facts)
                whole[at:end] = piece
                at = end
                if at - hashed >= _HASHED:
                    digest.update(whole[hashed:at])
                    hashed = at
            digest.update(whole[hashed:at])
            with whole[:at] as content:
                return self._append(writer, _Content(content, digest.digest()), facts, note)

    def _append(self, writer: SegmentWriter, content: _Content, facts: ReceiptFacts, note: bytes) -> SpooledInstance:
        data, sha256 = content.data, content.sha256
        facts = identified(facts, checked(walk.identify(data, facts.transfer_syntax), facts))
        identifier = new_id(facts.received)
        try:
            path, offset = writer.append(identifier, data, sha256, record.pack_facts(facts, note))
        except OSError:  # no segment to be had; what the disk says of a file is the answer
            return super().keep((data,), facts)
        return spooled(identifier, facts, {}, Place(path, offset, len(data), sha256.hex()))

    def _buffer(self) -> bytearray:
        with self._buffers_lock:
            if self._buffers:
                return self._buffers.pop()
        return bytearray(LARGEST)


def in_segment(instance: SpooledInstance) -> bool:
    """Tell whether an instance lies in a segment: then its record is what the index is made of."""
    return bool(segment_name(instance.path))


def held_segments(paths: Collection[str]) -> set[str]:
    """Return the names of the segments among paths of index rows."""
    return {name for name in map(segment_name, paths) if name}
