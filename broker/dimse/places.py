"""Who may have a connection, and how many: places before and after association. Opens and closes nothing itself."""

import threading
from collections import Counter
from typing import Protocol

from broker.dimse.limits import Limits


class Guest(Protocol):
    """A connection that takes a place."""

    @property
    def address(self) -> str:
        """The peer's network address."""
        ...


class Places:
    """Counts guests in three rooms: those that negotiate, those that wait, and those with an association.

    Negotiating guests are cheap for an attacker, so the oldest must go when there are too many. A whole request is
    worth waiting for: it is held back until a place is free, not refused.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._negotiating: dict[Guest, None] = {}
        self._by_address: Counter[str] = Counter()
        self._waiting = 0
        self._established = 0
        self._changed = threading.Condition()

    @property
    def is_crowded(self) -> bool:
        """Whether no further connection should be accepted for now."""
        return self._waiting >= self._limits.waiting

    def enter(self, guest: Guest) -> Guest | None:
        """Give `guest` a negotiating place; return the guest that has to go for it."""
        with self._changed:
            leaving = self._too_many(guest.address)
            if leaving is not None:
                self._remove(leaving)
            self._negotiating[guest] = None
            self._by_address[guest.address] += 1
            return leaving

    def leave(self, guest: Guest) -> None:
        """Take back the negotiating place of `guest`, if it still has one."""
        with self._changed:
            if guest in self._negotiating:
                self._remove(guest)

    def wait(self, guest: Guest, seconds: float) -> bool:
        """Move `guest` from negotiating to waiting, and to an association within `seconds`; tell whether it did."""
        with self._changed:
            if guest in self._negotiating:
                self._remove(guest)
            self._waiting += 1
            free = self._changed.wait_for(lambda: self._established < self._limits.established, seconds)
            self._waiting -= 1
            self._established += free
            return free

    def end(self) -> None:
        """Take back the place of an association."""
        with self._changed:
            self._established -= 1
            self._changed.notify()

    def _too_many(self, address: str) -> Guest | None:
        if self._by_address[address] >= self._limits.negotiating_per_address:
            return next(guest for guest in self._negotiating if guest.address == address)
        if len(self._negotiating) >= self._limits.negotiating:
            return next(iter(self._negotiating))
        return None

    def _remove(self, guest: Guest) -> None:
        del self._negotiating[guest]
        self._by_address[guest.address] -= 1
        if not self._by_address[guest.address]:
            del self._by_address[guest.address]
