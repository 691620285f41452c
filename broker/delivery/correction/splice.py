"""From a received data set to its corrected copy: a few elements replaced, everything else the same bytes. Pure.

Only the named attributes, what identifies them (an identifier's issuer), Original Attributes Sequence (0400,0561) and
retired group lengths of those groups differ; Specific Character Set (0008,0005) only where new text would not fit and
all other text is ASCII, which both sets read alike. Pixel data is passed over and never decoded; sequences and private
elements are copied as they stand. SOP Instance UID, UIDs and transfer syntax stay: an application may correct an
instance without making a derived one (PS3.3 C.12.1.1.9, PS3.4 B.4.1.3).
"""

import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import BinaryIO

from pydicom.datadict import tag_for_keyword

from broker.delivery.content import CannotCorrect, Part, Slice
from broker.delivery.correction import deflated, text
from broker.delivery.correction.elements import empty, encoded, item, sequence, sequence_of
from broker.delivery.correction.model import Correction
from broker.delivery.correction.walk import Found, Syntax, Walk

_LONGEST_OLD = 64 * 1024  # bytes of an old value

_SYNTAXES = {
    "1.2.840.10008.1.2": Syntax(explicit=False),
    "1.2.840.113619.5.2": Syntax(explicit=False),  # implicit little endian with other pixels
    "1.2.840.10008.1.2.2": Syntax(explicit=True, order=">"),
}
_STANDARD = "1.2.840.10008.1.2."  # all others: explicit VR little endian (PS3.5 A.4)

CHARACTER_SET = 0x00080005
_ORIGINAL_ATTRIBUTES = 0x04000561
_MODIFIED_ATTRIBUTES = 0x04000550
_MAC_PARAMETERS = 0x4FFE0001
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021

ISSUERS: dict[str, tuple[str, ...]] = {
    "PatientID": ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
    "AccessionNumber": ("IssuerOfAccessionNumberSequence",),
    "AdmissionID": ("IssuerOfAdmissionIDSequence",),
}
"""What says whose an identifier is: it goes where the identifier goes, and never stays behind with another one."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected copy, and the keywords in which it differs; where there are none, it is what was received."""

    parts: tuple[Part, ...]
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Edit:
    """`content`, which belongs to the element of this tag, stands where `start` to `end` stood."""

    tag: int
    start: int
    end: int
    content: bytes


@dataclass(frozen=True, slots=True)
class _Read:
    """What was found of a data set before its pixels."""

    stream: BinaryIO
    start: int
    end: int
    syntax: Syntax
    found: Mapping[int, Found]

    def raw(self, tag: int) -> bytes:
        """Return an element as it stands, header and value; empty where there is none."""
        found = self.found.get(tag)
        return b"" if found is None else self.bytes(found.start, found.end)

    def value(self, tag: int) -> bytes:
        """Return a value as it stands; empty where there is none."""
        found = self.found.get(tag)
        return b"" if found is None else self.bytes(found.value, found.end)

    def bytes(self, start: int, end: int) -> bytes:
        """Return bytes of the stream, of no more than any value that may be corrected."""
        if end - start > _LONGEST_OLD:
            raise CannotCorrect(f"a value to be replaced has over {_LONGEST_OLD} bytes")
        self.stream.seek(start)
        return self.stream.read(end - start)

    def place(self, tag: int) -> int:
        """Return where an element of this tag begins, or would."""
        return min((found.start for found in self.found.values() if found.tag >= tag), default=self.end)


def corrected(stream: BinaryIO, offset: int, length: int, transfer_syntax: str, correction: Correction) -> Corrected:
    """Return the corrected copy of the data set of `length` bytes at `offset` of a stream.

    Raises CannotCorrect where it cannot be done without touching anything else.
    """
    syntax = _SYNTAXES.get(transfer_syntax) or Syntax(explicit=True)
    if transfer_syntax not in _SYNTAXES and not transfer_syntax.startswith(_STANDARD):
        raise CannotCorrect("its transfer syntax is a private one")
    if transfer_syntax not in deflated.SYNTAXES:
        return _corrected(_read(stream, offset, offset + length, syntax), correction)
    plain = deflated.inflate(stream, offset, length)
    made = _corrected(_read(io.BytesIO(plain), 0, len(plain), syntax), correction)
    if not made.keywords:
        return Corrected((Slice(offset, length),), ())
    return Corrected((deflated.deflate(made.parts, plain),), made.keywords)


def _corrected(read: _Read, correction: Correction) -> Corrected:
    new = _changes(read, correction)
    if not new:
        return Corrected((Slice(read.start, read.end - read.start),), ())
    if _MAC_PARAMETERS in read.found:
        raise CannotCorrect("it is digitally signed, and a correction would break the signature (PS3.15)")
    character_set = text.character_set(read.value(CHARACTER_SET))
    chosen = text.fitting(new, character_set, lambda: _is_ascii(read, new))
    contents = {_tag(keyword): _content(read.syntax, keyword, value, chosen) for keyword, value in new.items()}
    if chosen != character_set:
        contents[CHARACTER_SET] = encoded(read.syntax, CHARACTER_SET, chosen.encode("ascii"))
    edits = [_replaced(read, tag, content) for tag, content in contents.items()]
    edits += _original_attributes(read, contents, correction)
    edits += _group_lengths(read, edits)
    return Corrected(_parts(read, edits), tuple(new))


# --- what differs ------------------------------------------------------------------------------------------------


