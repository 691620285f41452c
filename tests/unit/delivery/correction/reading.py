"""Data sets read back by pydicom: a second opinion on what our splice has touched."""

import io
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from pydicom import Dataset, config
from pydicom.filereader import data_element_generator, read_dataset

from broker.delivery.content import Part
from broker.delivery.correction.model import Correction, Reason
from broker.delivery.correction.splice import corrected

AT = datetime(2026, 2, 1, 8, 30, tzinfo=UTC)
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
ORIGINAL_ATTRIBUTES = 0x04000561

config.settings.reading_validation_mode = config.IGNORE


def correction(reason: Reason = Reason.COERCE, /, **values: str) -> Correction:
    """Return what an order says."""
    return Correction(12, values, reason, AT, "US_ROOM2", "MODALITY_BROKER1 BROKER")


def corrected_bytes(data: bytes, syntax: str, wanted: Correction) -> tuple[bytes, tuple[str, ...]]:
    """Return the corrected data set, received behind a head of 100 bytes, and what it was corrected in."""
    stream = io.BytesIO(bytes(100) + data)
    made = corrected(stream, 100, len(data), syntax, wanted)
    return b"".join(_content(part, stream) for part in made.parts), made.keywords


def _content(part: Part, stream: io.BytesIO) -> bytes:
    if isinstance(part, bytes):
        return part
    stream.seek(part.offset)
    return stream.read(part.length)


def plain(data: bytes, syntax: str) -> bytes:
    """Return a data set inflated."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data) if syntax == DEFLATED else data


def is_implicit(syntax: str) -> bool:
    return syntax == IMPLICIT


def dataset(data: bytes, syntax: str) -> Dataset:
    """Return a data set as pydicom reads it."""
    return read_dataset(io.BytesIO(plain(data, syntax)), is_implicit(syntax), syntax != BIG_ENDIAN)


def elements(data: bytes, syntax: str) -> Iterator[tuple[int, bytes]]:
    """Yield tag and bytes, header included, of each element of a data set itself."""
    stream = io.BytesIO(plain(data, syntax))
    generator = data_element_generator(stream, is_implicit(syntax), syntax != BIG_ENDIAN)
    at = 0
    for element in generator:
        yield int(element.tag), stream.getvalue()[at : stream.tell()]
        at = stream.tell()


def but_for(data: bytes, syntax: str, tags: set[int]) -> bytes:
    """Return the bytes of a data set without those of some elements."""
    return b"".join(content for tag, content in elements(data, syntax) if tag not in tags)
