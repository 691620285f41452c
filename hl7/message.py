"""A message as text that can be asked for its fields: lazy, lossless, counted from 1. Gives no meaning to any field."""

import re

from hl7.encoding import DEFAULT_FALLBACK, Delimiters, codecs_of, decode, unescape
from hl7.errors import Hl7Error, Unreadable
from hl7.header import Header, read_header, without_lead

MOST_SEGMENTS = 100_000
MOST_FIELDS = 10_000  # of one segment; the standard's longest has under 100
MOST_REPETITIONS = 1_000  # of one field, where they are counted
MOST_COMPONENTS = 1_000  # of one field, where all are asked for
NO_NAME = "???"  # of a line that does not begin as a segment does
_NAME = re.compile("[A-Za-z][A-Za-z0-9]{2}")
_BLANK = " \t\f\v\0\x1a\x1c"
_HEADERS = ("MSH", "FHS", "BHS")  # their field 1 is the separator itself


class Segment:
    """One segment of a message. `position` is its place among the segments of its name, from 1."""

    __slots__ = ("_codec", "_delimiters", "_fields", "name", "position", "text")

    def __init__(self, text: str, name: str, position: int, delimiters: Delimiters, codec: str) -> None:
        self.text = text
        self.name = name
        self.position = position
        self._delimiters = delimiters
        self._codec = codec
        self._fields: list[str] | None = None

    def raw(self, field: int) -> str:
        """Return a field as it stands, escape sequences and repetitions included, or "" where absent."""
        if self._fields is None:
            self._fields = self._split()
        return self._fields[field] if 0 < field < len(self._fields) else ""

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """Return one leaf, unescaped, or "" where absent."""
        whole = self._repetition(field, repetition)
        if self._is_delimiter_field(field):
            return whole if (component, subcomponent) == (1, 1) else ""
        leaf = _nth(whole, self._delimiters.component, component)
        return self._unescaped(_nth(leaf, self._delimiters.subcomponent, subcomponent))

    def repetitions(self, field: int) -> int:
        """Return how often a field is given; 0 where absent. Raises Hl7Error 102 for a flood."""
        text = self.raw(field)
        if not text or not self._delimiters.repetition or self._is_delimiter_field(field):
            return 1 if text else 0
        count = text.count(self._delimiters.repetition) + 1
        if count > MOST_REPETITIONS:
            raise Hl7Error("102", self.location(field), f"more than {MOST_REPETITIONS} repetitions")
        return count

    def components(self, field: int, repetition: int = 1) -> tuple[str, ...]:
        """Return every component by its first subcomponent, unescaped. Raises Hl7Error 102 for a flood."""
        whole = self._repetition(field, repetition)
        if not whole or self._is_delimiter_field(field):
            return (whole,) if whole else ()
        parts = self._all(whole, self._delimiters.component, field)
        return tuple(self._unescaped(_nth(part, self._delimiters.subcomponent, 1)) for part in parts)

    def subcomponents(self, field: int, component: int = 1, repetition: int = 1) -> tuple[str, ...]:
        """Return every subcomponent of a component, unescaped. Raises Hl7Error 102 for a flood."""
        leaf = _nth(self._repetition(field, repetition), self._delimiters.component, component)
        if not leaf:
            return ()
        return tuple(self._unescaped(part) for part in self._all(leaf, self._delimiters.subcomponent, field))

    def is_null(self, field: int) -> bool:
        """Tell whether a field says explicitly that there is no value (two double quotes, 2.6)."""
        return self.raw(field) == '""'

    def location(self, field: int | None = None, component: int | None = None) -> str:
        """Return the place as segment^sequence[^field[^component]], as errors name it."""
        parts = (self.name, self.position, field, component)
        return "^".join(str(part) for part in parts if part is not None)

    def _split(self) -> list[str]:
        separator = self._delimiters.field
        fields = self.text.split(separator)
        if self.name in _HEADERS:
            fields.insert(1, separator)
        return fields

    def _repetition(self, field: int, repetition: int) -> str:
        whole = self.raw(field)
        if self._is_delimiter_field(field):
            return whole if repetition == 1 else ""
        return _nth(whole, self._delimiters.repetition, repetition)

    def _all(self, text: str, separator: str, field: int) -> list[str]:
        parts = text.split(separator, MOST_COMPONENTS) if separator else [text]
        if len(parts) > MOST_COMPONENTS:
            raise Hl7Error("102", self.location(field), f"more than {MOST_COMPONENTS} components")
        return parts

    def _is_delimiter_field(self, field: int) -> bool:
        return self.name in _HEADERS and field in (1, 2)

    def _unescaped(self, leaf: str) -> str:
        return unescape(leaf, self._delimiters, self._codec)


