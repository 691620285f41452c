"""Specific Character Set (0008,0005): decoding keys, choosing the set of an answer, encoding its text.

A set is the attribute's whole value, such as `ISO_IR 100` or `\\ISO 2022 IR 87`; `""` is the default repertoire.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import groupby

from pydicom import charset as repertoires

DEFAULT = ""
UNICODE = "ISO_IR 192"

_ESCAPES = {code: encoding for code, encoding in repertoires.CODES_TO_ENCODINGS.items() if encoding != "iso8859"}
_ASCII_ESCAPE = b"\x1b(B"
_JIS_ROMAN_ESCAPE = b"\x1b(J"
_IN_G0 = frozenset(repertoires.need_tail_escape_sequence_encodings)  # the others are designated in G1
_CARRIES_ITS_ESCAPES = frozenset(repertoires.handled_encodings)
# Where code extensions fall back to the first set (PS3.5 6.1.2.5.3).
_DELIMITERS = re.compile(r"([\\^=\r\n\f\t])")
_BYTE_DELIMITERS = re.compile(rb"[\\^=\r\n\f\t]")
_SPELT_OUT = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H",
     "ı": "i", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th", "–": "-", "—": "-", "‘": "'",
     "’": "'", "“": '"', "”": '"', "…": "...", "€": "EUR"}
)  # fmt: skip


def decode(value: bytes, character_set: str) -> str:
    """Return text as Unicode. What the set does not hold, or we do not know, becomes U+FFFD and so matches nothing."""
    first = _encodings(character_set)[0]
    if b"\x1b" not in value:
        return value.decode(first, "replace")
    head, *rest = re.split(rb"(?=\x1b)", value)
    return head.decode(first, "replace") + "".join(_decode_escaped(part, first) for part in rest)


def choose(text: str, offered: tuple[str, ...]) -> tuple[str, bool]:
    """Return the set for an answer with this text, and whether the text fits it; otherwise it must be transliterated.

    Pure ASCII needs none, whatever is offered: (0008,0005) is then left out.
    """
    if text.isascii():
        return DEFAULT, True
    for character_set in offered:
        if expresses(character_set, text):
            return character_set, True
    return (offered[0] if offered else DEFAULT), False


def expresses(character_set: str, text: str) -> bool:
    """Tell whether every character of `text` is in the set."""
    return all(_holds(character_set, c) for c in set(text))


def transliterate(text: str, character_set: str) -> str:
    """Return `text` with what the set lacks replaced: letters without their marks, spelt out, or else `?`."""
    return "".join(c if _holds(character_set, c) else _replacement(c, character_set) for c in text)


def encode(text: str, character_set: str) -> bytes:
    """Return the bytes of text that the set expresses."""
    encodings = _encodings(character_set)
    if len(encodings) == 1 and encodings[0] != "shift_jis":
        return text.encode(encodings[0], "replace")
    return b"".join(_encode_extended(part, encodings) for part in _DELIMITERS.split(text) if part)


def _encode_extended(part: str, encodings: tuple[str, ...]) -> bytes:
    """Encode what stands between two delimiters, where every designation starts anew.

    pydicom's encoder is not used: after JIS X 0208 it does not always return to ASCII, as PS3.5 6.1.2.5.3 demands.
    """
    written = bytearray()
    designated = encodings[0]  # in G1
    for encoding, run in groupby(part, key=lambda c: _encoding_for(c, encodings)):
        text = "".join(run)
        if encoding in _IN_G0:
            back = _JIS_ROMAN_ESCAPE if encodings[0] == "shift_jis" else _ASCII_ESCAPE
            written += text.encode(encoding).removesuffix(_ASCII_ESCAPE) + back
            continue
        if encoding not in ("ascii", designated):
            written += repertoires.ENCODINGS_TO_CODES[encoding]
            designated = encoding
        written += text.encode(encoding, "replace")
    return bytes(written)


def _encoding_for(character: str, encodings: tuple[str, ...]) -> str:
    if character.isascii():
        return "ascii"
    return next((encoding for encoding in encodings if _encodes(encoding, character)), "ascii")


def _decode_escaped(part: bytes, first: str) -> str:
    if part.startswith(_ASCII_ESCAPE):
        return part[len(_ASCII_ESCAPE) :].decode(first, "replace")
    code = next((code for code in _ESCAPES if part.startswith(code)), None)
    if code is None:
        return part.decode(first, "replace")
    encoding = _ESCAPES[code]
    if encoding in _CARRIES_ITS_ESCAPES:
        return (
            part.decode(encoding, "replace")
            if encoding != "iso_ir_58"
            else part[len(code) :].decode("gb2312", "replace")
        )
    body = part[len(code) :]
    reset = _BYTE_DELIMITERS.search(body)
    end = reset.start() if reset else len(body)
    return body[:end].decode(encoding, "replace") + body[end:].decode(first, "replace")


@lru_cache(maxsize=256)
def _encodings(character_set: str) -> tuple[str, ...]:
    terms = [term.strip() for term in character_set.split("\\")]
    known = [_encoding(term) for term in terms if term in repertoires.python_encoding]
    if not known or (len(terms) > 1 and terms[0] and known[0] != _encoding(terms[0])):
        known.insert(0, "ascii")
    return tuple(dict.fromkeys(known))


def _encoding(term: str) -> str:
    # pydicom takes Latin 1 for the default repertoire, which is ISO-IR 6 alone (PS3.5 6.1.2.1).
    return "ascii" if term in {"", "ISO_IR 6", "ISO 2022 IR 6"} else repertoires.python_encoding.get(term, "ascii")


@lru_cache(maxsize=8192)
def _holds(character_set: str, character: str) -> bool:
    return any(_encodes(encoding, character) for encoding in _encodings(character_set))


def _encodes(encoding: str, character: str) -> bool:
    try:
        encoded = character.encode(encoding)
    except UnicodeEncodeError:
        return False
    if encoding in _IN_G0:  # Python's codecs hold further sets
        return encoded.startswith(repertoires.ENCODINGS_TO_CODES[encoding])
    # ISO_IR 13 is the one-byte half of what Python calls Shift JIS.
    return encoding != "shift_jis" or len(encoded) == 1


def _replacement(character: str, character_set: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn")
    for candidate in (character.translate(_SPELT_OUT), bare, bare.translate(_SPELT_OUT)):
        if candidate and all(_holds(character_set, c) for c in candidate):
            return candidate
    return "?"
