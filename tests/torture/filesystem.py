"""File systems that end, fill up or turn read-only when told to: ext4 in a file, tmpfs. They need root."""

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from tests.peers.processes import program

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_WITHOUT_JOURNAL = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH
_PATIENCE = 10.0


class _Mounted:
    """A mounted folder; unmounted at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def mount(self) -> None:
        """Mount it."""
        raise NotImplementedError

    def unmount(self) -> None:
        """Unmount it, as soon as nothing uses it any more."""
        deadline = time.monotonic() + _PATIENCE
        while self.folder.is_mount():
            with suppress(subprocess.CalledProcessError):
                run_as_root(["umount", str(self.folder)])
            assert time.monotonic() < deadline, f"{self.folder} stays in use"

    def __enter__(self):  # type: ignore[no-untyped-def]
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount()


class Ext4(_Mounted):
    """ext4 in a file of some MiB."""

    def __init__(self, folder: Path, mebibytes: int = 96) -> None:
        super().__init__(folder / "disk")
        self._image = folder / "disk.ext4"
        with self._image.open("wb") as image:
            image.truncate(mebibytes * 2**20)
        run_as_root([program("mkfs.ext4", "e2fsprogs"), "-q", "-F", str(self._image)])

    def mount(self) -> None:
        run_as_root(["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder)])

    def cut_off(self) -> None:
        """Have nothing reach the disk any more, not even the journal."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_JOURNAL))
        finally:
            os.close(descriptor)

    def fail(self) -> None:
        """Let the file system believe in an error of its disk: it turns read-only, whoever writes."""
        device = Path(_device_of(self.folder)).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")

    def repair(self) -> None:
        """Check it, and mount it again."""
        self.unmount()
        run_as_root([program("e2fsck", "e2fsprogs"), "-f", "-y", str(self._image)], (0, 1))
        self.mount()

    def mount_again(self) -> None:
        """Read what has reached the disk, as after a start of the machine."""
        self.unmount()
        self.mount()


class Tmpfs(_Mounted):
    """A file system in memory, as large as one likes."""

    def __init__(self, folder: Path, options: str) -> None:
        super().__init__(folder / "small")
        self._options = options

    def mount(self) -> None:
        run_as_root(["mount", "-t", "tmpfs", "-o", self._options, "tmpfs", str(self.folder)])

    def free(self) -> int:
        """Return how many bytes are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


def _device_of(folder: Path) -> str:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next(words[0] for words in mounts if words[1] == str(folder))


def run_as_root(command: Sequence[str], codes: Collection[int] = (0,)) -> None:
    """Run a command that must succeed. Raises CalledProcessError."""
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    if done.returncode not in codes:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
