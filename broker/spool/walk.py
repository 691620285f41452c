"""Reads what routing needs from a data set that is all there: as `scan.py` does, in a fifth of its time.

Where anything is out of the ordinary it gives up, and `scan.Scanner` judges: what is wrong is said in one place only.
"""

import struct
from collections.abc import Container

from broker.spool import scan, text
from broker.spool.scan import LAST_GROUP, MAXIMUM_DEPTH, MAXIMUM_ELEMENTS, MAXIMUM_VALUE, READ, Scan, Scanner

_EXPLICIT_HEADER = struct.Struct("<HH2sH").unpack_from
_IMPLICIT_HEADER = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from

_SHORT = scan.SHORT
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_DELIMITING = 0xFFFE
_IDENTITY = {0x00080016: "SOPClassUID", 0x00080018: "SOPInstanceUID"}


class _Odd(Exception):
    """Something that this reader leaves to the other one."""


def scan_of(content: memoryview, transfer_syntax: str) -> Scan:
    """Return what a `Scanner` that is fed with `content` finds."""
    scanner = Scanner(transfer_syntax)
    scanner.feed(content)
    return scanner.finish()


def identify(content: memoryview, transfer_syntax: str) -> Scan:
    """Return what `scan_of` returns, but of the attributes the two UIDs alone."""
    if transfer_syntax in scan.DEFLATED or transfer_syntax == scan.BIG_ENDIAN:
        return scan_of(content, transfer_syntax)
    try:
        found = _Walk(content, transfer_syntax not in scan.IMPLICIT).values(_IDENTITY)
    except (_Odd, struct.error):
        return scan_of(content, transfer_syntax)
    return Scan({keyword: text.decode(found[tag], "") for tag, keyword in _IDENTITY.items() if tag in found})


def scan_whole(content: memoryview, transfer_syntax: str, wanted: Container[int] = READ) -> Scan:
    """Return what `scan_of` returns; of the attributes the wanted ones, or more."""
    if transfer_syntax in scan.DEFLATED or transfer_syntax == scan.BIG_ENDIAN:
        return scan_of(content, transfer_syntax)
    try:
        return Scan(scan.decoded(_Walk(content, transfer_syntax not in scan.IMPLICIT).values(wanted)))
    except (_Odd, struct.error):
        return scan_of(content, transfer_syntax)


def scan_front(front: memoryview, transfer_syntax: str) -> Scan | None:
    """Return what `scan_whole` returns for a whole data set that begins with `front`; None where that is too little."""
    if transfer_syntax in scan.DEFLATED or transfer_syntax == scan.BIG_ENDIAN:
        return None
    walk = _Walk(front, transfer_syntax not in scan.IMPLICIT)
    try:
        found = walk.values(READ)
    except (_Odd, struct.error):
        return None
    return Scan(scan.decoded(found)) if walk.is_through else None


class _Walk:
    """One data set, little endian. Every length is compared with what is there before it is believed."""

    def __init__(self, content: memoryview, is_explicit: bool) -> None:
        self._content = content
        self._end = len(content)
        self._is_explicit = is_explicit
        self._left = MAXIMUM_ELEMENTS
        self.is_through = False  # all that routing needs has passed, whatever follows

    def values(self, wanted: Container[int]) -> dict[int, bytes]:
        """Return the first value of each wanted tag. Raises _Odd or struct.error."""
        found: dict[int, bytes] = {}
        at, end, content = 0, self._end, self._content
        while at < end:
            if self._is_explicit and (at := self._plain(at, wanted, found)) == end:
                break
            group, element, length, value_at, is_unknown = self._header(at, self._is_explicit)
            if group > LAST_GROUP:
                if group == _DELIMITING:
                    raise _Odd
                self.is_through = True
                return found
            if length == _UNDEFINED:
                at = self._passed(value_at, self._is_explicit and not is_unknown, 1)
                continue
            at = value_at + length
            if at > end:
                raise _Odd
            tag = group << 16 | element
            if tag in wanted and length <= MAXIMUM_VALUE and tag not in found:
                found[tag] = bytes(content[value_at:at])
        return found

    def _plain(self, at: int, wanted: Container[int], found: dict[int, bytes]) -> int:
        """Read on through elements of short explicit form, most there are, without a call each; return what follows."""
        content, end, left = self._content, self._end, self._left
        while at < end:
            group, element, vr, length = _EXPLICIT_HEADER(content, at)
            if vr not in _SHORT or group > LAST_GROUP:
                break
            left -= 1
            begun = at + 8
            at = begun + length
            if at > end or left < 0:
                raise _Odd
            tag = group << 16 | element
            if tag in wanted and length <= MAXIMUM_VALUE and tag not in found:
                found[tag] = bytes(content[begun:at])
        self._left = left
        return at

    def _header(self, at: int, is_explicit: bool) -> tuple[int, int, int, int, bool]:
        """Return group, element, length, where the value is, and whether its VR is UN."""
        self._left -= 1
        if self._left < 0:
            raise _Odd
        if not is_explicit:
            group, element, length = _IMPLICIT_HEADER(self._content, at)
            return group, element, length, at + 8, False
        group, element, vr, length = _EXPLICIT_HEADER(self._content, at)
        if group == _DELIMITING:
            return group, element, _LENGTH(self._content, at + 4)[0], at + 8, False
        if vr in scan.SHORT:
            return group, element, length, at + 8, False
        if vr not in scan.LONG and not (vr.isalpha() and vr.isupper()):
            raise _Odd
        return group, element, _LENGTH(self._content, at + 8)[0], at + 12, vr == b"UN"

    def _passed(self, at: int, is_explicit: bool, depth: int) -> int:
        """Return where a value of undefined length that starts at `at` ends: items until their delimiter."""
        if depth > MAXIMUM_DEPTH // 2:
            raise _Odd
        while True:
            group, element, length, at, _ = self._header(at, is_explicit)
            if group != _DELIMITING:
                raise _Odd
            if element == _SEQUENCE_END:
                return at
            if element != _ITEM:
                raise _Odd
            at = self._item(at, is_explicit, depth) if length == _UNDEFINED else self._over(at, length)

    def _item(self, at: int, is_explicit: bool, depth: int) -> int:
        """Return where an item of undefined length that starts at `at` ends."""
        while True:
            group, element, length, at, is_unknown = self._header(at, is_explicit)
            if group == _DELIMITING:
                if element != _ITEM_END:
                    raise _Odd
                return at
            if length == _UNDEFINED:
                at = self._passed(at, is_explicit and not is_unknown, depth + 1)
            else:
                at = self._over(at, length)

    def _over(self, at: int, length: int) -> int:
        if length > self._end - at:
            raise _Odd
        return at + length
