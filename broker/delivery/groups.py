"""Groups of what comes one by one, handed on by a thread of their own. Knows nothing of what they are.

So that one commit serves several outcomes, and whoever sends need not wait for it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

LARGEST = 25
"""How many are a group at most."""
MOST = 2 * LARGEST
"""How many may be on their way or wait at any moment, a group each: so many outcomes a stop can lose."""
SECONDS = 0.05
"""How long one waits for others at most."""


class Groups(Generic[T]):
    """Hands on in order what is put in. One thread puts in.

    A group is what came in SECONDS, `largest` at most; the next one comes meanwhile. What `hand_on` raises is raised
    to who puts in, or closes; nothing is handed on after it.
    """

    def __init__(
        self, hand_on: Callable[[Sequence[T]], None], largest: int = LARGEST, seconds: float = SECONDS
    ) -> None:
        self._hand_on = hand_on
        self._largest = largest
        self._seconds = seconds
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: list[T] = []
        self._since = 0.0  # when the first that waits came
        self._is_urgent = False
        self._is_over = False
        self._error: BaseException | None = None

    def put(self, item: T, *, at_once: bool = False) -> None:
        """Put one in; `at_once`: it waits for no others. Waits while there are too many."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            self._raise()
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(item)
            self._is_urgent |= at_once
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)
                self._thread.start()
            elif len(self._waiting) == 1 or self._is_ripe():
                self._changed.notify_all()

    def close(self) -> None:
        """Hand on the rest and end."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _has_room(self) -> bool:
        return self._error is not None or len(self._waiting) < self._largest

    def _is_ripe(self) -> bool:
        return self._is_over or self._is_urgent or len(self._waiting) >= self._largest

    def _run(self) -> None:
        try:
            while group := self._next():
                self._hand_on(group)
        except BaseException as error:  # noqa: BLE001 - whoever puts in raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> list[T]:
        """Wait for a group and return it; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            self._changed.wait_for(self._is_ripe, self._since + self._seconds - time.monotonic())
            group, self._waiting, self._is_urgent = self._waiting, [], False
            self._changed.notify_all()
            return group
