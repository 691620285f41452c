"""Files that survive a power cut. The only module that writes, syncs, renames and unlinks; it decides nothing else.

The order is always: temporary name, write, fdatasync, rename, fsync of the directory. A failed sync is never
retried on the same descriptor, since the kernel may have dropped the pages: the file is given up.
"""

import errno
import fcntl
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from broker import failpoints

TEMPORARY_SUFFIX = ".part"

_ON_ITS_WAY = 4 * 1024 * 1024  # bytes after which the disk begins to write them


class DurableFile:
    """A file that appears under its name whole and synced, or not at all.

    `place` names its failpoints (`<place>.write`, `.sync`, `.rename`, `.syncdir`). Leaving the `with` block without
    `commit` removes what was written. Every method raises OSError as the system gives it.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        self._place = place
        self._temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        self._descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._committed = False
        self._at = self._on_its_way = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`, all of it."""
        with failpoints.around(f"{self._place}.write"):
            view = memoryview(data).cast("B")
            while view:
                written = os.write(self._descriptor, view)
                view, self._at = view[written:], self._at + written
            if self._at - self._on_its_way >= _ON_ITS_WAY:
                self._send_on()

    def _send_on(self) -> None:
        """Have the system begin to write what it holds, so that the sync at the end finds little left to do.

        Linux does so with pages of which it is said that they are not needed soon; while it writes them, they stay in
        its memory all the same. It promises nothing, and what fails is told by the sync.
        """
        os.posix_fadvise(self._descriptor, self._on_its_way, self._at - self._on_its_way, os.POSIX_FADV_DONTNEED)
        self._on_its_way = self._at

    def commit(self) -> None:
        """Make the file durable under its name; when this returns, a power cut no longer loses it."""
        with failpoints.around(f"{self._place}.sync"):
            os.fdatasync(self._descriptor)
        self._close()
        with failpoints.around(f"{self._place}.rename"):
            self._temporary.rename(self._path)
        self._committed = True
        with failpoints.around(f"{self._place}.syncdir"):
            _sync_directory(self._path.parent)

    def __enter__(self) -> "DurableFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if not self._committed:
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PrewrittenFile:
    """A file that has its room, from `prewrite` or `reserve`.

    Over blocks that were written before, a sync changes no metadata, and costs least. `place` names its failpoints.
    Every method raises OSError as the system gives it. After a sync that failed the file is to be closed and used no
    more.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._write_place, self._sync_place = f"{place}.write", f"{place}.sync"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return os.fstat(self._descriptor).st_size

    @property
    def has_name(self) -> bool:
        """Tell whether it still has a name: what is written to a file that was deleted is lost when it is closed."""
        return os.fstat(self._descriptor).st_nlink > 0

    def write(self, pieces: Sequence[bytes | memoryview], at: int) -> None:
        """Write the pieces one after the other from `at` on."""
        with failpoints.around(self._write_place):
            wanted = sum(map(len, pieces))
            if os.pwritev(self._descriptor, pieces, at) != wanted:
                _write_rest(self._descriptor, b"".join(pieces), at)

    def sync(self) -> None:
        """Make what was written durable."""
        with failpoints.around(self._sync_place):
            os.fdatasync(self._descriptor)
            # Where ext4 has given up its journal meanwhile, a sync of blocks that were reserved says nothing of it, and
            # they are zeros after the next start (fs/ext4/page-io.c, "potential data loss"). A write, of nothing, does.
            os.pwrite(self._descriptor, b"", 0)

    def close(self) -> None:
        """Close it; may be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SharedPage:
    """A page of memory that processes share by a file; for what need not survive. Written by one process only."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, mmap.PAGESIZE)
            self._page = mmap.mmap(descriptor, mmap.PAGESIZE)
        finally:
            os.close(descriptor)

    def put(self, content: bytes, at: int = 0) -> None:
        """Replace so many bytes, the first ones or those from `at` on."""
        self._page[at : at + len(content)] = content

    def get(self, length: int, at: int = 0) -> bytes:
        """Return so many bytes, the first ones or those from `at` on."""
        return self._page[at : at + length]


def prewrite(path: Path, size: int, place: str, pause: float = 0.0) -> None:
    """Make a file of `size` zero bytes, all of them written and synced; the name is not synced.

    It is written by the megabyte with rests of `pause` seconds between, so that others' syncs need not wait.
    """
    zeros = bytes(min(size, 1024 * 1024))
    with _reserved(path, size, place) as descriptor:
        for at in range(0, size, len(zeros)):
            _write_rest(descriptor, zeros[: size - at], at)
            os.fdatasync(descriptor)
            time.sleep(pause)


def reserve(path: Path, size: int, place: str) -> None:
    """Make a file of `size` bytes that read as zeros, its room taken and synced; the name is not synced.

    Nothing is written: a hundredth of the work of `prewrite`. A sync of what is written there changes metadata
    too, which blocks are no zeros any more, and `fdatasync` covers that, since without it nothing could be read.
    """
    with _reserved(path, size, place):
        pass


@contextmanager
def _reserved(path: Path, size: int, place: str) -> Iterator[int]:
    """Give the descriptor of a file that has its room, and at the end of the block its name; it is synced before."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with failpoints.around(f"{place}.prewrite"):
            os.posix_fallocate(descriptor, 0, size)
            yield descriptor
            os.fsync(descriptor)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def mark(path: Path, content: bytes, at: int, place: str) -> None:
    """Write a few bytes over those of a file, unsynced: for marks whose loss does no harm."""
    with failpoints.around(f"{place}.mark"):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, content, at)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file durable that an ended process may have left unsynced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_rest(descriptor: int, content: bytes, at: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


def make_directory(path: Path) -> None:
    """Create `path` and its parents, each entry synced into its own parent."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(path.parent)


def append(path: Path, data: bytes, place: str, mode: int = 0o640) -> None:
    """Add `data` to the end of a file in one write; when this returns, a power cut no longer loses it.

    Several processes may do so at once. Raises OSError; what was written in part stays for the reader to pass over.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        with failpoints.around(f"{place}.write"):
            written = os.write(descriptor, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with failpoints.around(f"{place}.sync"):
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        _sync_directory(path.parent)


def remove(path: Path, place: str) -> None:
    """Remove a file; one that is gone already is fine. The directory is not synced: a file that returns is harmless."""
    with failpoints.around(f"{place}.unlink"):
        path.unlink(missing_ok=True)


def move(path: Path, target: Path, place: str) -> None:
    """Move a file to another directory of the same file system; both directories are synced."""
    with failpoints.around(f"{place}.rename"):
        path.rename(target)
    with failpoints.around(f"{place}.syncdir"):
        for directory in {target.parent, path.parent}:
            _sync_directory(directory)


def sync_parent(path: Path) -> None:
    """Make the entry of `path` in its parent durable, where an ended process may have left it unsynced."""
    _sync_directory(path.parent)


def discard_leftover(path: Path) -> None:
    """Remove the temporary file that an ended process left of `path`."""
    path.with_name(path.name + TEMPORARY_SUFFIX).unlink(missing_ok=True)


def remove_leftovers(directory: Path) -> int:
    """Remove the temporary files that an ended process left in `directory`; return how many there were."""
    leftovers = list(directory.glob(f"*{TEMPORARY_SUFFIX}"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def scratch(folder: Path, older_seconds: float) -> Iterator[Path]:
    """Give a new directory in `folder` for what need not survive, and remove it with all in it at the end.

    What ended processes left there is removed too, once it is older than so many seconds.
    """
    make_directory(folder)
    before = time.time() - older_seconds
    for left in folder.iterdir():
        with suppress(OSError):
            if left.stat().st_mtime < before:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def lock(path: Path) -> int | None:
    """Take the lock that `path` stands for, for the life of the process; return its descriptor, or None when taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock that `path` stands for. Raises OSError where that cannot be looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment, which `serve` waits for
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
