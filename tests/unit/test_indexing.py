"""From segments to the index: each instance once, whoever was stopped; segments used again; the parked move out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import failpoints, recycling
from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.errors import Unavailable
from broker.indexing import GROUP, Indexing
from broker.spool import segments
from broker.spool import store as spool_index
from broker.spool.model import SpooledInstance
from broker.spool.record import Kept
from broker.spool.room import Level, Room, Space
from broker.spool.segments import SegmentWriter
from broker.spool.spool import Spool, in_segment
from tests.conftest import FakeClock
from tests.unit.spool.datasets import data_set, facts, pieces

Fail = Callable[[str], None]
SIZE = 64 * 1024


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(SegmentWriter.__init__, "__defaults__", (SIZE,))
    made = Spool(tmp_path / "spool")
    made.begin()
    return made


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fail]:
    def arm(what: str) -> None:
        monkeypatch.setenv("BROKER_TEST_HOOKS", "1")
        monkeypatch.setenv("BROKER_FAIL", what)
        failpoints.arm_from_environment()

    yield arm
    failpoints.disarm()


class Desk:
    """A spool and its index, as the pipeline has them."""

    def __init__(self, database: Database, spool: Spool, clock: FakeClock) -> None:
        self.database, self.spool, self.clock = database, spool, clock
        self.damaged: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        """Be a new process that indexes; the one that writes goes on."""
        self.indexing = Indexing(self.database, self.spool, self.index, self.damaged.__setitem__)

    def restart_all(self) -> None:
        """Be new processes."""
        self.spool = Spool(self.spool.directory)
        self.spool.begin()
        self.restart()

    def index(self, tx: Transaction, kept: Kept) -> bool:
        instance = kept.instance
        if spool_index.same(tx, instance.facts, instance.sha256):
            return False
        spool_index.add(tx, instance)
        deliveries.owe(tx, instance.id, kept.note["owed"], self.clock.now())
        return True

    def keep(self, number: int, pixels: int = 64, owed: tuple[str, ...] = ("pacs",)) -> SpooledInstance:
        uid = f"1.2.{number}"
        return self.spool.keep(
            pieces(data_set(uid, pixels=pixels), 999), facts(uid), json.dumps({"owed": owed}).encode()
        )

    def held(self) -> list[str]:
        with self.database.read() as tx:
            return [instance.id for instance in spool_index.held(tx, "", 1000)]

    def holds(self, *instances: SpooledInstance) -> bool:
        return self.held() == sorted(instance.id for instance in instances)

    def forget(self, instance: SpooledInstance) -> None:
        with self.database.write("delivery") as tx:
            assert spool_index.forget(tx, instance.id, self.clock.now())
        self.spool.forget(instance)

    def segments(self) -> list[str]:
        return segments.in_use(self.spool.directory / segments.FOLDER)

    def free(self) -> int:
        return len(segments.free(self.spool.directory / segments.FOLDER))

    def release(self) -> int:
        return recycling.release(self.database, self.spool, self.indexing.tail)

    def move_parked(self) -> int:
        return recycling.move_parked(self.database, self.spool, self.indexing.tail, rest=0)


@pytest.fixture
def desk(database: Database, spool: Spool, clock: FakeClock) -> Desk:
    return Desk(database, spool, clock)


def test_what_is_durable_is_indexed_once(desk: Desk) -> None:
    kept = [desk.keep(number) for number in range(GROUP + 3)]
    assert desk.indexing.run() == len(kept)
    assert desk.holds(*kept)
    assert desk.indexing.run() == 0
    with desk.database.read() as tx:
        found = spool_index.find(tx, kept[5].id)
    assert found is not None
    assert (found.path, found.offset, found.sha256, found.facts) == _place(kept[5])
    assert (found.accession_number, found.attributes["StationName"]) == ("A1", "USROOM2")


def test_what_is_enough_ends_a_run_after_a_group_and_the_next_takes_the_rest(desk: Desk) -> None:
    kept = [desk.keep(number) for number in range(20)]  # in two segments
    first, *rest = [desk.indexing.run(is_enough=lambda: True) for _ in range(6)]
    assert 0 < first < len(kept)
    assert first + sum(rest) == len(kept)
    assert desk.holds(*kept)


def test_a_start_with_much_that_is_known_looks_at_it_in_turns(desk: Desk) -> None:
    kept = [desk.keep(number) for number in range(50)]
    desk.indexing.run()
    desk.restart()

    def seen() -> int:
        return sum(desk.indexing.tail.through(name) for name in desk.segments())

    turns = []
    for _ in range(3):
        assert desk.indexing.run(is_enough=lambda: True) == 0
        turns.append(seen())
    assert turns == [1, 2, 3]
    assert desk.holds(*kept)


def test_a_new_process_indexes_what_the_last_one_did_not(desk: Desk) -> None:
    first = desk.keep(1)
    desk.indexing.run()
    second = desk.keep(2)
    desk.restart_all()
    assert desk.indexing.run() == 1
    assert desk.holds(first, second)


def test_what_came_before_with_equal_content_is_not_owed_again(desk: Desk) -> None:
    first = desk.keep(1)
    desk.keep(1)
    assert desk.indexing.run() == 2
    assert desk.held() == [first.id]
    desk.restart_all()
    assert desk.indexing.run() == 0


def test_an_index_that_fails_takes_the_same_again(desk: Desk, fail: Fail) -> None:
    instance = desk.keep(1)
    fail("spool-index.commit.before:1:enospc")
    with pytest.raises(Unavailable):
        desk.indexing.run()
    failpoints.disarm()
    assert desk.indexing.run() == 1
    assert desk.held() == [instance.id]


def test_a_stop_between_index_and_mark_leaves_nothing_behind(desk: Desk, fail: Fail) -> None:
    instance = desk.keep(1)
    desk.indexing.run()
    with desk.database.write("delivery") as tx:
        spool_index.forget(tx, instance.id, desk.clock.now())
    desk.restart_all()
    assert desk.indexing.run() == 0
    assert desk.release() == 1


def test_a_record_that_is_not_whole_is_set_aside_and_told(desk: Desk) -> None:
    first, second = desk.keep(1), desk.keep(2)
    path = desk.spool.path_of(first)
    content = bytearray(path.read_bytes())
    content[first.offset + 5] ^= 1
    path.write_bytes(content)
    desk.restart_all()
    desk.indexing.run()
    assert desk.held() == [second.id]
    assert list(desk.damaged) == [first.id]
    kept = (desk.spool.directory / "damaged" / f"{first.id}.bin").read_bytes()
    assert content[first.offset : first.offset + first.length] in kept
    desk.restart_all()
    assert desk.indexing.run() == 0


def test_a_segment_is_used_again_when_all_of_it_is_forgotten(desk: Desk) -> None:
    kept = [desk.keep(number, pixels=9000) for number in range(12)]
    desk.indexing.run()
    full = [name for name in desk.segments() if desk.indexing.tail.through(name)]
    assert full
    assert desk.release() == 0
    *most, last = [instance for instance in kept if segments.path_of(full[0]) == instance.path]
    for instance in most:
        desk.forget(instance)
    assert desk.release() == 0
    desk.forget(last)
    free = desk.free()
    assert desk.release() == 1
    assert full[0] not in desk.segments()
    assert desk.free() == free + 1
    again = [desk.keep(100 + number, pixels=9000) for number in range(12)]
    desk.indexing.run()
    for instance in [*kept[len(most) + 1 :], *again]:
        desk.spool.verify(instance)


def test_no_segment_is_let_go_before_it_is_indexed(desk: Desk) -> None:
    for number in range(12):
        desk.keep(number, pixels=9000)
    assert desk.release() == 0
    desk.restart_all()
    assert desk.release() == 0
    assert desk.indexing.run() == 12


def test_parked_instances_move_out_so_that_their_segment_is_used_again(desk: Desk) -> None:
    parked, waiting = desk.keep(1, owed=()), desk.keep(2)
    desk.restart_all()  # closes the segment
    desk.indexing.run()
    assert desk.move_parked() == 0
    desk.forget(waiting)
    assert desk.move_parked() == 1
    with desk.database.read() as tx:
        moved = spool_index.find(tx, parked.id)
    assert moved is not None
    assert not in_segment(moved)
    assert desk.spool.path_of(moved).read_bytes().endswith(data_set("1.2.1"))
    desk.spool.verify(moved)
    assert desk.release() == 1
    desk.restart_all()
    assert desk.indexing.run() == 0
    assert list(desk.spool.recover(lambda ids: _known(desk, ids), desk.damaged.__setitem__)) == []
    desk.spool.verify(moved)


def _place(instance: SpooledInstance) -> tuple[object, ...]:
    return instance.path, instance.offset, instance.sha256, instance.facts


def _known(desk: Desk, ids: object) -> spool_index.Known:
    with desk.database.read() as tx:
        return spool_index.known(tx, ids)  # type: ignore[arg-type]


def test_an_index_that_was_lost_is_made_again_from_the_records(desk: Desk) -> None:
    kept = [desk.keep(number, pixels=3000) for number in range(20)]
    desk.indexing.run()
    desk.forget(kept[3])
    with desk.database.write("spool-index") as tx:
        tx.exec_driver_sql("DELETE FROM delivery")
        tx.exec_driver_sql("DELETE FROM instance")
    desk.restart_all()
    assert desk.indexing.run() == 19
    assert desk.holds(*kept[:3], *kept[4:])
    with desk.database.read() as tx:
        assert [d.destination for d in deliveries.of_instance(tx, kept[4].id)] == ["pacs"]
        found = spool_index.find(tx, kept[4].id)
    assert found is not None
    assert (found.path, found.offset, found.sha256, found.facts) == _place(kept[4])


def test_segments_are_made_in_advance_while_no_images_come(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments.prepare, "__defaults__", (SIZE,))
    desk.keep(1)
    assert not recycling.prepare(desk.spool)  # an image came just now
    monkeypatch.setattr(recycling, "_QUIET_SECONDS", -1.0)
    made = sum(recycling.prepare(desk.spool) for _ in range(10))
    assert made == len(segments.free(desk.spool.directory / segments.FOLDER)) == 8


def test_none_is_made_in_advance_on_a_disk_that_fills_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "level", lambda _self: Level.LOW)
    assert not recycling.prepare(desk.spool)


def test_a_segment_that_cannot_be_made_in_advance_is_no_fault(desk: Desk, fail: Fail) -> None:
    fail("segment.prewrite.before:1:enospc")
    assert not recycling.prepare(desk.spool)


@pytest.mark.parametrize(("gibibytes", "kept"), [(1, 8), (10, 10), (500, 32)])
def test_more_segments_are_kept_to_be_used_again_where_there_is_room(gibibytes: int, kept: int) -> None:
    assert recycling.kept_free(Space(gibibytes * 2**30, 2**40)) == kept