def _changes(read: _Read, correction: Correction) -> dict[str, str]:
    """Return the new value of each attribute that differs; empty where it must go."""
    character_set = text.character_set(read.value(CHARACTER_SET))
    new = {
        keyword: value
        for keyword, value in correction.values.items()
        if not keyword.endswith("Sequence") and text.differs(keyword, read.value(_tag(keyword)), value, character_set)
    }
    for identifier, issuers in ISSUERS.items():
        if identifier in new:
            for keyword in issuers:
                stated = correction.values.get(keyword, "")
                if keyword.endswith("Sequence") and (stated or _tag(keyword) in read.found):
                    new[keyword] = stated
                elif not stated and read.value(_tag(keyword)).strip(b" \0"):
                    new[keyword] = ""  # it says whose the old identifier was
    return new


def _content(syntax: Syntax, keyword: str, value: str, character_set: str) -> bytes:
    """Return the whole element; none where the value must go."""
    if not value:
        return b""
    if keyword.endswith("Sequence"):
        return sequence_of(syntax, _tag(keyword), value, character_set)
    return encoded(syntax, _tag(keyword), text.encode(value, character_set))


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


# --- where it stands ---------------------------------------------------------------------------------------------


def _read(stream: BinaryIO, start: int, end: int, syntax: Syntax) -> _Read:
    """Find the elements up to what tells of a signature, which stands before the pixels."""
    found: dict[int, Found] = {}
    last = -1
    for one in Walk(stream, start, end, syntax).top(_MAC_PARAMETERS):
        if one.tag <= last:
            raise CannotCorrect("its elements do not stand in the order of their tags (PS3.5 7.1)")
        found[one.tag] = one
        last = one.tag
    return _Read(stream, start, end, syntax, found)


def _replaced(read: _Read, tag: int, content: bytes) -> _Edit:
    found = read.found.get(tag)
    if found is not None:
        return _Edit(tag, found.start, found.end, content)
    return _Edit(tag, read.place(tag), read.place(tag), content)


def _is_ascii(read: _Read, new: Mapping[str, str]) -> bool:
    """Tell whether all text that stays, wherever it stands, is ASCII: then another set reads it alike."""
    changed = {found.start for keyword in new if (found := read.found.get(_tag(keyword))) is not None}
    # Text that has no set is ASCII by the standard; so what is unknown there is no text that could be misread.
    opaque = not text.character_set(read.value(CHARACTER_SET))
    for one in Walk(read.stream, read.start, read.end, read.syntax).all():
        if one.start not in changed and text.is_text(one.vr, opaque) and not _holds_ascii(read.stream, one):
            return False
    return True


def _holds_ascii(stream: BinaryIO, found: Found) -> bool:
    stream.seek(found.value)
    left = found.length
    while left:
        piece = stream.read(min(left, _LONGEST_OLD))
        left -= len(piece)
        if not piece or not piece.isascii() or b"\x1b" in piece:
            return False
    return True


def _parts(read: _Read, edits: Iterable[_Edit]) -> tuple[Part, ...]:
    parts: list[Part] = []
    at = read.start
    pending = b""
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.tag)):
        if edit.start > at:
            parts += [pending] if pending else []
            parts.append(Slice(at, edit.start - at))
            pending = b""
        pending += edit.content
        at = edit.end
    parts += [pending] if pending else []
    if at < read.end:
        parts.append(Slice(at, read.end - at))
    return tuple(parts)


# --- what is told of it ------------------------------------------------------------------------------------------


def _original_attributes(read: _Read, changed: Iterable[int], correction: Correction) -> list[_Edit]:
    """Add an item with the previous values to Original Attributes Sequence, behind those that are there."""
    syntax = read.syntax
    told = {*changed, *((_ISSUER,) if _PATIENT_ID in changed else ())}  # whose identifier it was (C.12.1.1.9)
    previous = b"".join(read.raw(tag) or empty(syntax, tag) for tag in sorted(told))
    facts = {
        0x04000562: f"{correction.at.astimezone(UTC):%Y%m%d%H%M%S.%f}+0000",
        0x04000563: correction.system,
        0x04000564: correction.source,
        0x04000565: correction.reason.value,
    }
    told_by = b"".join(encoded(syntax, tag, value.encode("ascii", "replace")) for tag, value in facts.items())
    return _appended(read, item(syntax, sequence(syntax, _MODIFIED_ATTRIBUTES, item(syntax, previous)) + told_by))


def _appended(read: _Read, new: bytes) -> list[_Edit]:
    tag, syntax = _ORIGINAL_ATTRIBUTES, read.syntax
    found = read.found.get(tag)
    if found is None:
        return [_Edit(tag, read.place(tag), read.place(tag), sequence(syntax, tag, new))]
    if found.vr != b"SQ":
        raise CannotCorrect("its Original Attributes Sequence is not encoded as a sequence")
    if found.is_undefined:
        return [_Edit(tag, found.end - 8, found.end - 8, new)]  # before the delimiter
    header = syntax.header(tag, b"SQ", found.length + len(new))
    return [_Edit(tag, found.start, found.value, header), _Edit(tag, found.end, found.end, new)]


def _group_lengths(read: _Read, edits: Iterable[_Edit]) -> list[_Edit]:
    """Return the lengths of the groups that state them (retired, PS3.5 7.2) and whose length has changed."""
    grown: Counter[int] = Counter()
    for edit in edits:
        grown[edit.tag >> 16] += len(edit.content) - (edit.end - edit.start)
    found = []
    for group, octets in grown.items():
        one = read.found.get(group << 16)
        if one is not None and one.length == 4 and octets:
            stated = int.from_bytes(read.value(one.tag), "little" if read.syntax.order == "<" else "big")
            found.append(_Edit(one.tag, one.value, one.end, read.syntax.number((stated + octets) & 0xFFFFFFFF)))
    return found
