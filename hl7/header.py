"""MSH as it stands on the wire, read before any decoding: enough to answer any message. Reads no other segment."""

from functools import lru_cache
from typing import NamedTuple

from hl7.encoding import Delimiters, can_separate

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LEADING = b" \t\r\n\f\v\0"
_MOST_FIELDS = 64
_MOST_BYTES = 65_536  # of the first segment: more is not a header
_MOST_REMEMBERED = 16_384  # of a message whose header is remembered
_CONTROL_ID = 10
_CHARACTER_SET = 18
_BATCH_CONTROL_ID = 11  # FHS-11 and BHS-11 (2.15)


class Header(NamedTuple):
    """MSH. Texts are a Latin-1 view of the bytes; `raw` gives the bytes themselves, for echoing."""

    delimiters: Delimiters
    sending_application: str  # MSH-3, the whole field
    sending_facility: str  # MSH-4
    receiving_application: str  # MSH-5
    receiving_facility: str  # MSH-6
    date_time: str  # MSH-7.1
    message_code: str  # MSH-9.1
    trigger: str  # MSH-9.2
    structure: str  # MSH-9.3
    control_id: str  # MSH-10
    control_id_raw: bytes
    processing_id: str  # MSH-11.1
    version: str  # MSH-12.1
    accept_acknowledgement: str  # MSH-15
    application_acknowledgement: str  # MSH-16
    character_set: str  # MSH-18, with its repetitions
    is_acknowledgement: bool  # MSH-9.1 is ACK, or MSA is the second segment: never to be acknowledged
    fields: tuple[bytes, ...]  # MSH-1, MSH-2, …

    def raw(self, number: int) -> bytes:
        """Return the bytes of a field by its number, empty where absent."""
        return self.fields[number - 1] if 0 < number <= len(self.fields) else b""


def without_lead(raw: bytes) -> bytes:
    """Return the payload from its first segment on: blanks, empty lines and a UTF-8 byte order mark go."""
    return raw.lstrip(_LEADING).removeprefix(_BYTE_ORDER_MARK).lstrip(_LEADING)


def is_batch(raw: bytes) -> bool:
    """Tell whether this is a batch (FHS or BHS) rather than a message."""
    return without_lead(raw[:_MOST_BYTES])[:3] in (b"FHS", b"BHS")


def read_header(raw: bytes) -> Header | None:
    """Return what MSH says, or None where there is no usable MSH to answer by.

    Takes any bytes. Only MSH-1 must make sense; a missing field is empty.
    """
    return _read_again(raw) if len(raw) < _MOST_REMEMBERED else _read(raw)


@lru_cache(maxsize=64)  # whoever takes a message looks at its header several times
def _read_again(raw: bytes) -> Header | None:
    return _read(raw)


def _read(raw: bytes) -> Header | None:
    start = raw[:_MOST_BYTES]
    if not start.startswith(b"MSH"):
        start = without_lead(start)
    if b"\n" in start:
        start = start.replace(b"\n", b"\r")
    line, _, rest = start.partition(b"\r")
    fields = _fields(line, b"MSH")
    if not fields:
        return None
    texts = line.decode("latin-1").split(chr(line[3]), _MOST_FIELDS)
    return _header(fields, texts, rest.lstrip(_LEADING))


def read_batch_header(raw: bytes) -> Header | None:
    """Return the header by which a batch can be refused, or None where this is no batch.

    The applications are of FHS or BHS; the control identifier is its field 11, or else, as senders leave that empty,
    of the first message inside. Processing identifier, version and character set are of that message too, since a
    batch header has none.
    """
    lines = _first_lines(raw)
    fields = _padded(_fields(lines[0], b"FHS") or _fields(lines[0], b"BHS"), _BATCH_CONTROL_ID)
    if not fields[0]:
        return None
    inner = _padded(next((found for line in lines[1:] if (found := _fields(line, b"MSH"))), ()), 18)
    control_id = fields[_BATCH_CONTROL_ID - 1] or inner[_CONTROL_ID - 1]
    all_fields = (*fields[:7], b"", b"", control_id, *inner[10:18])
    texts = [field.decode("latin-1") for field in all_fields]
    return _header(all_fields, texts, next(filter(None, lines[1:]), b""))


def _first_lines(raw: bytes) -> list[bytes]:
    start = without_lead(raw[:_MOST_BYTES])
    return [line.lstrip(_LEADING) for line in start.replace(b"\n", b"\r").split(b"\r", 8)]


def _fields(line: bytes, name: bytes) -> tuple[bytes, ...]:
    """Return MSH-1, MSH-2, … of a line, or nothing when it is no such segment."""
    separator = line[3:4]
    if line[:3] != name or not separator or not can_separate(separator.decode("latin-1")):
        return ()
    return (separator, *line.split(separator, _MOST_FIELDS)[1 : _MOST_FIELDS + 1])


def _padded(fields: tuple[bytes, ...], count: int) -> tuple[bytes, ...]:
    return fields + (b"",) * (count - len(fields))


def _header(fields: tuple[bytes, ...], texts: list[str], rest: bytes) -> Header:
    """Return the header of its fields, `texts` being the same as text; `rest` begins with the second segment."""
    if len(texts) < _CHARACTER_SET:
        texts += [""] * (_CHARACTER_SET - len(texts))
    delimiters = Delimiters.of(chr(fields[0][0]), texts[1])
    component = delimiters.component
    code, trigger, structure = _components(texts[8], component)
    return Header(
        delimiters=delimiters,
        sending_application=texts[2],
        sending_facility=texts[3],
        receiving_application=texts[4],
        receiving_facility=texts[5],
        date_time=_first(texts[6], component),
        message_code=code,
        trigger=trigger,
        structure=structure,
        control_id=texts[_CONTROL_ID - 1],
        control_id_raw=fields[_CONTROL_ID - 1] if len(fields) >= _CONTROL_ID else b"",
        processing_id=_first(texts[10], component),
        version=_first(texts[11], component),
        accept_acknowledgement=texts[14].strip(),
        application_acknowledgement=texts[15].strip(),
        character_set=texts[_CHARACTER_SET - 1],
        is_acknowledgement=code == "ACK" or rest.startswith(b"MSA"),
        fields=fields,
    )


def _first(text: str, component: str) -> str:
    """Return the first component, without outer blanks."""
    return (text.partition(component)[0] if component else text).strip()


def _components(text: str, component: str) -> tuple[str, str, str]:
    """Return the first three components, without outer blanks."""
    split = text.split(component, 3) if component else [text]
    parts = [part.strip() for part in split[:3]] + ["", ""]
    return parts[0], parts[1], parts[2]
