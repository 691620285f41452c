"""Data set bytes to elements and back, bounded in size, depth and number. Knows no attribute's meaning.

Our own reader, since a peer's identifier is hostile until proven otherwise: whatever is wrong with it raises the one
error `Malformed`, and nesting is counted before it is followed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydicom.datadict import dictionary_VR, tag_for_keyword

from broker.errors import Rejected

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"

ByteOrder = Literal["little", "big"]

MAXIMUM_BYTES = 65_536
MAXIMUM_DEPTH = 8
MAXIMUM_ELEMENTS = 4_096

_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
# VRs with a 32-bit length in explicit syntaxes (PS3.5 7.1.2).
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_PADDED_WITH_NUL = frozenset({"UI", "OB", "UN"})
# VRs whose text may hold a backslash, and so is one value whatever it says (PS3.5 6.2).
ONE_TEXT = frozenset({"LT", "ST", "UT"})
_NUMBER_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4}


class Malformed(Rejected):
    """The bytes are no data set of this transfer syntax, or exceed a bound; `tag` is where reading stopped."""

    def __init__(self, text: str, tag: int = 0) -> None:
        super().__init__(text)
        self.tag = tag


@dataclass(frozen=True, slots=True)
class Element:
    """One data element: `value` unless it is a sequence, then `items`."""

    tag: int
    vr: str
    value: bytes = b""
    items: "tuple[tuple[Element, ...], ...]" = ()


@dataclass(frozen=True, slots=True)
class _Syntax:
    explicit: bool
    little: bool

    @property
    def order(self) -> ByteOrder:
        return "little" if self.little else "big"


_IMPLICIT = _Syntax(False, True)
_SYNTAXES = {
    IMPLICIT_LITTLE_ENDIAN: _IMPLICIT,
    EXPLICIT_LITTLE_ENDIAN: _Syntax(True, True),
    EXPLICIT_BIG_ENDIAN: _Syntax(True, False),
}


def read(
    data: bytes,
    transfer_syntax: str,
    *,
    maximum_bytes: int = MAXIMUM_BYTES,
    maximum_elements: int = MAXIMUM_ELEMENTS,
) -> tuple[Element, ...]:
    """Return the elements of an encoded data set, by default no larger than a query's. Raises Malformed."""
    if len(data) > maximum_bytes:
        raise Malformed(f"data set has over {maximum_bytes} bytes")
    reader = _Reader(data, _syntax(transfer_syntax), maximum_elements)
    return tuple(reader.elements(len(data), depth=0, delimited=False))


def write(elements: Iterable[Element], transfer_syntax: str) -> bytes:
    """Return the bytes of a data set, its elements in the order of their tags, sequences with explicit lengths."""
    return _written(elements, _syntax(transfer_syntax))


def byte_order(transfer_syntax: str) -> ByteOrder:
    """Return `little` or `big`, the byte order of binary values."""
    return _syntax(transfer_syntax).order


@lru_cache(maxsize=4096)
def dictionary_vr(tag: int) -> str:
    """Return the VR that PS3.6 gives to a tag, the first of several; `UN` when it has none."""
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"  # private creators (PS3.5 7.8.1)


