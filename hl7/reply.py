"""Acknowledgements: built from the header that they answer, and read by clients. Decides no code."""

from dataclasses import dataclass
from datetime import datetime

from hl7.encoding import Delimiters, codecs_of, escape
from hl7.errors import Hl7Error
from hl7.header import Header
from hl7.message import Message, Segment

# Table 0357, message error condition codes.
ERROR_NAMES = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
_STRUCTURED_TYPE = (2, 4)  # from here on MSH-9 has a third component
_LOCATED_ERRORS = (2, 5)  # from here on ERR has a place of its own for location, code and text


@dataclass(frozen=True, slots=True)
class ReplyError:
    """What ERR says: a code of table 0357, segment^sequence^field[^component], words for people, severity E or W."""

    code: str
    location: str = ""
    text: str = ""
    severity: str = "E"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An answer as its receiver sees it: MSA-1, MSA-2, MSA-3 and what ERR says."""

    code: str
    control_id: str
    text: str
    errors: tuple[ReplyError, ...]


def acknowledge(
    header: Header, code: str, now: datetime, control_id: str, error: ReplyError | None = None, *, text: str = ""
) -> bytes:
    """Return the acknowledgement of the message with this header (2.9.2).

    `code` is MSA-1, `control_id` our own MSH-10. MSA-2 and the fields that are sent back are the sender's own bytes.
    `text` is MSA-3, where empty the error's text. MSH-18 is left out when it is a set that we cannot write.
    """
    delimiters = header.delimiters.completed()
    codec, character_set = _character_set(header)
    write = _Writer(delimiters, codec)
    segments = [
        _msh(header, write, now, control_id, character_set),
        write.segment(
            b"MSA", write.leaf(code), header.control_id_raw, write.leaf(text or (error.text if error else ""))
        ),
    ]
    if error is not None:
        segments.append(_err(error, write, _version(header.version) >= _LOCATED_ERRORS))
    return b"".join(segment + b"\r" for segment in segments)


def read_acknowledgement(raw: bytes) -> Acknowledgement:
    """Return what an answer says. Raises Unreadable without MSH and Hl7Error 100 without MSA."""
    message = Message.read(raw, ("utf-8", "cp1252", "latin-1"))
    msa = message.first("MSA")
    if msa is None:
        raise Hl7Error("100", "MSA^1", "the answer has no MSA segment")
    errors = tuple(found for err in message.all("ERR") for found in _errors(err))
    return Acknowledgement(msa.get(1).strip(), msa.raw(2), msa.get(3), errors)


class _Writer:
    """Puts texts into segments by one message's delimiters and codec."""

    def __init__(self, delimiters: Delimiters, codec: str) -> None:
        self.delimiters = delimiters
        self._codec = codec
        self.separator = delimiters.field.encode("ascii")

    def leaf(self, text: str) -> bytes:
        return escape(text, self.delimiters).encode(self._codec, errors="replace")

    def joined(self, separator: str, *texts: str) -> bytes:
        return separator.encode("ascii").join(self.leaf(text) for text in texts)

    def segment(self, *fields: bytes) -> bytes:
        text = self.separator.join(fields).rstrip(self.separator)
        # What we send back may end in FS: with the terminator after it, it would look like the end of the frame.
        return text + self.separator if text.endswith(b"\x1c") else text


def _msh(header: Header, write: _Writer, now: datetime, control_id: str, character_set: bytes) -> bytes:
    delimiters = write.delimiters
    return write.segment(
        b"MSH",
        delimiters.encoding_characters.encode("ascii"),
        *(header.raw(number) for number in (5, 6, 3, 4)),
        now.strftime("%Y%m%d%H%M%S%z").encode("ascii"),
        b"",
        _message_type(header, write),
        write.leaf(control_id),
        header.raw(11),
        header.raw(12),
        *(b"",) * 5,
        character_set,
    )


def _message_type(header: Header, write: _Writer) -> bytes:
    if not header.trigger:
        return b"ACK"
    parts = ("ACK", header.trigger, "ACK") if _version(header.version) >= _STRUCTURED_TYPE else ("ACK", header.trigger)
    return write.delimiters.component.encode("ascii").join(part.encode("latin-1") for part in parts)


def _err(error: ReplyError, write: _Writer, located: bool) -> bytes:
    name = ERROR_NAMES.get(error.code, "")
    place = error.location.split("^") if error.location else []
    if not located:
        coded = write.joined(write.delimiters.subcomponent, error.code, name, "HL70357")
        where = write.joined(write.delimiters.component, *[*place, "", "", ""][:3])
        return write.segment(b"ERR", where + write.delimiters.component.encode("ascii") + coded)
    # ERL has the repetition between field and component (chapter 2A).
    full = [*place[:3], "1", place[3]] if len(place) > 3 else place
    return write.segment(
        b"ERR",
        b"",
        write.joined(write.delimiters.component, *full),
        write.joined(write.delimiters.component, error.code, name, "HL70357"),
        write.leaf(error.severity),
        *(b"",) * 3,
        write.leaf(error.text),
    )


def _errors(err: Segment) -> list[ReplyError]:
    if err.get(3):
        full = err.components(2)
        place = [*full[:3], *full[4:5]]  # ERL's fourth is the repetition
        return [ReplyError(err.get(3), "^".join(place), err.get(8), err.get(4) or "E")]
    found = []
    for repetition in range(1, err.repetitions(1) + 1):
        place = [err.get(1, component, repetition=repetition) for component in (1, 2, 3)]
        code, text = (err.get(1, 4, part, repetition) for part in (1, 2))
        found.append(ReplyError(code, "^".join(place).rstrip("^"), text))
    return found


def _character_set(header: Header) -> tuple[str, bytes]:
    try:
        codecs = codecs_of(header.character_set, header.delimiters.repetition, ())
    except Hl7Error:
        return "ascii", b""
    # We read 8859/1 as Windows-1252 too, but write only what it has.
    return "latin-1" if "latin-1" in codecs else codecs[0], header.raw(18)


def _version(version: str) -> tuple[int, ...]:
    """Return "2.3.1" as (2, 3, 1); what is no version counts as the oldest."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(p.isascii() and p.isdigit() and len(p) < 4 for p in parts) else ()
