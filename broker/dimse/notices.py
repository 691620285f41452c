"""Requests of ours to peers that called us: posted from any thread, sent by the association's own. Sends nothing."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from broker.dimse.service import NormalizedAnswer, NormalizedRequest

Answered = Callable[[NormalizedAnswer | None], None]  # None: the association ended, the outcome is unknown
Notice = tuple[NormalizedRequest, Answered]


class Mailbox:
    """What waits to be sent on one association."""

    def __init__(self) -> None:
        self._notices: SimpleQueue[Notice] = SimpleQueue()

    def put(self, notice: Notice) -> None:
        """Add a notice."""
        self._notices.put(notice)

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return self._notices.empty()

    def take(self) -> list[Notice]:
        """Return all that waits."""
        notices = []
        try:
            while True:
                notices.append(self._notices.get_nowait())
        except Empty:
            return notices


class Notices:
    """The mailboxes of the open associations."""

    def __init__(self) -> None:
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()

    def open(self, association_id: str) -> Mailbox:
        """Return a mailbox for a new association."""
        with self._lock:
            return self._boxes.setdefault(association_id, Mailbox())

    def close(self, association_id: str) -> list[Notice]:
        """Forget the mailbox; return what was never sent."""
        with self._lock:
            return self._boxes.pop(association_id).take()

    def post(self, association_id: str, request: NormalizedRequest, answered: Answered) -> bool:
        """Leave a request for an association; False when it is not open any more."""
        with self._lock:
            box = self._boxes.get(association_id)
            if box is None:
                return False
            box.put((request, answered))
            return True
