"""The answers to orders that name each order (ORR^O02, ORG^O20, ORI^O24), on request. Decides nothing."""

import re
from collections.abc import Sequence
from datetime import datetime

from hl7.header import Header, without_lead
from hl7.reply import STRUCTURED_TYPE, ReplyError, Verdict, acknowledge, msh, verdict_segments
from hl7.writing import Writer, version_of

# What is answered -> MSH-9 of the answer. ORI repeats OBR and IPC, which its structure requires (4.4.12).
_ANSWERS = {"ORM": ("ORR", "O02"), "OMG": ("ORG", "O20"), "OMI": ("ORI", "O24")}
_REPEATED = {"ORI": (b"OBR", b"IPC")}
# Table 0119: ORC-1 as asked -> as answered where it was taken, and where it was not.
_DONE, _NOT_DONE = b"OK", b"UA"
_ANSWERED = {
    b"CA": (b"CR", b"UC"),
    b"DC": (b"DR", b"UD"),
    b"HD": (b"HR", b"UH"),
    b"RL": (b"OR", b"UR"),
    b"RP": (b"RQ", b"UM"),
    b"XO": (b"XR", b"UX"),
}
# Characters of two bytes whose second may equal a delimiter, and what a switch to kanji hides.
_TWO_BYTES = {
    "GB": rb"[\x81-\xfe](?:[0-9][\x81-\xfe][0-9]|[\x40-\xfe])",
    "BIG": rb"[\x81-\xfe][\x40-\xfe]",
    "ISO": rb"[\x81-\x9f\xe0-\xfc][\x40-\xfc]",
}
_KANJI = rb"\x1b\$(?:[@AB]|\([BCD])[^\x1b]*"


def order_response(  # noqa: PLR0917 - the parameters of `acknowledge`, and the message
    header: Header,
    message: bytes,
    code: str,
    now: datetime,
    control_id: str,
    error: ReplyError | None = None,
    *,
    text: str = "",
    warnings: Sequence[str] = (),
) -> bytes:
    """Return the answer to an order message with MSA, ERR, its PID and an ORC for each of its orders (4.4).

    `message` is the payload with this header; ORC-2, ORC-3 and PID are its own bytes, and ORC-1 says whether the order
    was taken (AA) or not. What is no order, and an answer at accept level (CA, CE, CR), gets the general one of
    `acknowledge`, whose parameters these are.
    """
    answer = _ANSWERS.get(header.message_code)
    if answer is None or code[:1] != "A":
        return acknowledge(header, code, now, control_id, error, text=text, warnings=warnings)
    write = Writer(header)
    structure = ("_".join(answer),) if version_of(header) >= STRUCTURED_TYPE else ()
    segments = [
        msh(header, write, now, control_id, write.components(*answer, *structure)),
        *verdict_segments(header, write, Verdict(code, error, text, warnings)),
        *_orders(header, write, message, answer[0], code == "AA"),
    ]
    return b"".join(segments)


def _orders(header: Header, write: Writer, message: bytes, answer: str, taken: bool) -> list[bytes]:
    separator = header.delimiters.field.encode("ascii")
    repeated = _REPEATED.get(answer, ())
    segments = []
    for line in without_lead(message).replace(b"\n", b"\r").split(b"\r"):
        name = line[:3] if line[3:4] in (separator, b"") else b""
        if name == b"ORC":
            segments.append(write.segment(b"ORC", *_order(_fields(line, separator, header.character_set), taken)))
        elif _is_sent_back(line, name, repeated, bool(write.character_set)):
            segments.append(write.closed(line))
    return segments


def _is_sent_back(line: bytes, name: bytes, repeated: tuple[bytes, ...], in_set: bool) -> bool:
    """Tell whether a segment belongs into the answer as it is: not in an answer that could not say its set."""
    return (name == b"PID" or name in repeated) and (in_set or line.isascii())


def _order(fields: list[bytes], taken: bool) -> tuple[bytes, bytes, bytes]:
    control, placer, filler = [*fields, b"", b"", b""][1:4]
    done, not_done = _ANSWERED.get(control.strip().upper(), (_DONE, _NOT_DONE))
    return (done if taken else not_done), placer, filler


def _fields(line: bytes, separator: bytes, character_set: str) -> list[bytes]:
    """Return a segment's fields as bytes, split where the decoded text would be."""
    if line.isascii() and b"\x1b" not in line:
        return line.split(separator)
    name = character_set.upper().lstrip(" ~")
    wide = next((pattern for start, pattern in _TWO_BYTES.items() if name.startswith(start)), None)
    hidden = _KANJI if wide is None else _KANJI + b"|" + wide
    masked = re.sub(hidden, lambda found: b"x" * len(found[0]), line)
    ends = [at.start() for at in re.finditer(re.escape(separator), masked)]
    return [line[begin:end] for begin, end in zip([0, *(end + 1 for end in ends)], [*ends, len(line)], strict=True)]
