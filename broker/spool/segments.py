"""Writes records into segments, one sync for all who wait. Reads none, and knows no index.

A segment is a file of zeros in which record follows record; when all of its instances are forgotten it is used again
under a new name (`recycling.py`). A process never goes on with a segment that another began.
"""

import errno
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker import durable
from broker.errors import Unavailable
from broker.spool import record

FOLDER = "segments"
IN_USE = ".seg"
FREE = ".free"
PLACE = "segment"
WRITTEN = "written"  # the page by which the writer says how far all is durable
TAKEN = "taken"  # the page by which the index says how far it has read
SIZE = 16 * 1024 * 1024  # some 430 images of 33 KiB
FIRST = record.PAGE  # where the first record is: the page before says where a closed segment ends
CLOSED = 1 << 62  # the end of a segment to which nobody writes any more

_CLOSING_SECONDS = 0.001
_REST_SECONDS = 0.004  # between megabytes of a segment that is made in advance
_DIGITS = 8
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MAGIC = b"MBSEGM01"
_ZEROS = memoryview(bytes(record.PAGE))
_END = struct.Struct("<8s26sQI")  # magic, segment, end, CRC-32 of these
_SINCE = struct.Struct("<QI")  # number of the last segment before this writer's, CRC-32


@dataclass(frozen=True, slots=True)
class Written:
    """How far a segment is written and synced. Of names, `number_of` says which came first."""

    segment: str
    end: int

    def pack(self) -> bytes:
        """Return it as bytes."""
        content = _END.pack(_MAGIC, self.segment.encode("ascii"), self.end, 0)
        return content[:-4] + zlib.crc32(content).to_bytes(4, "little")


def unpack(content: bytes) -> Written | None:
    """Return what `pack` has packed, or None where that is not whole."""
    if len(content) < _END.size:
        return None
    magic, name, end, check = _END.unpack_from(content)
    whole = zlib.crc32(content[: _END.size - 4] + bytes(4))
    return Written(name.rstrip(b"\0").decode("ascii"), end) if (magic, check) == (_MAGIC, whole) else None


PACKED = _END.size


def begin(page: durable.SharedPage, number: int) -> None:
    """Say on its page that a writer begins: the segments up to this number are of others."""
    check = _SINCE.pack(number, 0)
    page.put(_SINCE.pack(number, zlib.crc32(check)), PACKED)
    page.put(Written(f"{number:0{_DIGITS}}", CLOSED).pack())


def is_of_writer(page: durable.SharedPage, name: str) -> bool:
    """Tell whether the writer that has this page began the segment; no, where the page does not say."""
    number, check = map(int, _SINCE.unpack(page.get(_SINCE.size, PACKED)))
    return check == zlib.crc32(_SINCE.pack(number, 0)) and number_of(name) > number


def number_of(name: str) -> int:
    """Return which segment of this spool it is, in the order of use; -1 for no name at all."""
    digits = name[:_DIGITS]
    return int(digits) if digits.isdigit() else -1


def in_use(folder: Path) -> list[str]:
    """Return the names of the segments that hold records, in the order of use."""
    return sorted((path.stem for path in folder.glob(f"*{IN_USE}")), key=number_of)


def free(folder: Path) -> list[Path]:
    """Return the segments that wait to be used again."""
    return sorted(folder.glob(f"*{FREE}"))


def path_of(name: str) -> str:
    """Return a segment's path below the spool, as index rows have it."""
    return f"{FOLDER}/{name}{IN_USE}"


def retire(spool: Path, name: str, *, keeps: bool) -> None:
    """Have a segment of which nothing is needed used again, or its room given back. Raises OSError."""
    path = spool / path_of(name)
    durable.move(path, path.with_suffix(FREE), PLACE)
    if not keeps:
        durable.remove(path.with_suffix(FREE), "spool")


def prepare(spool: Path, size: int = SIZE) -> None:
    """Make a segment in advance, all of it written, so that syncs of its records cost least. Raises OSError."""
    durable.prewrite(_new(spool / FOLDER), size, PLACE, _REST_SECONDS)


def _new(folder: Path) -> Path:
    return folder / f"{0:0{_DIGITS}}-{secrets.token_hex(8)}{FREE}"


class _Job:
    """A record that somebody waits for."""

    __slots__ = ("at", "data", "error", "facts", "identifier", "path", "sha256", "size", "turn")

    def __init__(self, identifier: str, data: memoryview, sha256: bytes, facts: bytes) -> None:
        self.identifier = identifier
        self.data = data
        self.sha256 = sha256
        self.facts = facts
        self.size = record.size_of(len(data), len(facts))
        self.path = ""
        self.at = 0
        self.error: Exception | None = None
        self.turn: threading.Lock | None = None  # held until it is done, or has to write: of who waits for another

    @property
    def done(self) -> bool:
        return bool(self.path) or self.error is not None

    def pieces(self, segment: str) -> list[bytes | memoryview]:
        head = record.pack_head(segment, self.identifier, len(self.data), self.sha256, self.facts)
        pad = self.size - record.HEAD - len(self.data) - len(self.facts)
        return [head, self.data, self.facts, _ZEROS[:pad]]


@dataclass(slots=True)
class _Active:
    """The segment that is being written."""

    name: str
    file: durable.PrewrittenFile
    size: int
    at: int = FIRST


