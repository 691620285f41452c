"""A message as text that can be asked for its fields: lazy, lossless, counted from 1. Gives no meaning to any field."""

import re
from collections.abc import Sequence
from functools import lru_cache

from hl7.encoding import DEFAULT_FALLBACK, Delimiters, codecs_of, decode, unescape
from hl7.errors import Hl7Error, Unreadable
from hl7.header import Header, read_header, without_lead

MOST_SEGMENTS = 100_000
MOST_FIELDS = 10_000  # of one segment; the standard's longest has under 100
MOST_REPETITIONS = 1_000  # of one field, where they are counted
MOST_COMPONENTS = 1_000  # of one field, where all are asked for
_SHORT = 65_536  # characters of a message that may be split at once, however many blank lines it has
NO_NAME = "???"  # of a line that does not begin as a segment does
_NAME = re.compile("[A-Za-z][A-Za-z0-9]{2}")
_BLANK = " \t\f\v\0\x1a\x1c"
_HEADERS = ("MSH", "FHS", "BHS")  # their field 1 is the separator itself


class Segment:
    """One segment of a message. `position` is its place among the segments of its name, from 1.

    `text` is the whole line as it stands; outer blanks of the line belong to no field.
    """

    __slots__ = ("_codec", "_delimiters", "_fields", "_is_simple", "name", "position", "text")

    def __init__(self, text: str, name: str, position: int, delimiters: Delimiters, codec: str) -> None:
        self.text = text
        self.name = name
        self.position = position
        self._delimiters = delimiters
        self._codec = codec
        self._fields: list[str] | None = None
        self._is_simple = False  # no field has more than components: known once it is split

    @property
    def fields(self) -> Sequence[str]:
        """Every field as it stands, by its number; what stands at 0 is the name."""
        return self._fields or self._split()

    def raw(self, field: int) -> str:
        """Return a field as it stands, escape sequences and repetitions included, or "" where absent."""
        fields = self._fields or self._split()
        return fields[field] if 0 < field < len(fields) else ""

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """Return one leaf, unescaped, or "" where absent."""
        # The hottest function of the intake, hence the repetition of what `_nth` does.
        fields = self._fields or self._split()
        if not 0 < field < len(fields) or not (text := fields[field]):
            return ""
        if self._is_simple and subcomponent == repetition == 1:
            if component == 1:
                return text.partition(self._delimiters.component)[0]
            parts = text.split(self._delimiters.component, component)
            return parts[component - 1] if 0 < component <= len(parts) else ""
        if field < 3 and self.name in _HEADERS:
            return text if component == subcomponent == repetition == 1 else ""
        delimiters = self._delimiters
        if repetition != 1 or delimiters.repetition in text:
            text = _nth(text, delimiters.repetition, repetition)
        if component != 1 or delimiters.component in text:
            text = _nth(text, delimiters.component, component)
        if subcomponent != 1 or delimiters.subcomponent in text:
            text = _nth(text, delimiters.subcomponent, subcomponent)
        return unescape(text, delimiters, self._codec) if delimiters.escape in text else text

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
        if self._is_simple:
            return tuple(parts)
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
        fields = self._fields = self.text.strip(_BLANK).split(separator)
        if self.name in _HEADERS:
            fields.insert(1, separator)
        else:
            self._is_simple = self._delimiters.are_simple(self.text)
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
        by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            if segment.name in by_name:
                by_name[segment.name].append(segment)
            else:
                by_name[segment.name] = [segment]
        self._by_name = by_name

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
        text, codec = decode(_unified(raw), codecs, delimiters.escape)
        return cls(header, codec, _segments(text, delimiters, codec))

    @classmethod
    def read_as(cls, raw: bytes, codec: str) -> "Message":
        """Return the message as one codec reads it, whatever MSH-18 says, and with no switch obeyed.

        For what must be heard even where its free text makes no sense. Raises as `read` does, and UnicodeDecodeError.
        """
        header = read_header(raw)
        if header is None:
            raise Unreadable("no usable MSH segment")
        return cls(header, codec, _segments(_unified(raw).decode(codec), header.delimiters, codec))

    def all(self, name: str) -> tuple[Segment, ...]:
        """Return the segments of a name in wire order."""
        return tuple(self._by_name.get(name, ()))

    def first(self, name: str) -> Segment | None:
        """Return the first segment of a name, or None."""
        return next(iter(self._by_name.get(name, ())), None)

    def encode(self) -> str:
        """Return the text as it was read from MSH on, with every segment ended by one CR and without blank lines."""
        return "".join(f"{segment.text}\r" for segment in self.segments)


def _unified(raw: bytes) -> bytes:
    """Return a payload with CR alone: CR and LF are never part of a character in the supported sets."""
    payload = without_lead(raw)
    return payload.replace(b"\r\n", b"\r").replace(b"\n", b"\r") if b"\n" in payload else payload


def _segments(text: str, delimiters: Delimiters, codec: str) -> tuple[Segment, ...]:
    lines = text.split("\r") if len(text) < _SHORT else re.split("\r+", text.strip("\r"), maxsplit=MOST_SEGMENTS)
    if len(lines) > MOST_SEGMENTS:
        raise Hl7Error("100", "", f"more than {MOST_SEGMENTS} segments")
    counts: dict[str, int] = {}
    separator = delimiters.field
    found = []
    for line in lines:
        name = _name(line[:4], separator)
        if name is NO_NAME:
            stripped = line.strip(_BLANK)
            if not stripped:
                continue
            name = _name(stripped[:4], separator)
        position = counts[name] = counts.get(name, 0) + 1
        found.append(Segment(line, name, position, delimiters, codec))
        if len(line) > MOST_FIELDS and line.count(separator) > MOST_FIELDS:
            raise Hl7Error("102", found[-1].location(), f"more than {MOST_FIELDS} fields")
    return tuple(found)


@lru_cache(maxsize=1024)
def _name(start: str, separator: str) -> str:
    # A line that is no segment (a broken note, for instance) must not get a patient's data into a place name.
    return start[:3] if _NAME.fullmatch(start[:3]) and start[3:4] in ("", separator) else NO_NAME


def _nth(text: str, separator: str, number: int) -> str:
    """Return the part of this number, from 1, or ""; splits no further than it must."""
    if not separator or separator not in text:
        return text if number == 1 else ""
    parts = text.split(separator, number)
    return parts[number - 1] if 0 < number <= len(parts) else ""
