"""Threads that are used again: no work waits for other work, and an end waits for all of it."""

import threading
import weakref
from queue import SimpleQueue

import pytest

from broker.dimse import workers
from broker.dimse.workers import Workers
from tests.peers.processes import wait_for


class Work:
    """Something to do that says who did it, and may be held up."""

    def __init__(self, done: "SimpleQueue[int]", until: threading.Event | None = None) -> None:
        self._done = done
        self._until = until

    def __call__(self) -> None:
        if self._until:
            assert self._until.wait(20)
        self._done.put(threading.get_ident())


def test_a_thread_that_is_free_takes_the_next_work_and_keeps_nothing_of_the_last() -> None:
    pool, done = Workers("w"), SimpleQueue[int]()
    first = Work(done)
    kept = weakref.ref(first)
    pool.give(first)
    del first
    ident = done.get(timeout=20)
    wait_for("the thread is free", lambda: pool.free == 1, 20)
    assert kept() is None
    pool.give(Work(done))
    assert done.get(timeout=20) == ident
    pool.end(20)


def test_no_work_waits_for_other_work() -> None:
    pool, done, until = Workers("w"), SimpleQueue[int](), threading.Event()
    for _ in range(8):
        pool.give(Work(done, until))
    pool.give(Work(done))
    done.get(timeout=20)
    until.set()
    assert len({done.get(timeout=20) for _ in range(8)}) == 8
    pool.end(20)
    assert pool.count == 0


def test_the_end_waits_for_work_only_so_long() -> None:
    pool, done, until = Workers("w"), SimpleQueue[int](), threading.Event()
    pool.give(Work(done, until))
    pool.end(0.01)
    assert done.empty()
    until.set()
    pool.end(20)
    assert not done.empty()


def test_a_thread_that_nobody_needs_for_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_IDLE", 0.01)
    pool, done = Workers("w"), SimpleQueue[int]()
    for _ in range(20):
        pool.give(Work(done))
    assert all(done.get(timeout=20) for _ in range(20))
    wait_for("no thread is left", lambda: pool.free == 0 and pool.count == 0, 20)
    pool.give(Work(done))
    assert done.get(timeout=20)
    pool.end(20)
