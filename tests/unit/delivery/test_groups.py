"""Groups of what comes one by one: how many, how long, in order, and what becomes of a failure."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import chain

import pytest

from broker.delivery.groups import Groups
from broker.errors import Unavailable

NEVER = 3600.0


class Recorder:
    """Takes groups, each after a nod."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.nods = threading.Semaphore(0)

    def take(self, group: Sequence[int]) -> None:
        assert self.nods.acquire(timeout=10)
        self.groups.append(list(group))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_what_comes_together_is_one_group(recorder: Recorder) -> None:
    recorder.nods.release(100)
    with closing(Groups(recorder.take, 100, NEVER)) as groups:
        for number in range(5):
            groups.put(number)
    assert recorder.groups == [[0, 1, 2, 3, 4]]


def test_a_group_that_is_full_goes_while_the_next_comes(recorder: Recorder) -> None:
    with closing(Groups(recorder.take, 2, NEVER)) as groups:
        for number in range(4):
            groups.put(number)
        recorder.nods.release(100)
        groups.put(4)
    assert recorder.groups == [[0, 1], [2, 3], [4]]


def test_no_more_than_two_groups_are_unrecorded_at_any_moment(recorder: Recorder) -> None:
    most, put = 4, []
    groups = Groups(recorder.take, most // 2, NEVER)

    def send() -> None:
        for number in range(10):
            groups.put(number)
            put.append(number)

    sender = threading.Thread(target=send)
    sender.start()
    sender.join(0.05)
    assert len(put) == most, "the next waits for a record"
    recorder.nods.release(100)
    sender.join(10)
    groups.close()
    assert list(chain(*recorder.groups)) == list(range(10))


def test_one_that_stays_alone_does_not_wait_for_others(recorder: Recorder) -> None:
    recorder.nods.release(100)
    groups = Groups(recorder.take, 100, 0.001)
    groups.put(1)
    _until(lambda: recorder.groups == [[1]])
    groups.close()


def test_what_is_urgent_takes_along_who_waits(recorder: Recorder) -> None:
    recorder.nods.release(100)
    groups = Groups(recorder.take, 100, NEVER)
    groups.put(1)
    groups.put(2, at_once=True)
    _until(lambda: recorder.groups == [[1, 2]])
    groups.put(3)
    groups.close()
    assert recorder.groups == [[1, 2], [3]]


def test_a_record_that_fails_is_raised_to_who_puts_in_and_nothing_follows_it() -> None:
    seen: list[list[int]] = []

    def fail(group: Sequence[int]) -> None:
        seen.append(list(group))
        raise Unavailable("no database")

    groups = Groups(fail, 1, NEVER)
    groups.put(1)
    with pytest.raises(Unavailable, match="no database"):
        for number in range(2, 5):
            groups.put(number)
    with pytest.raises(Unavailable, match="no database"):
        groups.close()
    assert len(seen) == 1


def test_without_any_there_is_no_thread(recorder: Recorder) -> None:
    before = threading.active_count()
    with closing(Groups(recorder.take)):
        assert threading.active_count() == before
    assert recorder.groups == []


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
