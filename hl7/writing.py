"""Segments as bytes, by one message's delimiters and character set. Knows no segment's fields."""

from functools import lru_cache

from hl7.charsets import codecs_of, encode
from hl7.encoding import escape
from hl7.errors import Hl7Error
from hl7.header import Header


class Writer:
    """Puts texts into the segments that answer one message, by its delimiters and in its character set."""

    def __init__(self, header: Header) -> None:
        self.delimiters = header.delimiters.completed()
        self.separator = self.delimiters.field.encode("ascii")
        self._repetition = header.delimiters.repetition
        self._character_set = header.character_set if _is_supported(header) else ""
        self.character_set = header.raw(18) if self._character_set else b""
        """MSH-18 of what is written: the sender's, or empty where that is a set we cannot write."""

    def leaf(self, text: str) -> bytes:
        """Return a text as it may stand between delimiters.

        A character that the sender's set does not have is spelt out as U+1234: an answer must go out in any case, and
        must not say something else.
        """
        if text.isalnum() and text.isascii():
            return text.encode("ascii")  # nothing to escape in codes and identifiers, which most leaves are
        escaped = escape(text, self.delimiters)
        if escaped.isascii():
            return escaped.encode("ascii")
        try:
            return encode(escaped, self._character_set, self._repetition)
        except Hl7Error:
            return "".join(map(self._spelt, escaped)).encode("ascii")

    def joined(self, separator: str, *texts: str) -> bytes:
        """Return texts with a delimiter between them."""
        return separator.encode("ascii").join([self.leaf(text) for text in texts])

    def components(self, *texts: str) -> bytes:
        """Return texts as the components of a field."""
        return self.joined(self.delimiters.component, *texts)

    def segment(self, *fields: bytes) -> bytes:
        """Return a segment of these fields, of which the first is its name. Empty fields at the end go."""
        return self.closed(self.separator.join(fields).rstrip(self.separator))

    def closed(self, text: bytes) -> bytes:
        """Return a segment with its terminator.

        What we send back may end in FS: with the terminator after it, it would look like the end of the frame.
        """
        return text + self.separator + b"\r" if text.endswith(b"\x1c") else text + b"\r"

    @staticmethod
    def _spelt(character: str) -> str:
        return character if character.isascii() else f"U+{ord(character):04X}"


def _is_supported(header: Header) -> bool:
    try:
        codecs_of(header.character_set, header.delimiters.repetition, ())
    except Hl7Error:
        return False
    return True


def version_of(header: Header) -> tuple[int, ...]:
    """Return MSH-12 "2.3.1" as (2, 3, 1); what is no version counts as the oldest."""
    return _numbers(header.version)


@lru_cache(maxsize=64)
def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(p.isascii() and p.isdigit() and len(p) < 4 for p in parts) else ()
