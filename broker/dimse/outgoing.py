"""A file's slice sent as P-DATA-TFs of the peer's length: read straight between headers that are already in place.

A data set may also be made of several slices of the file with bytes of ours between them.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence

from broker.dimse import message
from broker.dimse.pdu import DATA_HEADER
from broker.errors import Unavailable

_ROUND = 1024 * 1024  # bytes for each system call that reads, and each that sends
_MOST_PDUS = 256  # in a round: below the system's limit of buffers for one call
_TOO_SHORT = "the file to send is shorter than it should be"


class FilePdus:
    """Cuts `length` bytes at `offset` of an open file into P-DATA-TFs with one PDV each, many at a time.

    A deflated data set of odd length gets the NUL that it should have had (PS3.5 A.5): fragments have even length
    (PS3.8 annex E.2), and DCMTK and Orthanc abort at one that has not.

    With `parts` what is cut are these, of `length` bytes in all: bytes, and (offset, length) of the file.
    """

    def __init__(
        self,
        descriptor: int,
        offset: int,
        length: int,
        context_id: int,
        size: int,
        *,
        is_deflated: bool = False,
        parts: Sequence[bytes | tuple[int, int]] = (),
    ) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._left = length
        self._padding = length % 2 if is_deflated else 0
        self._context_id = context_id
        self._size = size
        self._parts = deque(memoryview(part) if isinstance(part, bytes) else part for part in parts if _is_filled(part))
        self._slot = DATA_HEADER.size + size
        self._count = max(1, min(_ROUND // self._slot, _MOST_PDUS, -(-length // size)))

    def room(self, first: bytes) -> int:
        """Return how many bytes of buffer `rounds` needs."""
        return len(first) + self._slot * self._count + self._padding

    def rounds(self, first: bytes, buffer: bytearray) -> Iterator[bytes | memoryview]:
        """Yield what to send, the bytes of `first` (the command) before all; each is valid until the next.

        `buffer` holds each while it is sent, and has `room(first)` bytes; it may be used again for another file.
        """
        if self._left == 0:
            yield first + message.data_header(self._context_id, message.DATA_LAST, 0)
            return
        with memoryview(buffer) as view:
            view[: len(first)] = first
            at = len(first)
            while self._left:
                yield view[: self._fill(view, at)]
                at = 0

    def _fill(self, view: memoryview, at: int) -> int:
        """Write headers from `at` on, and read the data between them; return where what is ready ends."""
        slots: list[memoryview] = []
        wanted = 0
        while len(slots) < self._count and wanted < self._left:
            length = min(self._size, self._left - wanted)
            wanted += length
            is_last = wanted == self._left
            sent = length + self._padding if is_last else length
            control = message.DATA_LAST if is_last else message.DATA_MORE
            DATA_HEADER.pack_into(view, at, 4, sent + 6, sent + 2, self._context_id, control)
            at += DATA_HEADER.size
            slots.append(view[at : at + length])
            view[at + length : at + sent] = bytes(sent - length)
            at += sent
        self._read(slots, wanted)
        self._offset += wanted
        self._left -= wanted
        return at

    def _read(self, slots: list[memoryview], wanted: int) -> None:
        if self._parts:
            for slot in slots:
                self._read_parts(slot)
            return
        if os.preadv(self._descriptor, slots, self._offset) == wanted:
            return
        at = self._offset
        for slot in slots:  # a short read: piece by piece then
            while slot:
                read = os.preadv(self._descriptor, [slot], at)
                if read == 0:
                    raise Unavailable(_TOO_SHORT)
                slot, at = slot[read:], at + read  # noqa: PLW2901 - the rest of this slot

    def _read_parts(self, slot: memoryview) -> None:
        while slot:
            part = self._parts[0]
            if isinstance(part, memoryview):
                taken = min(len(slot), len(part))
                slot[:taken] = part[:taken]
                self._parts[0] = rest = part[taken:]
                is_used = not rest
            else:
                offset, length = part
                taken = os.preadv(self._descriptor, [slot[:length]], offset)
                if taken == 0:
                    raise Unavailable(_TOO_SHORT)
                self._parts[0] = (offset + taken, length - taken)
                is_used = taken == length
            if is_used:
                self._parts.popleft()
            slot = slot[taken:]


def _is_filled(part: bytes | tuple[int, int]) -> bool:
    return bool(part if isinstance(part, bytes) else part[1])
