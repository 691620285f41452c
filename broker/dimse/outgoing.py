"""A file's slice sent as P-DATA-TFs of the peer's length: read straight between headers that are already in place."""

import os
from collections.abc import Iterator

from broker.dimse import message
from broker.dimse.pdu import DATA_HEADER
from broker.errors import Unavailable

_ROUND = 512 * 1024  # bytes for each system call that reads, and each that sends
_MOST_PDUS = 256  # in a round: below the system's limit of buffers for one call


class FilePdus:
    """Cuts `length` bytes at `offset` of an open file into P-DATA-TFs with one PDV each, many at a time."""

    def __init__(self, descriptor: int, offset: int, length: int, context_id: int, size: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._left = length
        self._context_id = context_id
        self._size = size
        self._slot = DATA_HEADER.size + size
        self._count = max(1, min(_ROUND // self._slot, _MOST_PDUS, -(-length // size)))
        self._buffer = bytearray(self._slot * self._count)

    def rounds(self, first: bytes) -> Iterator[bytes | memoryview]:
        """Yield what to send, the bytes of `first` (the command) before all; each is valid until the next."""
        if self._left == 0:
            yield first + message.data_header(self._context_id, message.DATA_LAST, 0)
            return
        view = memoryview(self._buffer)
        while self._left:
            filled = self._fill(view)
            yield first + view[:filled] if first else view[:filled]
            first = b""

    def _fill(self, view: memoryview) -> int:
        """Write headers, and read the data between them; return how many bytes are ready."""
        slots: list[memoryview] = []
        at, wanted = 0, 0
        while len(slots) < self._count and wanted < self._left:
            length = min(self._size, self._left - wanted)
            wanted += length
            control = message.DATA_LAST if wanted == self._left else message.DATA_MORE
            DATA_HEADER.pack_into(view, at, 4, length + 6, length + 2, self._context_id, control)
            at += DATA_HEADER.size
            slots.append(view[at : at + length])
            at += length
        self._read(slots, wanted)
        self._offset += wanted
        self._left -= wanted
        return at

    def _read(self, slots: list[memoryview], wanted: int) -> None:
        if os.preadv(self._descriptor, slots, self._offset) == wanted:
            return
        at = self._offset
        for slot in slots:  # a short read: piece by piece then
            while slot:
                read = os.preadv(self._descriptor, [slot], at)
                if read == 0:
                    raise Unavailable("the file to send is shorter than it should be")
                slot, at = slot[read:], at + read  # noqa: PLW2901 - the rest of this slot
