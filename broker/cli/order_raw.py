"""HL7 as people see it: a file's messages apart, and a message's bytes as lines of text. Understands no order."""

import re
from collections.abc import Iterator
from pathlib import Path

from broker.errors import NotFound
from hl7.encoding import DEFAULT_FALLBACK, codecs_named, codecs_of, decode
from hl7.errors import Hl7Error
from hl7.header import is_batch, read_header

_MESSAGE_START = re.compile(rb"(?:^|(?<=[\r\n\x0b]))(?=MSH[^A-Za-z0-9\s])")
_FRAMING = b"\x0b\x1c\r\n"
_LINE_END = re.compile(r"\r\n|\r|\n")


def messages_of(file: Path) -> Iterator[bytes]:
    """Yield a file's messages: each begins with a line MSH; a batch is one. MLLP's own bytes are left out.

    Raises NotFound where there is no such file, or no message in it.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
    pieces = [content] if is_batch(content.lstrip(_FRAMING)) else _MESSAGE_START.split(content)
    found = [stripped + b"\r" for piece in pieces if (stripped := piece.strip(_FRAMING))]
    if not found:
        raise NotFound(f"{file}: no message in it")
    yield from found


def control_id_of(raw: bytes) -> str:
    """Return MSH-10, empty where there is none."""
    header = read_header(raw)
    return header.control_id if header else ""


def text_of(raw: bytes, fallback: tuple[str, ...] = ()) -> str:
    """Return a message for people: in its own character set, a segment a line, controls as `\\xNN`.

    `fallback` names sets of table 0211 for a message that declares none. Where the bytes are not of the set, those
    beyond ASCII are shown as `\\xNN` too.
    """
    lines = _LINE_END.split(_decoded(raw, fallback).rstrip("\r\n"))
    return "\n".join("".join(map(_visible, line)) for line in lines)


def _decoded(raw: bytes, fallback: tuple[str, ...]) -> str:
    header = read_header(raw)
    if header is None:
        return raw.decode("ascii", "backslashreplace")
    try:
        undeclared = codecs_named(fallback) if fallback else DEFAULT_FALLBACK
        codecs = codecs_of(header.character_set, header.delimiters.repetition, undeclared)
        return decode(raw, codecs, header.delimiters.escape)[0]
    except (Hl7Error, ValueError):
        return raw.decode("ascii", "backslashreplace")


def _visible(character: str) -> str:
    # A peer's text must not steer the terminal.
    return character if character.isprintable() else f"\\x{ord(character):02x}"
