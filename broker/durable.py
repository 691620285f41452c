"""Files that survive a power cut. The only module that writes, syncs, renames and unlinks; it decides nothing else.

The order is always: temporary name, write, fdatasync, rename, fsync of the directory. A failed sync is never
retried on the same descriptor, since the kernel may have dropped the pages: the file is given up.
"""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from broker import failpoints

TEMPORARY_SUFFIX = ".part"


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

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`, all of it."""
        with failpoints.around(f"{self._place}.write"):
            view = memoryview(data).cast("B")
            while view:
                view = view[os.write(self._descriptor, view) :]

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
        _sync_directory(target.parent)
        _sync_directory(path.parent)


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


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
