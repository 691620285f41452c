"""Acknowledgements: built from the header that they answer, and read by clients. Decides no code."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hl7.charsets import CHARACTER_SET_LOCATION
from hl7.errors import Hl7Error
from hl7.header import Header
from hl7.message import Message, Segment
from hl7.writing import Writer, version_of

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
STRUCTURED_TYPE = (2, 4)  # from here on MSH-9 has a third component
_LOCATED_ERRORS = (2, 5)  # from here on ERR has a place of its own for location, code and text


@dataclass(frozen=True, slots=True)
class ReplyError:
    """What ERR says: a code of table 0357, segment^sequence^field[^component], words for people, severity E or W."""

    code: str
    location: str = ""
    text: str = ""
    severity: str = "E"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What MSA and ERR say: MSA-1, the error, MSA-3 where it is not the error's text, and warnings."""

    code: str
    error: ReplyError | None
    text: str
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An answer as its receiver sees it: MSA-1, MSA-2, MSA-3 and what ERR says."""

    code: str
    control_id: str
    text: str
    errors: tuple[ReplyError, ...]


def acknowledge(
    header: Header,
    code: str,
    now: datetime,
    control_id: str,
    error: ReplyError | None = None,
    *,
    text: str = "",
    warnings: Sequence[str] = (),
) -> bytes:
    """Return the acknowledgement of the message with this header (2.9.2).

    `code` is MSA-1 at either level, `control_id` our own MSH-10. MSA-2 and the fields that are sent back are the
    sender's own bytes. `text` is MSA-3, where empty the error's text, else the warnings. Each of `warnings` is an ERR
    of severity W, which there is from 2.5 on. MSH-18 is left out when it is a set that we cannot write.
    """
    write = Writer(header)
    return msh(header, write, now, control_id, _message_type(header, write)) + b"".join(
        verdict_segments(header, write, Verdict(code, error, text, warnings))
    )


def read_acknowledgement(raw: bytes) -> Acknowledgement:
    """Return what an answer says. Raises Unreadable without MSH and Hl7Error 100 without MSA.

    One whose text is not in the set it declares is heard all the same: it may echo what we sent, and is an answer.
    """
    message = _heard(raw)
    msa = message.first("MSA")
    if msa is None:
        raise Hl7Error("100", "MSA^1", "the answer has no MSA segment")
    errors = tuple(found for err in message.all("ERR") for found in _errors(err))
    return Acknowledgement(msa.get(1).strip(), msa.raw(2), msa.get(3), errors)


def _heard(raw: bytes) -> Message:
    try:
        return Message.read(raw, ("utf-8", "cp1252", "latin-1"))
    except Hl7Error as error:
        if error.location != CHARACTER_SET_LOCATION:
            raise
        return Message.read_as(raw, "latin-1")


def msh(header: Header, write: Writer, now: datetime, control_id: str, message_type: bytes) -> bytes:
    """Return MSH of an answer: the applications change sides, processing identifier and version stay (2.9.2.1)."""
    raw = header.raw
    return write.segment(
        b"MSH",
        write.delimiters.encoding_characters.encode("ascii"),
        raw(5),
        raw(6),
        raw(3),
        raw(4),
        _instant(now),
        b"",
        message_type,
        write.leaf(control_id),
        raw(11),
        raw(12),
        b"",
        b"",
        b"",
        b"",
        b"",
        write.character_set,
    )


def verdict_segments(header: Header, write: Writer, verdict: Verdict) -> list[bytes]:
    """Return MSA, and ERR for the error and for each warning."""
    error, warnings = verdict.error, verdict.warnings
    said = verdict.text or (error.text if error else "; ".join(warnings))
    msa = write.segment(b"MSA", write.leaf(verdict.code), header.control_id_raw, write.leaf(said))
    if error is None and not warnings:
        return [msa]
    if version_of(header) >= _LOCATED_ERRORS:
        errors = [error] if error else []
        errors += [ReplyError("0", text=warning, severity="W") for warning in warnings]
        return [msa, *(_located_err(each, write) for each in errors)]
    # Before 2.5, ERR has no severity: one beside AA would look like an error, so MSA-3 alone has the warnings.
    return [msa, _coded_err(error, write)] if error else [msa]


def _instant(now: datetime) -> bytes:
    # As strftime with %Y%m%d%H%M%S%z, in half the time.
    text = now.isoformat(timespec="seconds")
    local = text[:19].replace("-", "").replace("T", "").replace(":", "")
    return (local + text[19:].replace(":", "")).encode("ascii")


def _message_type(header: Header, write: Writer) -> bytes:
    if not header.trigger:
        return b"ACK"
    parts = ("ACK", header.trigger, "ACK") if version_of(header) >= STRUCTURED_TYPE else ("ACK", header.trigger)
    return write.delimiters.component.join(parts).encode("latin-1")


def _coded_err(error: ReplyError, write: Writer) -> bytes:
    """Return ERR up to 2.4: one field of segment, sequence, field and code."""
    place = error.location.split("^") if error.location else []
    name = ERROR_NAMES.get(error.code, "")
    coded = write.joined(write.delimiters.subcomponent, error.code, name, "HL70357")
    where = write.components(*[*place, "", "", ""][:3])
    return write.segment(b"ERR", where + write.delimiters.component.encode("ascii") + coded)


def _located_err(error: ReplyError, write: Writer) -> bytes:
    """Return ERR from 2.5 on. ERL has the repetition between field and component (chapter 2A)."""
    place = error.location.split("^") if error.location else []
    full = [*place[:3], "1", place[3]] if len(place) > 3 else place
    return write.segment(
        b"ERR",
        b"",
        write.components(*full),
        write.components(error.code, ERROR_NAMES.get(error.code, ""), "HL70357"),
        write.leaf(error.severity),
        b"",
        b"",
        b"",
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
