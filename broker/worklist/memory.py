"""Answers that were encoded before, given again byte for byte. Decides nothing: equal arguments, equal bytes.

A console asks the same query every minute, and most of its answers are those of the minute before. What counts is
content: the key is every value an answer is made of, so that nothing has to be forgotten when an item changes.
"""

import threading
from collections.abc import Hashable
from dataclasses import fields
from operator import attrgetter

from broker.worklist.dataset import Encoded, encode
from broker.worklist.elements import Element
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.query import Query

_MAXIMUM_ANSWERS = 20_000  # of about a kilobyte each
_values = attrgetter(*(field.name for field in fields(WorklistItem) if field.name not in ("attributes", "encoded")))


class AnswerMemory:
    """Remembers up to `maximum` answers; when full, the older half goes. Thread-safe."""

    def __init__(self, maximum: int = _MAXIMUM_ANSWERS) -> None:
        self._maximum = maximum
        self._answers: dict[Hashable, Encoded] = {}
        self._lock = threading.Lock()

    def encoder(self, query: Query, viewer: Viewer, transfer_syntax: str) -> "Encoder":
        """Return what encodes the items of one query."""
        return Encoder(self, query, viewer, transfer_syntax)

    def get(self, key: Hashable) -> Encoded | None:
        """Return the answer of this key, if it is remembered."""
        return self._answers.get(key)

    def keep(self, key: Hashable, answer: Encoded) -> None:
        """Remember an answer."""
        with self._lock:
            if len(self._answers) >= self._maximum:
                for old in list(self._answers)[: self._maximum // 2]:
                    del self._answers[old]
            self._answers[key] = answer


class Encoder:
    """Encodes items for one query, from memory where it can."""

    def __init__(self, memory: AnswerMemory, query: Query, viewer: Viewer, transfer_syntax: str) -> None:
        self._memory = memory
        self._query = query
        self._viewer = viewer
        self._transfer_syntax = transfer_syntax
        self._asker = _Asker((shape(query.asked), viewer, transfer_syntax))

    def encode(self, item: WorklistItem) -> Encoded:
        """Return the answer for a resolved item."""
        key = (self._asker, _values(item), tuple(item.attributes.items()))
        answer = self._memory.get(key)
        if answer is None:
            answer = encode(self._query, item, self._viewer, self._transfer_syntax)
            self._memory.keep(key, answer)
        return answer


class _Asker:
    """What is the same for all answers of a query, hashed once instead of with every answer."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: Hashable) -> None:
        self._parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Asker) and self._parts == other._parts)


def shape(asked: tuple[Element, ...]) -> Hashable:
    """Return what of a request decides how an answer looks: what is asked for, not which values match.

    Only a private creator's value is echoed, so only that belongs to it.
    """
    return tuple(
        (element.tag, element.vr, element.value if element.tag >> 16 & 1 else b"", tuple(map(shape, element.items)))
        for element in asked
    )
