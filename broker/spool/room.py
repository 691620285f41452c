"""How much room the disk has, and what follows: warn a person, then refuse instances while the rest can still write.

What is left below `refuse` is the reserve of the database: orders, outcomes and alerts go on being written when images
are refused with A700, which modalities keep and send again. Nothing is remembered: with space again all is as before.
"""

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from broker.environments.disk import DiskSettings
from broker.errors import Unavailable

MIB = 1024 * 1024

_LOOK_SECONDS = 0.1


class Level(StrEnum):
    """How the disk stands."""

    WELL = "well"
    LOW = "low"  # a person makes room
    FULL = "full"  # instances are refused until there is room


@dataclass(frozen=True, slots=True)
class Space:
    """A file system's room, in bytes."""

    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Below how many free bytes a person is warned, and instances are refused."""

    warn: int
    refuse: int

    def level(self, space: Space) -> Level:
        """Decide how the disk stands."""
        if space.free < self.refuse:
            return Level.FULL
        return Level.LOW if space.free < self.warn else Level.WELL


def thresholds(settings: DiskSettings, total: int) -> Thresholds:
    """Return what holds for a disk of `total` bytes: of a small one shares, where the profile says nothing."""
    warn = min(4096 * MIB, total // 7) if settings.warn_mib is None else settings.warn_mib * MIB
    refuse = min(512 * MIB, total // 20) if settings.refuse_mib is None else settings.refuse_mib * MIB
    return Thresholds(warn, refuse)


class Room:
    """The room of the file system that holds a directory, which need not exist yet."""

    def __init__(self, directory: Path, settings: DiskSettings | None = None) -> None:
        self._directory = directory
        self._settings = settings or DiskSettings()
        self._well_until = 0.0

    def space(self) -> Space:
        """Return the room. Raises OSError."""
        try:
            found = os.statvfs(self._directory)
        except FileNotFoundError:
            found = os.statvfs(next(path for path in self._directory.parents if path.is_dir()))
        return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    def level(self) -> Level:
        """Return how the disk stands. Raises Unavailable when it does not tell."""
        try:
            space = self.space()
        except OSError as error:
            raise Unavailable(f"the spool's disk does not answer: {error.strerror}") from error
        return thresholds(self._settings, space.total).level(space)

    def check(self) -> None:
        """Raise Unavailable when no more instances can be taken. What is well is looked at ten times a second."""
        now = time.monotonic()
        if now < self._well_until:
            return
        level = self.level()
        if level is Level.WELL:
            self._well_until = now + _LOOK_SECONDS
        if level is Level.FULL:
            raise Unavailable("the spool's disk is nearly full")