class SegmentWriter:
    """The one writer of a spool's segments. `append` may be called from many threads at once."""

    def __init__(self, spool: Path, size: int = SIZE) -> None:
        self._folder = spool / FOLDER
        self._size = size
        durable.make_directory(self._folder)
        self._page = durable.SharedPage(self._folder / WRITTEN)
        self._taken = durable.SharedPage(self._folder / TAKEN)
        durable.remove_leftovers(self._folder)
        names = [*in_use(self._folder), *(path.stem for path in free(self._folder))]
        self._number = max(map(number_of, names), default=0)
        self._active: _Active | None = None
        self._waiting: list[_Job] = []
        self._is_writing = False  # somebody is
        self._lock = threading.Lock()  # of these two
        begin(self._page, self._number)

    def append(self, identifier: str, data: memoryview, sha256: bytes, facts: bytes) -> tuple[str, int]:
        """Write a record; when this returns (path below the spool, offset of the data set), it survives a power cut.

        Raises OSError where no segment could be had, Unavailable where the disk did not take the record.
        """
        job = _Job(identifier, data, sha256, facts)
        with self._lock:
            self._waiting.append(job)
            if self._is_writing:
                job.turn = threading.Lock()
                job.turn.acquire()
            self._is_writing = True
        if job.turn is not None:
            job.turn.acquire()
        if not job.done:
            self._lead()
        if job.error is not None:
            raise job.error
        return job.path, job.at + record.HEAD

    def _lead(self) -> None:
        """Write for all who wait now, then leave it to the first of those who came meanwhile.

        Each is woken by name: were the turn a lock that all of them wait for, those who are done would pass it on
        one by one before the next could be written.
        """
        with self._lock:
            jobs, self._waiting = self._waiting, []
        try:
            self._write_all(jobs)
        finally:
            with self._lock:
                successor = self._waiting[0] if self._waiting else None
                self._is_writing = successor is not None
            for job in (*((successor,) if successor else ()), *jobs):
                if job.turn is not None:
                    job.turn.release()

    def is_taken(self) -> bool:
        """Tell whether the index has read all that is durable."""
        return self._page.get(PACKED) == self._taken.get(PACKED)

    def close(self) -> None:
        """Say that nothing more will be written. Waits for who writes."""
        while True:
            with self._lock:
                if not self._is_writing:
                    self._leave()
                    return
            time.sleep(_CLOSING_SECONDS)

    def _write_all(self, jobs: Sequence[_Job]) -> None:
        try:
            at = 0
            while at < len(jobs):
                at += self._write_some(jobs[at:])
        except OSError as error:
            for job in jobs:
                if not job.done:
                    job.error = OSError(error.errno, error.strerror)
        finally:
            for job in jobs:
                if not job.done:  # whatever it was, it is the leader's to tell
                    job.error = Unavailable("the spool's writer failed")

    def _write_some(self, jobs: Sequence[_Job]) -> int:
        """Write as many as the segment has room for, and sync once; return how many that were. Raises OSError."""
        active = self._roomy(jobs[0].size)
        group: list[_Job] = []
        pieces: list[bytes | memoryview] = []
        at = active.at
        for job in jobs[:_MOST]:
            if at + job.size > active.size:
                break
            job.at = at
            at += job.size
            pieces += job.pieces(active.name)
            group.append(job)
        try:
            active.file.write(pieces, active.at)
            active.file.sync()
        except OSError as error:
            self._give_up(group, error)
            return len(group)
        active.at = at
        self._page.put(Written(active.name, at).pack())
        for job in group:
            job.path = path_of(active.name)
        return len(group)

    def _give_up(self, group: Sequence[_Job], error: OSError) -> None:
        """Leave a segment whose sync has failed: the kernel may have dropped its pages, so it is not tried again."""
        active = self._active
        assert active is not None  # the caller wrote to it
        reason = Unavailable(f"the spool cannot be written: {error.strerror or type(error).__name__}")
        for job in group:
            job.error = reason
        with suppress(OSError):
            for job in group:  # what was refused had better not be found
                active.file.write([bytes(record.HEAD)], job.at)
        self._leave()

    def _roomy(self, size: int) -> _Active:
        """Return the segment to write to. Raises OSError where none can be had."""
        active = self._active
        if active is not None and active.at + size <= active.size and active.file.has_name:
            return active
        self._leave()
        spare = self._spare()
        self._number += 1
        name = f"{self._number:0{_DIGITS}}-{''.join(secrets.choice(_ALPHABET) for _ in range(16))}"
        path = self._folder / f"{name}{IN_USE}"
        durable.move(spare, path, PLACE)
        file = durable.PrewrittenFile(path, PLACE)
        self._active = _Active(name, file, file.size)
        self._page.put(Written(name, self._active.at).pack())
        if self._active.at + size > self._active.size:
            raise OSError(errno.EFBIG, "the record is larger than a segment")
        return self._active

    def _leave(self) -> None:
        """Close the active segment, and say in its first page where it ends, so that a start need not search it."""
        active, self._active = self._active, None
        if active is None:
            return
        with suppress(OSError):
            active.file.write([Written(active.name, active.at).pack()], 0)
        active.file.close()
        self._page.put(Written(active.name, CLOSED).pack())

    def _spare(self) -> Path:
        """Return a segment that nobody uses: a written one, else one that has its room and no more.

        Zeros that were written now would double the disk's work while images wait for their syncs.
        """
        for path in free(self._folder):
            return path
        path = _new(self._folder)
        durable.reserve(path, self._size, PLACE)
        return path


_MOST = 200  # records in one call: four pieces each, and the system takes 1,024
