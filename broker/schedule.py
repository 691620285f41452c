"""What is done again and again: chores by the clock, and rounds that may be called at once. Due times are not here.

The only user of apscheduler.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from broker.clock import Clock, SystemClock
from broker.errors import BrokerError
from broker.journal import log

Chore = Callable[[], object]

_CLOCK_BEAT = 1.0
_LOOK_SECONDS = 60.0  # how often who hears a bell looks whether that is over; the process ends without it
_RINGS = 65536  # as many as a pipe holds


class Metronome:
    """Calls each chore again and again, never twice at once; a chore that takes longer than its beat skips beats."""

    def __init__(self, chores: Mapping[str, tuple[float, Chore]], clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        # That a beat was skipped is how it is meant to be, and no line for our log.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._changed = threading.Condition()
        self._running: set[str] = set()
        self._is_over = False
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(max(1, len(chores)))},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone="UTC",
        )
        for name, (seconds, chore) in chores.items():
            self._scheduler.add_job(partial(self._call, name, chore), "interval", seconds=seconds, id=name)
        self._clock = clock
        self._clock_was = clock.now()
        self._minding = _Round("clock", _CLOCK_BEAT, self.mind_clock)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()
        self._minding.start()

    def mind_clock(self) -> None:
        """Call all chores now where the clock was set back: apscheduler would wait until it has caught up."""
        before, self._clock_was = self._clock_was, self._clock.now()
        if self._is_over or self._clock_was >= before:
            return
        log.warning("clock.set-back", seconds=(before - self._clock_was).total_seconds())
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=self._clock_was)

    def end(self) -> None:
        """Call no chore any more."""
        with self._changed:
            self._is_over = True
        self._minding.end()
        self._scheduler.shutdown(wait=False)

    def wait(self, seconds: float) -> list[str]:
        """Wait for the chores that run, for so long at most; return the names of those that still do."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, seconds)
            return sorted(self._running)

    def _call(self, name: str, chore: Chore) -> None:
        with self._changed:
            if self._is_over:
                return
            self._running.add(name)
        try:
            _do(name, chore)
        finally:
            with self._changed:
                self._running.discard(name)
                self._changed.notify_all()


def _do(name: str, chore: Chore) -> None:
    """Call a chore, and tell what it fails of."""
    try:
        chore()
    except BrokerError as error:
        log.error("chore.failed", chore=name, why=str(error))
    except Exception:  # noqa: BLE001 - the outermost loop: the next round may do better
        log.error("chore.failed", chore=name, exc_info=True)


class Bell:
    """Rung in one process and heard in another, both forked from who made it. Rung twice it is heard once."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def ring(self) -> None:
        """Ring; it costs one system call and never waits."""
        with suppress(BlockingIOError):  # it is full: nobody has heard the ones before yet
            os.write(self._writer, b"\0")

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most, and tell whether it was rung."""
        heard, _, _ = select.select([self._reader], [], [], seconds)
        if heard:
            os.read(self._reader, _RINGS)
        return bool(heard)


class Rounds:
    """Calls each chore again and again from a thread of its own: at its beat, and at once when it is called for.

    One that has to `rest` for so many seconds after each call is called later then.
    """

    def __init__(
        self, chores: Mapping[str, tuple[float, Chore]], rests: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self._rounds = {
            name: _Round(name, seconds, chore, rests.get(name, 0.0)) for name, (seconds, chore) in chores.items()
        }
        self._hearing: list[_Hearing] = []

    def start(self) -> None:
        """Begin."""
        threads: tuple[threading.Thread, ...] = (*self._rounds.values(), *self._hearing)
        for each in threads:
            each.start()

    def hear(self, bell: Bell, names: Collection[str]) -> None:
        """Have these chores called whenever another process rings, from the beginning on."""
        self._hearing.append(_Hearing(bell, partial(self.call, tuple(names))))

    def call(self, names: Iterable[str]) -> None:
        """Have these chores called at once; one that runs is called once more."""
        for name in names:
            self._rounds[name].bell.set()

    def end(self) -> None:
        """Call each chore once more, so that it may end what it has begun, and then no more."""
        for hearing in self._hearing:
            hearing.end()
        for each in self._rounds.values():
            each.end()

    def wait(self, seconds: float) -> list[str]:
        """Wait for the chores that run, for so long at most; return the names of those that still do."""
        deadline = time.monotonic() + seconds
        for each in self._rounds.values():
            each.join(max(0.0, deadline - time.monotonic()))
        return sorted(name for name, each in self._rounds.items() if each.is_alive())


class _Round(threading.Thread):
    """One chore and its thread."""

    def __init__(self, name: str, seconds: float, chore: Chore, rest: float = 0.0) -> None:
        super().__init__(name=name, daemon=True)
        self._seconds = seconds
        self._rest = rest
        self._chore = chore
        self._over = threading.Event()
        self.bell = threading.Event()

    def run(self) -> None:
        """Call the chore until the end, whatever becomes of it."""
        is_last = False
        while not is_last:
            self.bell.wait(self._seconds)
            self.bell.clear()
            is_last = self._over.is_set()
            _do(self.name, self._chore)
            if self._rest:
                self._over.wait(self._rest)

    def end(self) -> None:
        """Have the chore called for the last time."""
        self._over.set()
        self.bell.set()


class _Hearing(threading.Thread):
    """Waits for another process's bell."""

    def __init__(self, bell: Bell, act: Callable[[], None]) -> None:
        super().__init__(name="hearing", daemon=True)
        self._bell = bell
        self._act = act
        self._is_over = False

    def run(self) -> None:
        """Act each time that it rings, until the end."""
        while not self._is_over:
            if self._bell.wait(_LOOK_SECONDS):
                self._act()

    def end(self) -> None:
        """Hear nothing more."""
        self._is_over = True
