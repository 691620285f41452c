"""The model of a disk loses what was not synced, and nothing else."""

import random

from tests.torture.disk import Disk
from tests.torture.traced import Act, Did, acts

FOLDER = "/state"
CREATED = Act(Did.CREATE, "1", "/state/new")
WRITTEN = Act(Did.WRITE, "1", "/state/new", -1, b"12")
SYNCED = (Act(Did.BEGIN_SYNC, "1", "/state/new"), Act(Did.SYNC, "1", "/state/new"))
DIRECTORY = (Act(Did.BEGIN_SYNC, "1", "/state"), Act(Did.SYNC, "1", "/state"))


def _left(*done: Act, syncs: bool = True) -> set[tuple[tuple[str, bytes], ...]]:
    disk = Disk(FOLDER, {"old": b"old"}, syncs=syncs)
    for act in done:
        disk.take(act)
    return {tuple(sorted(disk.after_cut(random.Random(seed)).items())) for seed in range(60)}


OLD = ("old", b"old")


def test_what_is_synced_with_its_name_is_there_whatever_comes() -> None:
    assert _left(CREATED, WRITTEN, *SYNCED, *DIRECTORY) == {(("new", b"12"), OLD)}


def test_a_name_that_is_not_synced_may_be_gone() -> None:
    assert _left(CREATED, WRITTEN, *SYNCED) == {(OLD,), (("new", b"12"), OLD)}


def test_content_that_is_not_synced_may_be_gone() -> None:
    assert _left(CREATED, *DIRECTORY, WRITTEN) == {(("new", b""), OLD), (("new", b"12"), OLD)}


def test_room_that_was_taken_is_zeros_when_synced_and_may_be_gone_before() -> None:
    taken = Act(Did.EXTEND, "1", "/state/new", 4)
    assert {dict(each)["new"] for each in _left(CREATED, *DIRECTORY, taken)} == {b"", bytes(4)}
    assert {dict(each)["new"] for each in _left(CREATED, *DIRECTORY, taken, *SYNCED)} == {bytes(4)}


def test_what_is_written_into_room_that_was_taken_is_there_when_synced_and_zeros_or_it_before() -> None:
    taken, written = Act(Did.EXTEND, "1", "/state/new", 4), Act(Did.WRITE, "1", "/state/new", 2, b"12")
    made = (CREATED, *DIRECTORY, taken, *SYNCED, written)
    assert {dict(each)["new"] for each in _left(*made)} == {bytes(4), bytes(2) + b"12"}
    assert {dict(each)["new"] for each in _left(*made, *SYNCED)} == {bytes(2) + b"12"}


def test_what_is_written_while_a_sync_runs_is_not_covered_by_it() -> None:
    begun, ended = SYNCED
    late = Act(Did.WRITE, "2", "/state/new", -1, b"34")
    left = _left(CREATED, *DIRECTORY, WRITTEN, begun, late, ended)
    assert {dict(each)["new"] for each in left} == {b"12", b"1234"}


def test_a_rename_that_is_not_synced_may_come_back_under_the_old_name() -> None:
    renamed = Act(Did.RENAME, "1", "/state/old", target="/state/other")
    assert _left(renamed) == {(OLD,), (("other", b"old"),)}
    assert _left(renamed, *DIRECTORY) == {(("other", b"old"),)}


def test_a_disk_that_only_says_that_it_syncs_loses_what_is_synced() -> None:
    assert (OLD,) in _left(CREATED, WRITTEN, *SYNCED, *DIRECTORY, syncs=False)


def _hex(text: str) -> str:
    return "".join(f"\\x{each:02x}" for each in text.encode())


def test_a_trace_is_read_call_by_call() -> None:
    file = _hex("/state/new")
    pieces = f'{{iov_base="{_hex("12")}", iov_len=2}}, {{iov_base="{_hex("3")}", iov_len=1}}'
    lines = [
        f'1 openat(AT_FDCWD, "{file}", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 5<{file}>',
        f"1 pwritev2(5<{file}>, [{pieces}], 2, 7, 0) = 3",
        f"1 fdatasync(5<{file}> <unfinished ...>",
        f'2 pwrite64(5<{file}>, "{_hex("45")}", 2, 9) = 1',
        "1 <... fdatasync resumed>)          = 0",
        f'1 rename("{file}", "{_hex("/state/other")}") = -1 ENOENT',
    ]
    assert list(acts(iter(lines))) == [
        Act(Did.CREATE, "1", "/state/new"),
        Act(Did.TRUNCATE, "1", "/state/new", 0),
        Act(Did.WRITE, "1", "/state/new", 7, b"123"),
        Act(Did.BEGIN_SYNC, "1", "/state/new"),
        Act(Did.WRITE, "2", "/state/new", 9, b"4"),
        Act(Did.SYNC, "1", "/state/new"),
    ]