class Message:
    """A decoded message: its header and its segments in wire order."""

    __slots__ = ("_by_name", "codec", "header", "segments")

    def __init__(self, header: Header, codec: str, segments: tuple[Segment, ...]) -> None:
        self.header = header
        self.codec = codec
        self.segments = segments
        self._by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            self._by_name.setdefault(segment.name, []).append(segment)

    @classmethod
    def read(cls, raw: bytes, fallback: tuple[str, ...] = DEFAULT_FALLBACK) -> "Message":
        """Return the message of a payload, decoded as a whole by MSH-18 and only then split.

        `fallback` names the codecs to try where MSH-18 declares nothing. Raises Unreadable without a usable MSH,
        Hl7Error 103 for an unsupported character set, 102 for bytes that are not of the declared one, 100 for a
        flood of segments and 102 for one of fields.
        """
        header = read_header(raw)
        if header is None:
            raise Unreadable("no usable MSH segment")
        delimiters = header.delimiters
        codecs = codecs_of(header.character_set, delimiters.repetition, fallback)
        # CR and LF are never part of a character in the supported sets, so terminators may be unified first.
        payload = without_lead(raw).replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        text, codec = decode(payload, codecs, delimiters.escape)
        return cls(header, codec, _segments(text, delimiters, codec))

    def all(self, name: str) -> tuple[Segment, ...]:
        """Return the segments of a name in wire order."""
        return tuple(self._by_name.get(name, ()))

    def first(self, name: str) -> Segment | None:
        """Return the first segment of a name, or None."""
        return next(iter(self._by_name.get(name, ())), None)

    def encode(self) -> str:
        """Return the text as it was read: each segment ended by CR, without blank lines and outer blanks."""
        return "".join(f"{segment.text}\r" for segment in self.segments)


def _segments(text: str, delimiters: Delimiters, codec: str) -> tuple[Segment, ...]:
    lines = re.split("\r+", text.strip(_BLANK + "\r"), maxsplit=MOST_SEGMENTS)
    if len(lines) > MOST_SEGMENTS:
        raise Hl7Error("100", "", f"more than {MOST_SEGMENTS} segments")
    counts: dict[str, int] = {}
    stripped = (line.strip(_BLANK) for line in lines)
    return tuple(_segment(line, counts, delimiters, codec) for line in stripped if line)


def _segment(line: str, counts: dict[str, int], delimiters: Delimiters, codec: str) -> Segment:
    # A line that is no segment (a broken note, for instance) must not get a patient's data into a place name.
    name = line[:3] if _NAME.fullmatch(line[:3]) and line[3:4] in ("", delimiters.field) else NO_NAME
    position = counts[name] = counts.get(name, 0) + 1
    segment = Segment(line, name, position, delimiters, codec)
    if line.count(delimiters.field) > MOST_FIELDS:
        raise Hl7Error("102", segment.location(), f"more than {MOST_FIELDS} fields")
    return segment


def _nth(text: str, separator: str, number: int) -> str:
    """Return the part of this number, from 1, or ""; splits no further than it must."""
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if 0 < number <= len(parts) else ""
