"""Small data sets made by hand, so that every byte is the test's own."""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from broker.spool.model import ReceiptFacts

US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF
RECEIVED = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)

_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def element(tag: int, vr: str, value: bytes = b"", *, syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    """Return one element; `length` may lie."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    if vr not in _LONG and len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    size = len(value) if length is None else length
    start = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT or tag >> 16 == 0xFFFE:
        return start + struct.pack(order + "I", size) + value
    if vr in _LONG:
        return start + vr.encode() + b"\0\0" + struct.pack(order + "I", size) + value
    return start + vr.encode() + struct.pack(order + "H", size) + value


def data_set(uid: str = "1.2.3.4", *, syntax: str = EXPLICIT, pixels: int = 64, **changes: bytes | None) -> bytes:
    """Return an ultrasound image; `changes` replace values by keyword, None leaves the element out."""
    values: dict[str, tuple[int, str, bytes]] = {
        "SpecificCharacterSet": (0x00080005, "CS", b"ISO_IR 100"),
        "SOPClassUID": (0x00080016, "UI", US_IMAGE.encode()),
        "SOPInstanceUID": (0x00080018, "UI", uid.encode()),
        "AccessionNumber": (0x00080050, "SH", b"A1"),
        "Modality": (0x00080060, "CS", b"US"),
        "StationName": (0x00081010, "SH", b"USROOM2"),
        "PatientName": (0x00100010, "PN", b"Secret^Name"),
        "PatientID": (0x00100020, "LO", b"P1"),
        "StudyInstanceUID": (0x0020000D, "UI", b"1.2.3"),
        "SeriesInstanceUID": (0x0020000E, "UI", b"1.2.3.9"),
    }
    pieces = []
    for keyword, (tag, vr, value) in values.items():
        changed = changes.get(keyword, value)
        if changed is not None:
            pieces.append(element(tag, vr, changed, syntax=syntax))
    return b"".join(pieces) + element(0x7FE00010, "OW", bytes(pixels), syntax=syntax)


def facts(
    uid: str = "1.2.3.4", *, syntax: str = EXPLICIT, calling: str = "US_ROOM2", device: str = "us"
) -> ReceiptFacts:
    """Return how that image came in."""
    return ReceiptFacts("01ASSOCIATION", calling, "BROKER", device, US_IMAGE, uid, syntax, RECEIVED)


def pieces(data: bytes, size: int = 7) -> Iterator[memoryview]:
    """Give the bytes as the upper layer does: each piece is valid only until the next."""
    for start in range(0, len(data), size):
        piece = bytearray(data[start : start + size])
        yield memoryview(piece)
        piece[:] = bytes(len(piece))
