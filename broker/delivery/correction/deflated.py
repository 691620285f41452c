"""Deflated data sets (PS3.5 A.5), inflated whole and bounded, since no slice of theirs can be kept."""

import zlib
from collections.abc import Iterable
from typing import BinaryIO

from broker.delivery.content import CannotCorrect, Part

SYNTAXES = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
MAXIMUM_INFLATED = 64 * 1024 * 1024


def inflate(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Return the data set inflated. Raises CannotCorrect where it is damaged or too large."""
    stream.seek(offset)
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain: bytes = inflating.decompress(stream.read(min(length, MAXIMUM_INFLATED)), MAXIMUM_INFLATED)
    except zlib.error as error:
        raise CannotCorrect("its deflated data set cannot be inflated") from error
    if not inflating.eof:
        raise CannotCorrect(f"its deflated data set is not whole, or inflates beyond {MAXIMUM_INFLATED} bytes")
    return plain


def deflate(parts: Iterable[Part], plain: bytes) -> bytes:
    """Return the parts of an inflated data set, deflated together and padded to even length."""
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    pieces = [deflating.compress(_content(part, plain)) for part in parts]
    made = b"".join((*pieces, deflating.flush()))
    return made + b"\0" * (len(made) % 2)


def _content(part: Part, plain: bytes) -> bytes | memoryview:
    if isinstance(part, bytes):
        return part
    return memoryview(plain)[part.offset : part.offset + part.length]
