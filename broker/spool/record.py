"""One record of a segment as bytes: a header, the data set as received, what we know of it. Pure; no file, no place.

A record starts on a page of its own, so that no later write touches a page of one that was answered (a disk may write
4,096 bytes where it shows 512). The header names the segment, which has a new name each time it is used: what a former
use left is no record. Everything but the mark of a forgotten one is covered by a checksum; the data set by SHA-256.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from broker.spool.errors import DamagedInstance
from broker.spool.model import ReceiptFacts, SpooledInstance

PAGE = 4096
HEAD = 128  # bytes before the data set
FORGOTTEN_AT = 116  # of the mark, from the start of the record
FORGOTTEN = b"F"
NO_NOTE = b"{}"

_MAGIC = b"MBSPOOL1"
# magic, segment, instance, length of the data set, length of the facts, SHA-256 of the data set, CRC-32 of the facts
_HEAD = struct.Struct("<8s26s26sQI32sI")
_CHECK = struct.Struct("<I")
_CHECK_AT = 112
assert _HEAD.size <= _CHECK_AT
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance as its record tells it. `note` is what the pipeline wished to find again beside it."""

    instance: SpooledInstance
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """A record's header."""

    id: str
    length: int
    facts_length: int
    sha256: bytes
    facts_check: int
    forgotten: bool

    @property
    def size(self) -> int:
        """Return how many bytes the record takes, whole pages."""
        return size_of(self.length, self.facts_length)


def size_of(length: int, facts_length: int) -> int:
    """Return how many bytes a record takes, whole pages."""
    return -(-(HEAD + length + facts_length) // PAGE) * PAGE


def pack_head(segment: str, identifier: str, length: int, sha256: bytes, facts: bytes) -> bytes:
    """Return the header of a record in this segment."""
    names = segment.encode("ascii"), identifier.encode("ascii")
    head = _HEAD.pack(_MAGIC, *names, length, len(facts), sha256, zlib.crc32(facts)).ljust(_CHECK_AT, b"\0")
    return (head + _CHECK.pack(zlib.crc32(head))).ljust(HEAD, b"\0")


def read_head(segment: str, content: bytes) -> Head | None:
    """Return the header that stands at the start of `content`; None where no record of this segment starts."""
    if len(content) < HEAD or not content.startswith(_MAGIC):
        return None
    if _CHECK.unpack_from(content, _CHECK_AT)[0] != zlib.crc32(content[:_CHECK_AT]):
        return None
    _, named, identifier, length, facts_length, sha256, facts_check = _HEAD.unpack_from(content)
    if named.rstrip(b"\0").decode("ascii", "replace") != segment:
        return None
    forgotten = content[FORGOTTEN_AT : FORGOTTEN_AT + 1] == FORGOTTEN
    return Head(identifier.decode("ascii", "replace"), length, facts_length, sha256, facts_check, forgotten)


def pack_facts(facts: ReceiptFacts, note: bytes) -> bytes:
    """Return what is known of an instance beside its data set: a JSON object, and after a line's end the `note`'s."""
    shared = _shared(
        facts.association_id,
        facts.calling_ae_title,
        facts.called_ae_title,
        facts.device,
        facts.sop_class_uid,
        facts.transfer_syntax,
    )
    instance = _ENCODE(facts.sop_instance_uid)
    text = f'{shared},"instance":{instance},"received":"{facts.received.isoformat()}"}}'
    return b"\n".join((text.encode("ascii"), note))


@lru_cache(maxsize=512)
def _shared(  # noqa: PLR0917 - the parts of one value
    association_id: str, calling: str, called: str, device: str, sop_class_uid: str, transfer_syntax: str
) -> str:
    """Return what the images of an association have in common: the beginning of their JSON objects, made once."""
    values = {
        "association": association_id,
        "calling": calling,
        "called": called,
        "device": device,
        "class": sop_class_uid,
        "syntax": transfer_syntax,
    }
    return _ENCODE(values)[:-1]


def unpack_facts(head: Head, content: bytes) -> tuple[ReceiptFacts, Mapping[str, Any]]:
    """Return the facts and the note of a record. Raises DamagedInstance when they are not those that were written."""
    if len(content) != head.facts_length or zlib.crc32(content) != head.facts_check:
        raise DamagedInstance("what is known of the instance is damaged")
    values, _, note = content.partition(b"\n")
    try:
        return _facts(json.loads(values)), _note(note)
    except (KeyError, TypeError, ValueError) as error:  # the checksum holds: another version wrote it
        raise DamagedInstance("what is known of the instance cannot be read") from error


@lru_cache(maxsize=64)
def _note(content: bytes) -> Mapping[str, Any]:
    """Return what a note says; the images of an association have the same, and nobody changes it."""
    said: Mapping[str, Any] = json.loads(content)
    return said


def _facts(values: Mapping[str, Any]) -> ReceiptFacts:
    return ReceiptFacts(
        association_id=values["association"],
        calling_ae_title=values["calling"],
        called_ae_title=values["called"],
        device=values["device"],
        sop_class_uid=values["class"],
        sop_instance_uid=values["instance"],
        transfer_syntax=values["syntax"],
        received=datetime.fromisoformat(values["received"]),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set lies, and what it is."""

    path: str
    offset: int
    length: int
    sha256: str


def spooled(identifier: str, facts: ReceiptFacts, attributes: Mapping[str, str], place: Place) -> SpooledInstance:
    """Return the value of an instance that lies at `place`."""
    return SpooledInstance(
        id=identifier,
        facts=facts,
        sha256=place.sha256,
        path=place.path,
        offset=place.offset,
        length=place.length,
        study_instance_uid=attributes.get("StudyInstanceUID", ""),
        series_instance_uid=attributes.get("SeriesInstanceUID", ""),
        patient_id=attributes.get("PatientID", ""),
        accession_number=attributes.get("AccessionNumber", ""),
        modality=attributes.get("Modality", ""),
        attributes=dict(attributes),
    )
