"""Segments: one sync a group, each record found again, none that is not whole, none of a former use."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from broker import durable, failpoints
from broker.durable import SharedPage
from broker.errors import Unavailable
from broker.identifiers import new_id
from broker.spool import record, segments
from broker.spool.errors import BadInstance, DamagedInstance
from broker.spool.model import SpooledInstance
from broker.spool.segments import CLOSED, SegmentWriter
from broker.spool.spool import LARGEST, Spool, in_segment
from broker.spool.tail import Found, Tail
from tests.unit.spool.datasets import RECEIVED, data_set, facts, pieces
from tests.unit.spool.reading import found, kept_ids, taken

Fail = Callable[[str], None]

# What is read from the data set only when a record is found again.
READ = ("study_instance_uid", "series_instance_uid", "patient_id", "accession_number", "modality")
NOTHING = dict.fromkeys(READ, "")
SMALL = 64 * 1024  # a segment of the tests


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setattr(segments, "SIZE", SMALL)
    monkeypatch.setattr(SegmentWriter.__init__, "__defaults__", (SMALL,))
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


def keep(spool: Spool, uid: str = "1.2.3.4", pixels: int = 64) -> SpooledInstance:
    return spool.keep(pieces(data_set(uid, pixels=pixels), 1000), facts(uid), b'{"owed":["pacs"]}')


def segment_of(spool: Spool, instance: SpooledInstance) -> Path:
    return spool.directory / instance.path


def test_the_data_set_comes_out_as_it_came_in_with_all_that_is_known_of_it(spool: Spool) -> None:
    instance = keep(spool)
    assert in_segment(instance)
    assert b"".join(spool.data(instance)) == data_set()
    spool.verify(instance)
    (one,) = found(spool.directory)
    assert one.kept is not None
    assert replace(one.kept.instance, attributes={}, **NOTHING) == instance
    assert one.kept.instance.attributes["StationName"] == "USROOM2"
    assert one.kept.instance.study_instance_uid == "1.2.3"
    assert one.kept.note == {"owed": ["pacs"]}


def test_it_leaves_as_a_dicom_file_with_a_zeroed_preamble(spool: Spool) -> None:
    instance = keep(spool)
    content = spool.head(instance) + b"".join(spool.data(instance))
    assert content[:132] == bytes(128) + b"DICM"
    assert content.endswith(data_set())


def test_no_name_of_a_peer_stands_in_a_path(spool: Spool) -> None:
    instance = keep(spool)
    assert instance.path.startswith("segments/00000001-")
    assert "1.2.3.4" not in instance.path and "US_ROOM2" not in instance.path


def test_records_follow_each_other_and_go_on_in_the_next_segment(spool: Spool) -> None:
    kept = [keep(spool, f"1.2.{number}", pixels=9000) for number in range(12)]
    assert len({instance.path for instance in kept}) > 2
    assert kept_ids(spool.directory) == [instance.id for instance in kept]


def test_a_record_starts_on_a_page_of_its_own(spool: Spool) -> None:
    for number in range(3):
        assert (keep(spool, f"1.2.{number}").offset - record.HEAD) % record.PAGE == 0


def test_many_at_once_share_syncs_and_each_is_kept(
    spool: Spool, fail: Fail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, "1.2.999")
    trace = tmp_path / "trace"
    monkeypatch.setenv("BROKER_FAIL_TRACE", str(trace))
    fail("segment.sync.before:1:delay=0.3")
    kept: list[str] = []
    threads = [threading.Thread(target=lambda n=n: kept.append(keep(spool, f"1.2.{n}").id)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    monkeypatch.delenv("BROKER_FAIL_TRACE")
    assert sorted(kept) == sorted(kept_ids(spool.directory)[1:])
    assert trace.read_text().split().count("segment.sync.after") < 8


def test_who_came_during_a_sync_that_failed_is_kept_by_the_next_who_writes(spool: Spool, fail: Fail) -> None:
    keep(spool, "1.2.999")
    fail("segment.sync.before:1:delay=0.1,segment.sync.after:1:eio")
    kept: list[str] = []
    refused: list[str] = []

    def send(number: int) -> None:
        try:
            kept.append(keep(spool, f"1.2.{number}").id)
        except Unavailable as error:
            refused.append(str(error))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(refused) >= 1
    assert len(kept) + len(refused) == 6
    assert sorted(kept) == sorted(kept_ids(spool.directory)[1:])


def test_a_large_one_gets_a_file_of_its_own(spool: Spool) -> None:
    data = data_set(pixels=LARGEST)
    instance = spool.keep(pieces(data, 65_536), facts())
    assert not in_segment(instance)
    assert b"".join(spool.data(instance)) == data
    spool.verify(instance)
    assert found(spool.directory) == []


def test_what_is_refused_leaves_no_record(spool: Spool) -> None:
    with pytest.raises(BadInstance):
        spool.keep(pieces(b"no data set"), facts())
    assert found(spool.directory) == []


def test_a_peer_that_goes_away_leaves_no_record(spool: Spool) -> None:
    def broken() -> Iterator[memoryview]:
        yield memoryview(data_set()[:50])
        raise Unavailable("the peer is gone")

    with pytest.raises(Unavailable, match="peer"):
        spool.keep(broken(), facts())
    assert found(spool.directory) == []


@pytest.mark.parametrize("place", ["segment.write", "segment.sync"])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("action", ["enospc", "eio"])
def test_a_failing_disk_refuses_and_the_segment_is_left(
    spool: Spool, fail: Fail, place: str, side: str, action: str
) -> None:
    first = keep(spool, "1.2.1")
    fail(f"{place}.{side}:1:{action}")
    with pytest.raises(Unavailable):
        keep(spool, "1.2.2")
    failpoints.disarm()
    third = keep(spool, "1.2.3")
    assert third.path != first.path
    assert kept_ids(spool.directory) == [first.id, third.id]


@pytest.mark.parametrize("place", ["segment.prewrite", "segment.rename"])
def test_without_a_segment_it_is_kept_in_a_file(spool: Spool, fail: Fail, place: str) -> None:
    fail(f"{place}.before:1:enospc")
    instance = keep(spool)
    assert not in_segment(instance)
    spool.verify(instance)
    failpoints.disarm()
    assert in_segment(keep(spool, "1.2.5"))


def test_a_segment_that_was_made_in_advance_is_taken_first(spool: Spool) -> None:
    segments.prepare(spool.directory, SMALL)
    (ready,) = segments.free(spool.directory / segments.FOLDER)
    inode = ready.stat().st_ino
    assert segment_of(spool, keep(spool)).stat().st_ino == inode


def test_without_one_made_in_advance_only_its_room_is_taken(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(durable, "prewrite")  # its zeros would double the disk's work while images wait
    kept = [keep(spool, f"1.2.{number}", pixels=9000) for number in range(12)]
    assert len({instance.path for instance in kept}) > 1
    for instance in kept:
        spool.verify(instance)


def test_what_is_forgotten_is_found_no_more(spool: Spool) -> None:
    first, second = keep(spool, "1.2.1"), keep(spool, "1.2.2")
    spool.forget(first)
    spool.forget(first)
    assert kept_ids(spool.directory) == [second.id]
    spool.verify(second)


def test_a_segment_is_used_again_under_a_new_name_and_its_former_records_are_none(spool: Spool) -> None:
    old = [keep(spool, f"1.2.{number}", pixels=9000) for number in range(6)]
    spool.end()
    for name in segments.in_use(spool.directory / segments.FOLDER):
        segments.retire(spool.directory, name, keeps=True)
    again = keep(spool, "1.2.77")
    assert kept_ids(spool.directory) == [again.id]
    assert again.path not in {instance.path for instance in old}
    spool.forget(old[0])  # a late word about a former use changes nothing
    spool.verify(again)


DAMAGE = {"magic": 0, "identifier": 40, "length": 60, "hash": 80, "checksum": 112, "data": 200, "facts": 900}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_flipped_bit_is_found_and_the_others_are_whole(spool: Spool, what: str) -> None:
    first, second, third = (keep(spool, f"1.2.{number}", pixels=300) for number in range(3))
    spool.end()
    at = second.offset - record.HEAD + DAMAGE[what]
    if what == "facts":
        at = second.offset + second.length + 10
    path = segment_of(spool, second)
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    results = found(spool.directory)
    assert [one.kept.instance.id for one in results if one.kept] == [first.id, third.id]
    if what in ("data", "facts"):  # else its header names nothing any more; the index misses it, see `spool verify`
        (bad,) = [one for one in results if one.kept is None]
        assert bad.head.id == second.id


def test_a_segment_that_was_cut_gives_what_is_whole(spool: Spool) -> None:
    first, second = keep(spool, "1.2.1"), keep(spool, "1.2.2")
    path = segment_of(spool, second)
    path.write_bytes(path.read_bytes()[: second.offset + 20])
    assert kept_ids(spool.directory) == [first.id]


def test_the_tail_gives_each_record_once_as_it_becomes_durable(spool: Spool) -> None:
    tail = Tail(spool.directory)
    assert taken(tail) == []
    for number in range(12):
        instance = keep(spool, f"1.2.{number}", pixels=9000)
        (one,) = taken(tail)
        assert one.kept is not None
        assert one.kept.instance.id == instance.id
        assert taken(tail) == []
    names = segments.in_use(spool.directory / segments.FOLDER)
    assert [tail.through(name) for name in names] == [True] * (len(names) - 1) + [False]
    spool.end()
    assert taken(tail) == []
    assert tail.through(names[-1])


def fresh(spool: Spool) -> list[Found]:
    """Return what the index finds while the process that wrote it goes on writing."""
    found = []
    for part in Tail(spool.directory).ready():
        found += [part.found(at, head) for at, head in part.reader.heads(part.start, part.end)]
    return found


def test_a_fresh_record_tells_what_it_tells_after_a_stop(spool: Spool) -> None:
    small, large = keep(spool, "1.2.1"), keep(spool, "1.2.2", pixels=20_000)
    told = [one.kept for one in fresh(spool)]
    assert [kept.instance.id for kept in told if kept] == [small.id, large.id]
    assert told == [one.kept for one in found(spool.directory)]


def test_what_has_changed_in_a_fresh_record_is_found_when_it_is_sent_and_after_a_stop(spool: Spool) -> None:
    instance = keep(spool, pixels=20_000)
    flip_the_last_byte(spool, instance)
    [one] = fresh(spool)
    assert one.kept
    with pytest.raises(DamagedInstance):
        spool.verify(one.kept.instance)
    assert [each.kept for each in found(spool.directory)] == [None]


def flip_the_last_byte(spool: Spool, instance: SpooledInstance) -> None:
    with segment_of(spool, instance).open("r+b") as file:
        file.seek(instance.offset + instance.length - 1)
        file.write(b"?")


def test_a_record_is_as_fresh_in_a_segment_that_its_writer_has_left(spool: Spool) -> None:
    """Or the index would hash each image again that came before the last."""
    kept = [keep(spool, f"1.2.{number}", pixels=20_000) for number in range(4)]
    assert len({instance.path for instance in kept}) > 1
    flip_the_last_byte(spool, kept[0])
    assert [one.kept is not None for one in fresh(spool)] == [True] * 4
    with pytest.raises(DamagedInstance):
        spool.verify(kept[0])
    Spool(spool.directory).begin()  # the process that wrote it is gone
    told = {one.head.id: one.kept is not None for one in fresh(spool)}
    assert told == {instance.id: instance is not kept[0] for instance in kept}


def test_what_a_writer_left_without_saying_where_it_ends_is_read_whole(spool: Spool) -> None:
    first, *_ = [keep(spool, f"1.2.{number}", pixels=20_000) for number in range(4)]
    with segment_of(spool, first).open("r+b") as file:
        file.write(bytes(segments.PACKED))
    flip_the_last_byte(spool, first)
    assert [one.kept is None for one in fresh(spool) if one.head.id == first.id] == [True]


def test_of_a_page_that_does_not_say_it_no_segment_is_the_writers(tmp_path: Path) -> None:
    page = SharedPage(tmp_path / "page")
    assert not segments.is_of_writer(page, "00000001-ABC")
    segments.begin(page, 7)
    assert [segments.is_of_writer(page, name) for name in ("00000007-ABC", "00000008-ABC", "")] == [False, True, False]
    page.put(b"?", segments.PACKED)
    assert not segments.is_of_writer(page, "00000008-ABC")


def test_the_tail_gives_again_what_was_not_taken_to_its_end(spool: Spool) -> None:
    tail = Tail(spool.directory)
    instance = keep(spool)
    next(tail.ready()).reader.__exit__()  # whoever took it failed
    (one,) = taken(tail)
    assert one.kept is not None
    assert one.kept.instance.id == instance.id


def test_the_word_of_how_far_it_is_written_is_read_whole_or_not_at_all() -> None:
    word = segments.Written("00000001-ABC", CLOSED)
    assert segments.unpack(word.pack()) == word
    for at in range(segments.PACKED):
        broken = bytearray(word.pack())
        broken[at] ^= 1
        assert segments.unpack(bytes(broken)) is None


def test_a_writer_never_goes_on_with_a_segment_of_another(spool: Spool) -> None:
    first = keep(spool, "1.2.1")
    other = Spool(spool.directory)
    other.begin()
    second = keep(other, "1.2.2")
    assert second.path > first.path
    assert kept_ids(spool.directory) == [first.id, second.id]


def test_a_record_as_large_as_a_segment_does_not_stop_the_writer(spool: Spool) -> None:
    instance = spool.keep(pieces(data_set(pixels=2 * SMALL), 65_536), facts())
    assert not in_segment(instance)
    assert in_segment(keep(spool, "1.2.9"))


def test_packed_names_fit_their_fields() -> None:
    head = record.pack_head("00000001-0123456789ABCDEF", new_id(RECEIVED), 1, hashlib.sha256(b"x").digest(), b"{}")
    assert len(head) == record.HEAD
    read = record.read_head("00000001-0123456789ABCDEF", head)
    assert read is not None
    assert (read.length, read.facts_length, read.forgotten) == (1, 2, False)
    assert record.read_head("00000002-0123456789ABCDEF", head) is None


def test_who_needs_the_index_waits_until_it_has_read_all(spool: Spool) -> None:
    tail = Tail(spool.directory)
    taken(tail)
    assert spool.await_index(0)
    keep(spool)
    assert not spool.await_index(0.05)
    taken(tail)
    assert spool.await_index(0)


def test_what_comes_after_a_segment_was_deleted_is_kept_in_another(spool: Spool) -> None:
    first = spool.keep(pieces(data_set("1.2.3")), facts("1.2.3"))
    (spool.directory / first.path).unlink()
    second = spool.keep(pieces(data_set("1.2.4")), facts("1.2.4"))
    spool.verify(second)
    assert kept_ids(spool.directory) == [second.id]
