"""The power is cut at any moment: what was answered is found whole, and nothing is found that is not.

A model of the disk, as in reliability.md: each write of the run is recorded by pages; at each point of the run those
that no sync covers are dropped, kept or torn, as chance has it, and the spool is read as after a start.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker import durable
from broker.spool import segments
from broker.spool.segments import SegmentWriter
from broker.spool.spool import Spool
from tests.unit.spool.datasets import data_set, facts, pieces
from tests.unit.spool.reading import found

SECTOR = 512
SIZE = 64 * 1024


@dataclass
class Disk:
    """What was written, and how far it is synced."""

    files: dict[Path, bytearray] = field(default_factory=dict)  # as synced
    unsynced: list[tuple[Path, int, bytes]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    states: list["Disk"] = field(default_factory=list)

    def note(self) -> None:
        """Remember this moment."""
        copied = {path: bytearray(content) for path, content in self.files.items()}
        self.states.append(Disk(copied, list(self.unsynced), list(self.answered)))

    def cut(self, chance: random.Random) -> dict[Path, bytes]:
        """Return what a power cut at this moment leaves: of unsynced sectors any, and in any order."""
        left = {path: bytearray(content) for path, content in self.files.items()}
        luck = chance.choice([0.0, 0.5, 0.9, 1.0])
        for path, at, content in self.unsynced:
            for start in range(0, len(content), SECTOR):
                if chance.random() < luck:
                    piece = content[start : start + SECTOR]
                    left[path][at + start : at + start + len(piece)] = piece
        return {path: bytes(content) for path, content in left.items()}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()

    class Recorded(durable.PrewrittenFile):
        def __init__(self, path: Path, place: str) -> None:
            super().__init__(path, place)
            self.path = path
            disk.files[path] = bytearray(path.read_bytes())  # pre-written and synced

        def write(self, pieces: Sequence[bytes | memoryview], at: int) -> None:
            super().write(pieces, at)
            disk.unsynced.append((self.path, at, b"".join(map(bytes, pieces))))
            disk.note()

        def sync(self) -> None:
            super().sync()
            for path, at, content in [each for each in disk.unsynced if each[0] == self.path]:
                disk.files[path][at : at + len(content)] = content
            disk.unsynced = [each for each in disk.unsynced if each[0] != self.path]
            disk.note()

    monkeypatch.setattr(durable, "PrewrittenFile", Recorded)
    monkeypatch.setattr(SegmentWriter.__init__, "__defaults__", (SIZE,))
    return disk


def test_what_was_answered_survives_a_power_cut_at_any_moment(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path / "spool")
    spool.begin()
    for number in range(40):
        if number == 20:  # the first segments are used again
            _use_again(spool, disk)
        instance = spool.keep(pieces(data_set(f"1.2.{number}", pixels=300 * number), 4096), facts(f"1.2.{number}"))
        disk.answered.append(instance.id)
        disk.note()
    chance = random.Random(5)
    for state in disk.states:
        for _ in range(4):
            _check(state, state.cut(chance), tmp_path / "after")


def _use_again(spool: Spool, disk: Disk) -> None:
    spool.end()
    for name in segments.in_use(spool.directory / segments.FOLDER):
        segments.retire(spool.directory, name, keeps=True)
    disk.files.clear()
    disk.unsynced.clear()
    disk.answered.clear()


def _check(state: Disk, left: dict[Path, bytes], folder: Path) -> None:
    target = folder / segments.FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        path.unlink()
    for path, content in left.items():
        (target / path.name).write_bytes(content)
    whole = []
    for one in found(folder):
        if one.kept is None:
            continue
        Spool(folder).verify(one.kept.instance)
        whole.append(one.kept.instance.id)
    assert set(state.answered) <= set(whole)
    assert len(whole) <= len(state.answered) + 1  # the one that was on its way
