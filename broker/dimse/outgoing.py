"""A file's slice sent as P-DATA-TFs of the peer's length: read straight between headers that are already in place.

A data set may also be made of several slices of the file with bytes of ours between them. One whose hash is known is
read once: it is hashed as it leaves, and its end is withheld until the hash of all of it is the right one.
"""

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence

from broker.dimse import message
from broker.dimse.contexts import DEFLATED
from broker.dimse.pdu import DATA_HEADER
from broker.dimse.service import Altered, OutgoingInstance, Unreadable

_ROUND = 1024 * 1024  # bytes for each system call that reads, and each that sends
_MOST_PDUS = 256  # in a round: below the system's limit of buffers for one call
_TOO_SHORT = "the file ends before the data set does"


class FilePdus:
    """Cuts `length` bytes at `offset` of an open file into P-DATA-TFs with one PDV each, many at a time.

    A deflated data set of odd length gets the NUL that it should have had (PS3.5 A.5): fragments have even length
    (PS3.8 annex E.2), and DCMTK and Orthanc abort at one that has not.

    With `parts` what is cut are these, of `length` bytes in all: bytes, and (offset, length) of the file. With
    `sha256` (of one slice) the last round is given only if the bytes of all of them have this hash.
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
        sha256: str = "",
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
        self._sha256 = sha256
        self._digest = hashlib.sha256()

    def room(self, first: bytes) -> int:
        """Return how many bytes of buffer `rounds` needs."""
        return len(first) + self._slot * self._count + self._padding

    @property
    def is_read(self) -> bool:
        """Whether all of the file that is needed has been read."""
        return self._left == 0

    def rounds(self, first: bytes, buffer: bytearray) -> Generator[bytes | memoryview, None, None]:
        """Yield what to send, the bytes of `first` (the command) before all; each is valid until the next.

        `buffer` holds each while it is sent, and has `room(first)` bytes; it may be used again for another file.
        Raises Altered, Unreadable.
        """
        if self._left == 0:
            self._compare()
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
        try:
            self._read(slots, wanted)
        except OSError as error:
            raise Unreadable(f"the file cannot be read: {error.strerror or type(error).__name__}") from error
        self._offset += wanted
        self._left -= wanted
        if self._sha256:
            for slot in slots:
                self._digest.update(slot)
        if self._left == 0:
            self._compare()
        return at

    def _compare(self) -> None:
        if self._sha256 and self._digest.hexdigest() != self._sha256:
            raise Altered("the data set has another hash than the one that was kept")

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
                    raise Altered(_TOO_SHORT)
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
                    raise Altered(_TOO_SHORT)
                self._parts[0] = (offset + taken, length - taken)
                is_used = taken == length
            if is_used:
                self._parts.popleft()
            slot = slot[taken:]


def _is_filled(part: bytes | tuple[int, int]) -> bool:
    return bool(part if isinstance(part, bytes) else part[1])


class Staged:
    """A C-STORE that is ready to leave: command and beginning of the data set, as much as one round has.

    The rest is read as it leaves. What one round holds wholly has been compared with its hash already.
    """

    def __init__(self, instance: OutgoingInstance, message_id: int, context_id: int, size: int) -> None:
        self.instance = instance
        self.message_id = message_id
        self._context_id = context_id
        self._size = size
        self._descriptor = -1
        self._ready: bytes | memoryview = b""
        self._rest: Generator[bytes | memoryview, None, None] | None = None

    def read(self, buffer: bytearray) -> bytearray:
        """Read the beginning into `buffer`, or into a larger one where it is too small; return the one that is used.

        Raises Altered, Unreadable.
        """
        instance, size = self.instance, self._size
        self._open()
        try:
            cut = FilePdus(
                self._descriptor,
                instance.offset,
                instance.length,
                self._context_id,
                size,
                is_deflated=instance.transfer_syntax in DEFLATED,
                parts=instance.parts,
                sha256=instance.sha256,
            )
            command = message.store_request(self.message_id, instance.sop_class_uid, instance.sop_instance_uid)
            first = b"".join(message.pdus(self._context_id, command, True, size))
            room = cut.room(first)
            if len(buffer) < room:
                buffer = bytearray(room)
            self._rest = cut.rounds(first, buffer)
            self._ready = next(self._rest)
        except BaseException:
            self.close()
            raise
        if cut.is_read:
            self._release()
        return buffer

    def rounds(self) -> Iterator[bytes | memoryview]:
        """Yield what to send; each is valid until the next. Raises Altered, Unreadable; nothing is whole then."""
        try:
            yield self._ready
            if self._rest is not None:
                yield from self._rest
        except Altered as altered:
            raise Altered(str(altered), has_begun=True) from altered
        finally:
            self.close()

    def close(self) -> None:
        """Let the file go."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()
        self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self.instance.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Altered("the file is missing") from error
        except OSError as error:
            raise Unreadable(f"the file cannot be read: {error.strerror or type(error).__name__}") from error
