import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import failpoints
from broker.durable import (
    TEMPORARY_SUFFIX,
    DurableFile,
    make_directory,
    prewrite,
    remove,
    remove_leftovers,
    reserve,
)


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that names each place as it is passed."""
    file = tmp_path / "trace"
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL_TRACE", str(file))
    monkeypatch.delenv("BROKER_FAIL", raising=False)
    failpoints.arm_from_environment()
    yield file
    monkeypatch.undo()
    monkeypatch.delenv("BROKER_TEST_HOOKS", raising=False)
    failpoints.arm_from_environment()


def test_committed_file_has_its_whole_content_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "one"
    with DurableFile(path, "spool") as file:
        file.write(b"abc")
        file.write(memoryview(bytearray(b"def")))
        assert not path.exists()
        file.commit()
    assert path.read_bytes() == b"abcdef"
    assert [entry.name for entry in tmp_path.iterdir()] == ["one"]


def test_file_is_for_us_alone(tmp_path: Path) -> None:
    with DurableFile(tmp_path / "one", "spool") as file:
        file.commit()
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_file_that_was_not_committed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), DurableFile(tmp_path / "one", "spool") as file:
        file.write(b"abc")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_order_is_write_sync_rename_sync_of_the_directory(tmp_path: Path, trace: Path) -> None:
    with DurableFile(tmp_path / "one", "spool") as file:
        file.write(b"abc")
        file.commit()
    steps = [f"spool.{step}.{when}" for step in ("write", "sync", "rename", "syncdir") for when in ("before", "after")]
    assert trace.read_text().split() == steps


@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_failure_before_the_rename_leaves_nothing(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
    monkeypatch.setenv("BROKER_FAIL", f"spool.{step}.before:1:enospc")
    failpoints.arm_from_environment()
    try:
        with pytest.raises(OSError, match="No space left"), DurableFile(folder / "one", "spool") as file:
            file.write(b"abc")
            file.commit()
    finally:
        failpoints.disarm()
    assert list(folder.iterdir()) == []


def test_two_writers_of_one_name_cannot_both_begin(tmp_path: Path) -> None:
    with DurableFile(tmp_path / "one", "spool"), pytest.raises(FileExistsError):
        DurableFile(tmp_path / "one", "spool")


def test_directories_are_made_with_their_parents_and_for_us_alone(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_file_that_is_gone_may_be_removed_again(tmp_path: Path, trace: Path) -> None:
    (tmp_path / "one").write_bytes(b"")
    remove(tmp_path / "one", "spool")
    remove(tmp_path / "one", "spool")
    assert not (tmp_path / "one").exists()
    assert trace.read_text().split() == ["spool.unlink.before", "spool.unlink.after"] * 2


def test_leftovers_of_an_ended_process_are_removed_and_counted(tmp_path: Path) -> None:
    for name in ("one", f"two{TEMPORARY_SUFFIX}", f"three{TEMPORARY_SUFFIX}"):
        (tmp_path / name).write_bytes(b"")
    assert remove_leftovers(tmp_path) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["one"]


def test_a_file_of_many_megabytes_is_whole_though_the_disk_begins_to_write_it_early(tmp_path: Path) -> None:
    pieces = [bytes([number]) * 700_000 for number in range(20)]
    with DurableFile(tmp_path / "one", "spool") as file:
        for piece in pieces:
            file.write(piece)
        file.commit()
    assert (tmp_path / "one").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("make", [prewrite, reserve])
def test_a_file_that_has_its_room_is_zeros_and_synced_before_it_has_its_name(
    make: Callable[[Path, int, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "one", []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, os.fstat(descriptor).st_blocks * 512, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    make(path, 2_000_000, "segment")
    ((size, room, had_name),) = synced
    assert (size, had_name) == (2_000_000, False)
    assert room >= size  # a disk that is full says so now, and not when an image comes
    assert path.read_bytes() == bytes(2_000_000)


@pytest.mark.parametrize("make", [prewrite, reserve])
def test_a_disk_without_room_leaves_nothing_of_what_was_to_have_it(
    make: Callable[[Path, int, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _at: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        make(tmp_path / "one", 2_000_000, "segment")
    assert list(tmp_path.iterdir()) == []