@lru_cache(maxsize=4096)
def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of PS3.6."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def padded(vr: str, value: bytes) -> bytes:
    """Return a value with even length (PS3.5 6.2)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in _PADDED_WITH_NUL else b" ")


def swapped(vr: str, value: bytes) -> bytes:
    """Return binary numbers in the other byte order."""
    size = _NUMBER_SIZES[vr]
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def length_size(vr: str, transfer_syntax: str) -> int:
    """Return how many bytes the length of an element takes (PS3.5 7.1.2, 7.1.3)."""
    return 2 if _syntax(transfer_syntax).explicit and vr not in _LONG else 4


def item_tag(transfer_syntax: str) -> bytes:
    """Return the bytes with which an item of a sequence begins, before its length."""
    return _tag_bytes(_ITEM, _syntax(transfer_syntax))


def _syntax(transfer_syntax: str) -> _Syntax:
    try:
        return _SYNTAXES[transfer_syntax]
    except KeyError:
        raise Malformed("transfer syntax not supported here") from None


class _Reader:
    def __init__(self, data: bytes, syntax: _Syntax, maximum_elements: int) -> None:
        self._data = data
        self._syntax = syntax
        self._maximum_elements = maximum_elements
        self._at = 0
        self._elements = 0

    def elements(self, end: int, depth: int, delimited: bool) -> Iterator[Element]:
        while self._at < end:
            tag = self._tag(end)
            if delimited and tag == _ITEM_END:
                self._number(4, end)
                return
            yield self._element(tag, end, depth)
        if delimited:
            raise Malformed("an item does not end")

    def _element(self, tag: int, end: int, depth: int) -> Element:
        self._elements += 1
        if self._elements > self._maximum_elements:
            raise Malformed(f"data set has over {self._maximum_elements} elements", tag)
        if tag >> 16 == 0xFFFE:
            raise Malformed("an item tag outside a sequence", tag)
        vr, length = self._vr_and_length(tag, end)
        if vr == "SQ" or length == _UNDEFINED:
            return Element(tag, "SQ", items=self._sequence(tag, vr, length, end, depth))
        if vr == "UN":
            vr = dictionary_vr(tag) if dictionary_vr(tag) != "SQ" else "UN"
        return Element(tag, vr, self._bytes(length, end, tag))

    def _vr_and_length(self, tag: int, end: int) -> tuple[str, int]:
        if not self._syntax.explicit:
            return dictionary_vr(tag), self._number(4, end)
        raw = self._bytes(2, end, tag)
        if not (raw.isalpha() and raw.isupper()):
            raise Malformed("an element without a value representation", tag)
        vr = raw.decode("ascii")
        if vr not in _LONG:
            return vr, self._number(2, end)
        self._number(2, end)
        return vr, self._number(4, end)

    def _sequence(self, tag: int, vr: str, length: int, end: int, depth: int) -> tuple[tuple[Element, ...], ...]:
        if depth >= MAXIMUM_DEPTH:
            raise Malformed(f"sequences nest over {MAXIMUM_DEPTH} deep", tag)
        if vr not in {"SQ", "UN"}:
            raise Malformed("undefined length outside a sequence", tag)
        outer = self._syntax
        if vr == "UN":
            self._syntax = _IMPLICIT  # PS3.5 6.2.2 note 4: such a sequence is implicit little endian
        try:
            return tuple(self._items(tag, length, end, depth))
        finally:
            self._syntax = outer

    def _items(self, tag: int, length: int, end: int, depth: int) -> Iterator[tuple[Element, ...]]:
        delimited = length == _UNDEFINED
        stop = end if delimited else self._within(length, end, tag)
        while self._at < stop:
            kind, size = self._tag(stop), self._number(4, stop)
            if kind == _SEQUENCE_END and delimited:
                return
            if kind != _ITEM:
                raise Malformed("a sequence holds something other than items", tag)
            item_end = stop if size == _UNDEFINED else self._within(size, stop, tag)
            yield tuple(self.elements(item_end, depth + 1, delimited=size == _UNDEFINED))
        if delimited:
            raise Malformed("a sequence does not end", tag)

    def _within(self, length: int, end: int, tag: int) -> int:
        if self._at + length > end:
            raise Malformed("a length exceeds what is there", tag)
        return self._at + length

    def _bytes(self, length: int, end: int, tag: int) -> bytes:
        stop = self._within(length, end, tag)
        value = self._data[self._at : stop]
        self._at = stop
        return value

    def _number(self, size: int, end: int) -> int:
        raw = self._bytes(size, end, 0)
        return int.from_bytes(raw, "little" if self._syntax.little else "big")

    def _tag(self, end: int) -> int:
        return self._number(2, end) << 16 | self._number(2, end)


def _written(elements: Iterable[Element], syntax: _Syntax) -> bytes:
    return b"".join(_element_bytes(element, syntax) for element in sorted(elements, key=lambda e: e.tag))


def _element_bytes(element: Element, syntax: _Syntax) -> bytes:
    items = b"".join(_item_bytes(item, syntax) for item in element.items)
    value = items if element.vr == "SQ" else padded(element.vr, element.value)
    return _tag_bytes(element.tag, syntax) + _vr_and_length_bytes(element, len(value), syntax) + value


def _item_bytes(item: tuple[Element, ...], syntax: _Syntax) -> bytes:
    content = _written(item, syntax)
    return _tag_bytes(_ITEM, syntax) + _number_bytes(len(content), 4, syntax) + content


def _vr_and_length_bytes(element: Element, length: int, syntax: _Syntax) -> bytes:
    if not syntax.explicit:
        return _number_bytes(length, 4, syntax)
    vr = element.vr.encode("ascii")
    if element.vr in _LONG:
        return vr + b"\0\0" + _number_bytes(length, 4, syntax)
    return vr + _number_bytes(length, 2, syntax)


def _tag_bytes(tag: int, syntax: _Syntax) -> bytes:
    return _number_bytes(tag >> 16, 2, syntax) + _number_bytes(tag & 0xFFFF, 2, syntax)


def _number_bytes(number: int, size: int, syntax: _Syntax) -> bytes:
    return number.to_bytes(size, "little" if syntax.little else "big")
