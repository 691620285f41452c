"""Where the elements of an encoded data set begin and end (PS3.5 7). Reads headers only; decodes no value.

Every length is a peer's word: it is compared with what is there, never allocated and never recursed on. Bounds:
200,000 elements, 32 levels of sequences.
"""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from pydicom.datadict import dictionary_VR

from broker.delivery.content import CannotCorrect

MAXIMUM_ELEMENTS = 200_000
MAXIMUM_DEPTH = 32

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"}
    | {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_FRAGMENTED = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV"})

Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Syntax:
    """How elements are written: with or without VR, in which byte order (of struct)."""

    explicit: bool
    order: Order = "<"

    def tag(self, tag: int) -> bytes:
        """Return an encoded tag."""
        return struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)

    def number(self, number: int) -> bytes:
        """Return an encoded length of 32 bits."""
        return struct.pack(f"{self.order}I", number)

    def header(self, tag: int, vr: bytes, length: int) -> bytes:
        """Return the header of an element (PS3.5 7.1.2, 7.1.3)."""
        if not self.explicit:
            return self.tag(tag) + self.number(length)
        if vr in _SHORT:
            return self.tag(tag) + vr + struct.pack(f"{self.order}H", length)
        return self.tag(tag) + vr + b"\0\0" + self.number(length)


_IMPLICIT = Syntax(explicit=False)


@dataclass(frozen=True, slots=True)
class Found:
    """One element: `start` of its header, `value` and `end` as offsets in the stream.

    Of an undefined length the delimiter is the last 8 bytes before `end`. `vr` is the stated one, or, without any,
    the dictionary's; UN where that has none. `depth` 0 is the data set itself.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    end: int
    depth: int
    is_undefined: bool = False

    @property
    def length(self) -> int:
        """How many bytes its value has."""
        return self.end - self.value


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: bytes
    length: int
    start: int
    value: int

    @property
    def is_undefined(self) -> bool:
        return self.length == _UNDEFINED


class Walk:
    """Walks the elements between two offsets of a stream. Raises CannotCorrect where they cannot be told apart."""

    def __init__(self, stream: BinaryIO, start: int, end: int, syntax: Syntax) -> None:
        self._stream = stream
        self._start = start
        self._end = end
        self._syntax = syntax
        self._left = MAXIMUM_ELEMENTS

    def top(self, last: int) -> Iterator[Found]:
        """Yield the elements of the data set itself in the order in which they stand.

        The first with a tag above `last` ends it, and is given without its value.
        """
        at = self._start
        while at < self._end:
            header = self._header(at, self._end, self._syntax)
            if header.tag >> 16 == 0xFFFE:
                raise CannotCorrect("an item stands outside a sequence")
            if header.tag > last:
                yield Found(header.tag, header.vr, at, header.value, header.value, 0, header.is_undefined)
                return
            at = self._end_of(header, self._end, self._syntax, 0)
            yield Found(header.tag, header.vr, header.start, header.value, at, 0, header.is_undefined)

    def all(self) -> Iterator[Found]:
        """Yield every element that is no sequence, those inside sequences too."""
        yield from self._inside(self._start, self._end, self._syntax, 0)

    # --- elements

    def _inside(self, at: int, end: int, syntax: Syntax, depth: int) -> Generator[Found, None, int]:
        """Yield what stands up to `end`, or, inside an item, up to its delimiter; return where that ends."""
        while at < end:
            header = self._header(at, end, syntax)
            if header.tag >> 16 == 0xFFFE:
                if header.tag == _ITEM_END and depth:
                    return header.value
                raise CannotCorrect("an item stands outside a sequence")
            if header.vr == b"SQ" or (header.is_undefined and header.vr not in _FRAGMENTED):
                at = yield from self._items(header, end, _within(header, syntax), depth + 1)
                continue
            at = self._end_of(header, end, syntax, depth)
            yield Found(header.tag, header.vr, header.start, header.value, at, depth, header.is_undefined)
        return at

    def _items(self, sequence: _Header, end: int, syntax: Syntax, depth: int) -> Generator[Found, None, int]:
        if depth > MAXIMUM_DEPTH:
            raise CannotCorrect(f"sequences are nested deeper than {MAXIMUM_DEPTH}")
        at = sequence.value
        end = end if sequence.is_undefined else self._checked(sequence, end)
        while at < end:
            item = self._header(at, end, syntax)
            if item.tag == _SEQUENCE_END and sequence.is_undefined:
                return item.value
            if item.tag != _ITEM:
                raise CannotCorrect("a sequence is not made of items")
            item_end = end if item.is_undefined else self._checked(item, end)
            at = yield from self._inside(item.value, item_end, syntax, depth)
        return at

    def _end_of(self, header: _Header, end: int, syntax: Syntax, depth: int) -> int:
        if not header.is_undefined:
            return self._checked(header, end)
        if header.vr in _FRAGMENTED:
            return self._after_fragments(header.value, end, syntax)
        walked = self._items(header, end, _within(header, syntax), depth + 1)
        while True:
            try:
                next(walked)
            except StopIteration as stop:
                found: int = stop.value
                return found

    def _after_fragments(self, at: int, end: int, syntax: Syntax) -> int:
        """Pass over encapsulated pixel data (PS3.5 A.4)."""
        while True:
            item = self._header(at, end, syntax)
            if item.tag == _SEQUENCE_END:
                return item.value
            if item.tag != _ITEM or item.is_undefined:
                raise CannotCorrect("encapsulated pixel data is not made of fragments")
            at = self._checked(item, end)

    def _checked(self, header: _Header, end: int) -> int:
        if header.value + header.length > end:
            raise CannotCorrect("a length exceeds what is there")
        return header.value + header.length

    # --- headers

    def _header(self, at: int, end: int, syntax: Syntax) -> _Header:
        self._left -= 1
        if self._left < 0:
            raise CannotCorrect(f"it has more than {MAXIMUM_ELEMENTS} elements")
        raw = self._read(at, 8, end)
        group, element = struct.unpack_from(f"{syntax.order}HH", raw)
        tag = group << 16 | element
        if not syntax.explicit or group == 0xFFFE:
            length = struct.unpack_from(f"{syntax.order}I", raw, 4)[0]
            return _Header(tag, b"" if group == 0xFFFE else dictionary_vr(tag), length, at, at + 8)
        vr = raw[4:6]
        if vr in _SHORT:
            return _Header(tag, vr, struct.unpack_from(f"{syntax.order}H", raw, 6)[0], at, at + 8)
        if not (vr.isalpha() and vr.isupper()):
            raise CannotCorrect("an element has no value representation")
        # A VR of a later edition has the long form (PS3.5 7.1.2).
        length = struct.unpack(f"{syntax.order}I", self._read(at + 8, 4, end))[0]
        return _Header(tag, vr, length, at, at + 12)

    def _read(self, at: int, length: int, end: int) -> bytes:
        self._stream.seek(at)
        raw = self._stream.read(length) if at + length <= end else b""
        if len(raw) < length:
            raise CannotCorrect("it ends inside an element")
        return raw


def dictionary_vr(tag: int) -> bytes:
    """Return the VR that PS3.6 gives to a tag, the first of several; `UN` when it has none."""
    try:
        return dictionary_VR(tag)[:2].encode("ascii")
    except KeyError:
        return b"UN"


def _within(header: _Header, syntax: Syntax) -> Syntax:
    # UN of undefined length holds Implicit VR Little Endian whatever is around it (PS3.5 6.2.2).
    return _IMPLICIT if header.vr == b"UN" and syntax.explicit else syntax
