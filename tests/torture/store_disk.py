"""Faults F09 to F11: syncs that fail, disks that are full, have no names left or turn read-only, under real processes.

Demanded of each: what could not be kept is refused and never answered 0000; with the disk well again all is taken,
without a person and, where only room was missing, without a restart.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from tests.torture.classes import Case, FaultClass
from tests.torture.crashing import Crashing
from tests.torture.filesystem import Ext4, Tmpfs
from tests.torture.store_kills import LARGE, MIDDLE, SMALL, crashing, image, nursery

_KEEPING = ("segment.write", "segment.sync", "spool.write", "spool.sync", "spool.rename", "spool.syncdir")
_MAKING = ("segment.prewrite", "segment.rename", "segment.syncdir")
_COMMITS = ("spool-index.commit", "delivery-lease.commit", "delivery-outcome.commit", "associations.commit")
_PLACES = (
    *product((*_KEEPING, *_MAKING, "segment.mark"), ("before", "after")),
    *product(_COMMITS, ("before",)),  # what fails after a commit has not failed
)
_LEASE_ENDS = 400.0  # seconds after which what was being sent when the database failed is due again


def failing_syncs() -> Iterator[Case[Crashing]]:
    """F09: EIO, once, at every place that makes something durable; what it was about is never answered 0000."""
    for (place, side), nth in product(_PLACES, (1, 2, 3)):
        yield Case(f"{place}.{side}:{nth}:eio", partial(_fails_once, place, f"{place}.{side}:{nth}:eio"))


def full_places() -> Iterator[Case[Crashing]]:
    """F10: ENOSPC at every place, the first and the second time."""
    for (place, side), nth in product(_PLACES, (1, 2)):
        yield Case(f"no room at {place}.{side}", partial(_fails_once, place, f"{place}.{side}:{nth}:enospc"))


def _fails_once(place: str, fail: str, world: Crashing) -> None:
    """Send images of all sizes while it fails, then again what was refused: without a restart."""
    offset = world.folder / "offset"
    assert world.begin(fail, BROKER_CLOCK_OFFSET_FILE=str(offset)), f"did not start: {world.log_end()}"
    statuses = []
    for number, pixels in enumerate((SMALL, MIDDLE, LARGE, SMALL, LARGE, MIDDLE, LARGE)):
        statuses.append(world.send(image(f"1.2.826.0.1.9.{world.lives}.{number}", pixels)))
    refused = [status for status in statuses if status != 0]
    assert all(status is not None and 0xA700 <= status <= 0xA7FF for status in refused), f"refused by {refused}"
    if place in ("segment.sync", "segment.write", "spool.sync", "spool.write"):
        assert refused, "what could not be kept was answered 0000"
    if place.startswith("delivery-"):  # what the PACS said is not known: sent again when the lease ends
        time.sleep(1.0)
        world.pacs["pacs0"].life += 1
        offset.write_text(str(_LEASE_ENDS))
    world.settle()
    world.judge()


# --- F10: a disk that fills up -----------------------------------------------------------------------------------


@dataclass
class Small:
    """A product on a small file system."""

    disk: Tmpfs
    world: Crashing

    def fill(self, left: int) -> Path:
        """Leave so many bytes free; return what takes the rest."""
        ballast = self.disk.folder / "ballast"
        with ballast.open("wb") as file, suppress(OSError):  # the product may have taken some of it meanwhile
            file.write(bytes(max(0, self.disk.free() - left)))
        return ballast


@contextmanager
def small(options: str = "size=24m") -> Iterator[Small]:
    """Give a product whose state is on a small file system."""
    with tempfile.TemporaryDirectory(prefix="broker-small-") as name, Tmpfs(Path(name), options) as disk:
        world = Crashing(Path(name), nursery(), state=disk.folder / "state")
        try:
            yield Small(disk, world)
        finally:
            world.close()


def full_disks() -> Iterator[Case[Small]]:
    """F10: a file system with so many bytes left, below the threshold, at it, above it, and none at all."""
    for left in (0, 1, 512, 4096, 8192, 65536, 100_000, 200_000, 400_000, 800_000, 1_200_000, 1_300_000, 2_000_000):
        yield Case(f"{left} bytes left", partial(_fills_up, left, ""))
    for left in (0, 4096, 65536, 400_000, 800_000, 1_300_000, 2_000_000):
        yield Case(f"{left} bytes left, and killed", partial(_fills_up, left, "kill"))


def _fills_up(left: int, end: str, small: Small) -> None:
    world = small.world
    offset = world.folder / "offset"
    begin = partial(world.begin, BROKER_CLOCK_OFFSET_FILE=str(offset))
    assert begin(), world.log_end()
    assert world.send(image("1.2.826.0.1.9.1.1", MIDDLE)) == 0
    ballast = small.fill(left)
    for number in range(8):
        status = world.send(image(f"1.2.826.0.1.9.2.{number}", (SMALL, MIDDLE, LARGE)[number % 3]))
        assert status == 0 or (status is not None and 0xA700 <= status <= 0xA7FF), f"answered {status}"
    if end:
        world.end(end)
    ballast.unlink()
    if end:
        assert begin(), world.log_end()
    else:  # what the PACS said while there was no room to record it is not known: sent again when the lease ends
        world.pacs["pacs0"].life += 1
        offset.write_text(str(_LEASE_ENDS))
    world.settle()
    world.judge()


# --- F11: names, and read-only -----------------------------------------------------------------------------------


def no_names() -> Iterator[Case[Small]]:
    """F11: a file system without room for another name."""
    for number in range(10):
        yield Case(f"no inode left ({number})", partial(_runs_out_of_names, number))


def _runs_out_of_names(seed: int, small: Small) -> None:
    world, chance = small.world, random.Random(f"F11 {seed}")
    assert world.begin(), world.log_end()
    taken = small.disk.folder / "taken"
    taken.mkdir()
    number = 0
    try:
        while True:
            (taken / str(number)).touch()
            number += 1
    except OSError:
        pass
    for number in range(6):
        status = world.send(image(f"1.2.826.0.1.9.2.{number}", chance.choice((SMALL, MIDDLE, LARGE))))
        assert status == 0 or (status is not None and 0xA700 <= status <= 0xA7FF), f"answered {status}"
    for path in taken.iterdir():
        path.unlink()
    world.settle()
    world.judge()


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def read_only() -> Iterator[Case[None]]:
    """F11: the file system turns read-only in the midst of receiving, as ext4 does after an error of the disk."""
    for seed in range(10):
        yield Case(f"read-only, seed {seed}", partial(_turns_read_only, seed))


def _turns_read_only(seed: int, _world: None) -> None:
    chance = random.Random(f"read-only {seed}")
    with tempfile.TemporaryDirectory(prefix="broker-small-") as name, Ext4(Path(name)) as disk:
        world = Crashing(Path(name), nursery(), state=disk.folder / "state")
        try:
            assert world.begin(), world.log_end()
            for number in range(chance.randrange(1, 4)):
                assert world.send(image(f"1.2.826.0.1.9.1.{number}", MIDDLE)) == 0
            disk.fail()
            for number in range(4):
                status = world.send(image(f"1.2.826.0.1.9.2.{number}", chance.choice((SMALL, MIDDLE, LARGE))))
                assert status is None or 0xA700 <= status <= 0xA7FF, f"answered {status:04X} on a read-only disk"
            world.end()
            disk.repair()
            assert world.begin(), world.log_end()
            world.settle()
            world.judge()
        finally:
            world.close()


_NAMES = partial(small, "size=24m,nr_inodes=400")

CLASSES: Sequence[FaultClass[Crashing] | FaultClass[Small] | FaultClass[None]] = (
    FaultClass("F09 failing syncs", failing_syncs, 50, crashing, is_fresh=True),
    FaultClass("F10 no room at a place", full_places, 40, crashing, is_fresh=True),
    FaultClass("F10 full disk", full_disks, 20, small, is_fresh=True),
    FaultClass("F11 no inodes", no_names, 10, _NAMES, is_fresh=True),
    FaultClass("F11 read-only", read_only, 10, _nothing),
)
