"""SHA-256 of a data set that comes in pieces, computed beside who receives and writes it. Knows no file.

The hash of a loop of 58 MB takes as long as receiving and writing it: where a core is free it costs no time this way.
"""

import hashlib
import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType

from broker.errors import Unavailable

BLOCK = 256 * 1024  # bytes that are handed over at once

_SLOTS = 3  # one is being filled, one hashed, one waits between


class BesideHash:
    """The hash of what passes through `blocks`; its thread ends with the `with` block. Raises Unavailable without one.

    `sha256` and `length` are those of all that has passed.
    """

    def __init__(self) -> None:
        self.length = 0
        self._digest = hashlib.sha256()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[memoryview, int] | None] = queue.SimpleQueue()
        memory = memoryview(bytearray(BLOCK * _SLOTS))
        for at in range(0, len(memory), BLOCK):
            self._free.put(memory[at : at + BLOCK])
        self._thread = threading.Thread(target=self._run, name="hash", daemon=True)

    def __enter__(self) -> "BesideHash":
        try:
            self._thread.start()
        except RuntimeError as error:
            raise Unavailable("there are too many threads") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def blocks(self, pieces: Iterable[memoryview]) -> Iterator[memoryview]:
        """Give the pieces again, gathered into blocks; each is valid until the next is asked for."""
        slot, end = self._free.get(), 0
        for piece in pieces:
            taken = 0
            while left := len(piece) - taken:
                count = min(left, BLOCK - end)
                slot[end : end + count] = piece[taken : taken + count]
                end += count
                taken += count
                if end == BLOCK:
                    yield self._handed(slot, end)
                    slot, end = self._free.get(), 0
        if end:
            yield self._handed(slot, end)

    def sha256(self) -> str:
        """Wait for and return the hash; nothing passes any more."""
        self._end()
        return self._digest.hexdigest()

    def _handed(self, slot: memoryview, end: int) -> memoryview:
        self.length += end
        self._full.put((slot, end))
        return slot[:end]

    def _end(self) -> None:
        self._full.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (full := self._full.get()) is not None:
            slot, end = full
            self._digest.update(slot[:end])
            self._free.put(slot)  # who fills it again has done with what it gave
