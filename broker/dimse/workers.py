"""The threads that serve connections: one that is free takes the next. Knows no connection.

Beginning a thread and ending it costs a short association more than its negotiation.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

Work = Callable[[], None]

_IDLE = 30.0  # seconds that a free thread waits for work


class Workers:
    """Begins a thread where none is free: work never waits for other work. Any thread may give some."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._given: SimpleQueue[Work | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._free = 0  # threads that wait, less the work that is given to them
        self._threads: set[threading.Thread] = set()
        self._is_over = False

    @property
    def count(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    @property
    def free(self) -> int:
        """How many of them wait for work."""
        return self._free

    def give(self, work: Work) -> None:
        """Have it done now; raise RuntimeError when the system has no thread left for us."""
        with self._changed:
            if self._free:
                self._free -= 1
                self._given.put(work)
                return
        thread = threading.Thread(target=self._run, args=([work],), name=self._name, daemon=True)
        with self._changed:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._forget(thread)
            raise

    def end(self, seconds: float) -> None:
        """Let free threads end, and wait for those that work, so long."""
        with self._changed:
            self._is_over = True
            for _ in range(self._free):
                self._given.put(None)
            self._free = 0
            self._changed.wait_for(lambda: not self._threads, seconds)

    def _run(self, given: list[Work]) -> None:
        # Only this list holds what is done: a thread that waits keeps no connection alive.
        try:
            while given:
                given.pop()()
                self._next(given)
        finally:
            self._forget(threading.current_thread())

    def _next(self, given: list[Work]) -> None:
        """Wait for more work; none when nobody has any for long."""
        with self._changed:
            if self._is_over:
                return
            self._free += 1
        try:
            work = self._given.get(timeout=_IDLE)
        except Empty:
            with self._changed:
                if self._free:
                    self._free -= 1
                    return
            work = self._given.get()  # it was given in the very moment in which we gave up
        if work is not None:
            given.append(work)

    def _forget(self, thread: threading.Thread) -> None:
        with self._changed:
            self._threads.discard(thread)
            if not self._threads:
                self._changed.notify_all()
