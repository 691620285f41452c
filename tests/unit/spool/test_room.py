"""A disk that fills up: a word to people, then images refused, and taken again as soon as there is room."""

from pathlib import Path

import pytest

from broker.environments.disk import DiskSettings
from broker.errors import Unavailable
from broker.spool import room
from broker.spool.room import MIB, Level, Room, Space, thresholds
from broker.spool.spool import Spool
from tests.unit.spool.datasets import data_set, facts, pieces

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("free", "level"),
    [(4 * GIB, Level.WELL), (4 * GIB - 1, Level.LOW), (512 * MIB, Level.LOW), (512 * MIB - 1, Level.FULL)],
)
def test_a_large_disk_warns_below_4_gib_and_refuses_below_512_mib(free: int, level: Level) -> None:
    assert thresholds(DiskSettings(), 1000 * GIB).level(Space(free, 1000 * GIB)) is level


def test_of_a_small_disk_shares_count() -> None:
    found = thresholds(DiskSettings(), 140 * MIB)
    assert (found.warn, found.refuse) == (20 * MIB, 7 * MIB)


def test_what_the_profile_says_counts() -> None:
    found = thresholds(DiskSettings(warn_mib=3, refuse_mib=2), 100 * GIB)
    assert (found.warn, found.refuse) == (3 * MIB, 2 * MIB)
    never = thresholds(DiskSettings(0, 0), 100 * GIB)
    assert never.level(Space(0, 100 * GIB)) is Level.WELL


@pytest.mark.parametrize("begins", [False, True])
def test_a_full_disk_takes_no_image_and_takes_them_again_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    disk = Room(tmp_path / "spool", DiskSettings(refuse_mib=100))
    spool = Spool(tmp_path / "spool", disk)
    if begins:
        spool.begin()
    monkeypatch.setattr(room, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Room, "space", lambda _: Space(99 * MIB, GIB))
    with pytest.raises(Unavailable, match="nearly full"):
        spool.keep(pieces(data_set()), facts())
    monkeypatch.setattr(Room, "space", lambda _: Space(101 * MIB, GIB))
    spool.verify(spool.keep(pieces(data_set()), facts()))


def test_a_directory_that_does_not_exist_yet_has_the_room_of_its_parent(tmp_path: Path) -> None:
    assert Room(tmp_path / "not" / "yet").space().total == Room(tmp_path).space().total
