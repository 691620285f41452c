"""The head of our own Part 10 files, by hand: preamble, prefix, File Meta Information (PS3.10 7.1). No data set.

The preamble is zeroed, so that nothing of a peer's making stands at the start of a file (CVE-2019-11687). What the
index needs and the data set does not say stands in Private Information (0002,0102), as JSON.
"""

import json
import struct
from datetime import datetime
from typing import BinaryIO

from broker.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derived_uid
from broker.spool.errors import DamagedInstance
from broker.spool.model import ReceiptFacts

PRIVATE_INFORMATION_CREATOR_UID = derived_uid("spool", "receipt facts")

_PREFIX = bytes(128) + b"DICM"
_MAXIMUM_META = 64 * 1024
_LONG = frozenset({b"OB", b"UN", b"OW", b"UT"})


def head(facts: ReceiptFacts) -> bytes:
    """Return everything that stands before the data set."""
    private = {
        "association": facts.association_id,
        "calling": facts.calling_ae_title,
        "called": facts.called_ae_title,
        "device": facts.device,
        "received": facts.received.isoformat(),
    }
    calling, called = _title(facts.calling_ae_title), _title(facts.called_ae_title)
    group = b"".join(
        (
            _identity(facts),
            _element(0x0016, b"AE", calling),
            _element(0x0017, b"AE", calling),
            _element(0x0018, b"AE", called),
            _element(0x0100, b"UI", PRIVATE_INFORMATION_CREATOR_UID.encode("ascii")),
            _element(0x0102, b"OB", _even(json.dumps(private).encode("ascii"), b" ")),
        )
    )
    return _PREFIX + _element(0x0000, b"UL", struct.pack("<I", len(group))) + group


def outgoing_head(facts: ReceiptFacts) -> bytes:
    """Return what stands before the data set in a file that leaves us: nothing of how it came in but its source."""
    group = _identity(facts) + _element(0x0016, b"AE", _title(facts.calling_ae_title))
    return _PREFIX + _element(0x0000, b"UL", struct.pack("<I", len(group))) + group


def read_head(stream: BinaryIO) -> tuple[ReceiptFacts, int]:
    """Return the facts and the offset of the data set; raise DamagedInstance where this is not a file of ours."""
    start = stream.read(len(_PREFIX) + 12)
    if len(start) < len(_PREFIX) + 12 or not start.startswith(_PREFIX):
        raise DamagedInstance("the file does not start as ours do")
    length = struct.unpack_from("<I", start, len(_PREFIX) + 8)[0]
    if length > _MAXIMUM_META:
        raise DamagedInstance("the file meta information is longer than ours is")
    group = stream.read(length)
    if len(group) < length:
        raise DamagedInstance("the file ends inside its meta information")
    try:
        return _facts(_elements(group)), len(start) + length
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise DamagedInstance("the file meta information is not ours, or damaged") from error


def _identity(facts: ReceiptFacts) -> bytes:
    return b"".join(
        (
            _element(0x0001, b"OB", b"\0\1"),
            _element(0x0002, b"UI", facts.sop_class_uid.encode("ascii", "replace")),
            _element(0x0003, b"UI", facts.sop_instance_uid.encode("ascii", "replace")),
            _element(0x0010, b"UI", facts.transfer_syntax.encode("ascii", "replace")),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
        )
    )


def _facts(elements: dict[int, bytes]) -> ReceiptFacts:
    private = json.loads(elements[0x0102])
    return ReceiptFacts(
        association_id=str(private["association"]),
        calling_ae_title=str(private["calling"]),
        called_ae_title=str(private["called"]),
        device=str(private["device"]),
        sop_class_uid=_uid(elements[0x0002]),
        sop_instance_uid=_uid(elements[0x0003]),
        transfer_syntax=_uid(elements[0x0010]),
        received=_instant(private["received"]),
    )


def _elements(group: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(group):
        _group, element, vr, length = struct.unpack_from("<HH2sH", group, position)
        position += 8
        if vr in _LONG:
            length = struct.unpack_from("<I", group, position)[0]
            position += 4
        found[element] = group[position : position + length]
        position += length
    return found


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG:
        return struct.pack("<HH2sHI", 0x0002, element, vr, 0, len(value)) + value
    value = _even(value, b"\0" if vr == b"UI" else b" ")
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def _even(value: bytes, pad: bytes) -> bytes:
    return value + pad if len(value) % 2 else value


def _title(title: str) -> bytes:
    return title.encode("ascii", "replace")[:16]


def _uid(raw: bytes) -> str:
    return raw.decode("ascii").rstrip("\0 ")


def _instant(value: str) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return instant
