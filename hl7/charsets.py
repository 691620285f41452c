"""Character sets of MSH-18 (table 0211): bytes to text and back, with switching by ISO 2022. Knows no segment.

A codec is a name that Python knows, or `switching:` and such a name: what that codec reads until an escape sequence
designates another set (2.15.9.18: the first repetition of MSH-18 is the default, later ones are switched to).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from hl7.errors import Hl7Error

CHARACTER_SET_LOCATION = "MSH^1^18"
DEFAULT_FALLBACK = ("utf-8", "cp1252")
_SWITCHING = "switching:"
_MOST_SETS = 8  # of MSH-18; more are not read
_LONGEST_DECLARATION = 200  # characters of MSH-18


@dataclass(frozen=True, slots=True)
class _Set:
    """A row of table 0211. Its `readers` are tried in turn, `writer` is exact: what it cannot say is not of the set.

    `switch` is the escape sequence's end that designates it, where there is one.
    """

    readers: tuple[str, ...]
    writer: str
    switch: bytes = b""


_ASCII_SET = _Set(("ascii",), "ascii")
# Read as Shift-JIS, which contains it and is what some senders mean; written as what it is.
_JIS_X_0201 = _Set(("shift_jis", "cp932", "switching:shift_jis"), "jis_x_0201", b")I")

# Each name without blanks and punctuation. Senders often declare 8859/1 and mean Windows-1252, which agrees with it
# wherever 8859/1 has a printable character.
_SETS: dict[str, _Set] = {
    "": _ASCII_SET,
    "ASCII": _ASCII_SET,
    "USASCII": _ASCII_SET,
    "88591": _Set(("cp1252", "latin-1"), "latin-1", b"-A"),
    "88592": _Set(("iso8859_2",), "iso8859_2", b"-B"),
    "88593": _Set(("iso8859_3",), "iso8859_3", b"-C"),
    "88594": _Set(("iso8859_4",), "iso8859_4", b"-D"),
    "88595": _Set(("iso8859_5",), "iso8859_5", b"-L"),
    "88596": _Set(("iso8859_6",), "iso8859_6", b"-G"),
    "88597": _Set(("iso8859_7",), "iso8859_7", b"-F"),
    "88598": _Set(("iso8859_8",), "iso8859_8", b"-H"),
    "88599": _Set(("iso8859_9",), "iso8859_9", b"-M"),
    "885915": _Set(("iso8859_15",), "iso8859_15", b"-b"),
    "ISOIR14": _JIS_X_0201,
    "ISOIR87": _Set(("switching:ascii",), "jis_x_0208", b"$B"),
    "ISOIR159": _Set(("switching:ascii",), "jis_x_0212", b"$(D"),
    "GB180302000": _Set(("gb18030",), "gb18030"),
    "GB18030": _Set(("gb18030",), "gb18030"),
    "KSX1001": _Set(("euc_kr", "cp949", "switching:euc_kr"), "euc_kr", b"$)C"),
    "BIG5": _Set(("big5", "cp950"), "big5"),
    "UNICODE": _Set(("utf-8",), "utf-8"),
    "UNICODEUTF8": _Set(("utf-8",), "utf-8"),
    "UTF8": _Set(("utf-8",), "utf-8"),
}
_KANJI = {"jis_x_0208": b"\x1b$B", "jis_x_0212": b"\x1b$(D"}  # they hide ASCII until it is switched back to

# What an escape sequence designates: into G0, where it hides ASCII, or into G1, the bytes from 0x80 on.
_G0 = {
    b"(B": "",
    # JIS-Roman differs from ASCII in yen and overline alone, whose bytes are delimiters here.
    b"(J": "",
    b"(I": "katakana",
    b"$@": "jis_x_0208",
    b"$B": "jis_x_0208",
    b"$(B": "jis_x_0208",
    b"$(D": "jis_x_0212",
    b"$A": "gb2312",
    b"$(C": "euc_kr",
}
_G1 = {
    b")I": "shift_jis",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
    b"-T": "tis_620",
    **{each.switch: each.writer for each in _SETS.values() if each.switch[:1] == b"-"},
}
_TO_ASCII = b"\x1b(B"
_ESCAPE_SEQUENCE = re.compile(rb"\x1b([\x20-\x2f]{1,3}[\x30-\x7e])")
_ONE_BYTE = frozenset(("ascii", "cp1252", *(each.writer for each in _SETS.values() if each.switch[:1] == b"-")))


# --- what is declared --------------------------------------------------------------------------------------------


def codecs_of(character_set: str, repetition: str, fallback: tuple[str, ...] = DEFAULT_FALLBACK) -> tuple[str, ...]:
    """Return the codecs to try in turn for a value of MSH-18.

    The first repetition is the default set, later ones are reached by escape sequences. `fallback` is tried after
    ASCII where nothing or ASCII is declared. Raises Hl7Error 103 for a set that is unknown or cannot be framed.
    """
    if len(character_set) > _LONGEST_DECLARATION:
        raise _unsupported()
    return _codecs_of(character_set, repetition, fallback)


@lru_cache(maxsize=256)
def _codecs_of(character_set: str, repetition: str, fallback: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(character_set, repetition)
    first, *later = (_SETS[name] for name in names)
    if len(names) == 1:
        return ("ascii", *fallback) if first is _ASCII_SET else first.readers
    # Some senders list what they might use and never switch: then a later set may be the one in use.
    others = [reader for each in later for reader in each.readers] if first is _ASCII_SET else []
    switching = [_SWITCHING + reader.removeprefix(_SWITCHING) for reader in (*first.readers, *others)]
    return tuple(dict.fromkeys((*switching, *(fallback if first is _ASCII_SET else ()))))


def codecs_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return the codecs of sets by their names in table 0211, in that order: a `fallback` for undeclared messages.

    Raises ValueError naming one that is unknown or cannot be framed.
    """
    codecs: list[str] = []
    for name in names:
        found = _SETS.get(_plain(name))
        if found is None or not name:
            raise ValueError(f"{name!r} is no character set of HL7 table 0211 that can be read")
        codecs += found.readers
    return tuple(dict.fromkeys(codecs))


def _names(character_set: str, repetition: str) -> list[str]:
    values = character_set.split(repetition) if repetition else [character_set]
    names = [_plain(value) for value in values[:_MOST_SETS]]
    if any(name not in _SETS for name in names):
        raise _unsupported()
    return names


def _unsupported() -> Hl7Error:
    return Hl7Error("103", CHARACTER_SET_LOCATION, "this character set is not supported")


def _plain(name: str) -> str:
    """Return a set's name without the blanks and punctuation that senders vary, and without a leading `ISO` of 8859."""
    plain = re.sub(r"[\s_/.\-\0\x1a\x1c]", "", name).upper()
    return plain[3:] if plain.startswith("ISO8859") else plain


# --- reading -----------------------------------------------------------------------------------------------------


def decode(payload: bytes, codecs: tuple[str, ...], escape: str) -> tuple[str, str]:
    """Return the payload as text, and the codec that read it. Nothing is ever replaced.

    `escape` is the delimiter within which a switch may be spelt out. Raises Hl7Error 102 at MSH-18 when the bytes
    are not of the declared set.
    """
    codecs = _with_switching(payload, codecs, escape)
    if payload.isascii() and b"\x1b" not in payload and not codecs[0].startswith(_SWITCHING):
        return payload.decode("ascii"), codecs[0]  # what all of them would say, ten times as fast
    for codec in codecs:
        try:
            return decoded(payload, codec, escape), codec
        except UnicodeDecodeError:
            continue
    raise Hl7Error("102", CHARACTER_SET_LOCATION, "the message is not in the character set it declares")


def decoded(payload: bytes, codec: str, escape: str = "") -> str:
    """Return bytes as one codec reads them. Raises UnicodeDecodeError."""
    if not codec.startswith(_SWITCHING):
        return payload.decode(codec)
    default = codec.removeprefix(_SWITCHING)
    payload = _spelt_out(payload, escape)
    if b"\x1b" not in payload:
        return payload.decode(default)
    # Every segment starts in the default set again, also where the sender forgot to switch back.
    lines = payload.split(b"\r")
    return "\r".join(_switched(line, default) if b"\x1b" in line else line.decode(default) for line in lines)


def _with_switching(payload: bytes, codecs: tuple[str, ...], escape: str) -> tuple[str, ...]:
    """Return the codecs, with those that understand a switch first where there is one.

    A switch that is spelt out (2.7.2) is obeyed also where no further set is declared: the bytes after it would
    otherwise be read as something else. A bare ESC is a switch only where a set that has one is declared.
    """
    if b"\x1b" in payload and any(codec.startswith(_SWITCHING) for codec in codecs):
        return tuple(sorted(codecs, key=lambda codec: not codec.startswith(_SWITCHING)))
    if escape and _spelt_out(payload, escape) is not payload:
        return tuple(_SWITCHING + codec if codec in _ONE_BYTE else codec for codec in codecs)
    return codecs


def _spelt_out(payload: bytes, escape: str) -> bytes:
    """Turn `\\Cxxyy\\` and `\\Mxxyyzz\\` into the ISO 2022 escape sequences that they spell (2.7.2)."""
    if not escape or not _spelling(escape).search(payload):
        return payload
    changed = _spelling(escape).sub(_bare, payload)
    return payload if changed == payload else changed


@lru_cache(maxsize=64)
def _spelling(mark: str) -> re.Pattern[bytes]:
    quoted = re.escape(mark.encode("ascii"))
    return re.compile(quoted + rb"[CM]((?:[0-9A-Fa-f]{2}){2,3})" + quoted)


def _bare(found: re.Match[bytes]) -> bytes:
    designation = bytes.fromhex(found[1].decode("ascii"))
    return b"\x1b" + designation if designation in _G0 or designation in _G1 else found[0]


def _switched(line: bytes, default: str) -> str:
    """Return one segment that has escape sequences in it."""
    shown, high = "", default
    pieces = _ESCAPE_SEQUENCE.split(line)
    text = [pieces[0].decode(default)]
    for designation, run in zip(pieces[1::2], pieces[2::2], strict=True):
        if designation in _G0:
            shown = _G0[designation]
        elif designation in _G1:
            high = _G1[designation]
        else:
            raise UnicodeDecodeError(default, line, 0, 1, "an unknown set is designated")
        text.append(_run(run, shown) if shown else run.decode(high))
    return "".join(text)


def _run(run: bytes, shown: str) -> str:
    """Return bytes that are read by the set in G0, seven bits each."""
    if any(not 0x20 < byte < 0x7F for byte in run):
        raise UnicodeDecodeError(shown, run, 0, 1, "a byte that is of no set of 94 characters")
    if shown == "katakana":
        return _raised(run).decode("shift_jis")
    if shown not in _KANJI:
        return _raised(run).decode(shown)
    try:
        return (_KANJI[shown] + run + _TO_ASCII).decode("iso2022_jp_2")
    except UnicodeDecodeError:
        # Windows writes the vendors' characters (NEC row 13, IBM extensions) in free rows of JIS X 0208.
        if shown != "jis_x_0208" or len(run) % 2:
            raise
        return _shift_jis(run).decode("cp932")


def _raised(run: bytes) -> bytes:
    return bytes(byte | 0x80 for byte in run)


def _shift_jis(run: bytes) -> bytes:
    """Return rows and cells of JIS X 0208 as Shift-JIS has them."""
    shifted = bytearray()
    for row, cell in zip(run[::2], run[1::2], strict=True):
        shifted.append((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0))
        shifted.append(cell + 0x7E if row % 2 == 0 else cell + (0x20 if cell > 0x5F else 0x1F))
    return bytes(shifted)


# --- writing -----------------------------------------------------------------------------------------------------


def encode(text: str, character_set: str, repetition: str = "~") -> bytes:
    """Return text in the sets of a value of MSH-18, switched between where there are several.

    Raises Hl7Error 103 for a set that is unsupported, and 102 at MSH-18 where the text has a character that is of none
    of them: nothing is ever replaced.
    """
    names = _names(character_set, repetition)
    if text.isascii():
        return text.encode("ascii")
    sets = [_SETS[name] for name in names]
    try:
        return _encoded(text, sets)
    except UnicodeEncodeError:
        raise Hl7Error("102", CHARACTER_SET_LOCATION, "the text has a character that is not of the set") from None


def _encoded(text: str, sets: list[_Set]) -> bytes:
    first = sets[0]
    if not first.switch and first is not _ASCII_SET:
        return text.encode(first.writer)
    if len(sets) == 1 and first.writer not in (*_KANJI, _JIS_X_0201.writer):
        return text.encode(first.writer)
    return b"\r".join(_Switching(sets).written(line) for line in text.split("\r"))


class _Switching:
    """Writes a segment in several sets. It ends in the default set, so that the next begins there."""

    def __init__(self, sets: list[_Set]) -> None:
        # JIS X 0208 and 0212 cannot be a default, since MSH is ASCII: ASCII is, and they are switched to.
        self._default = _ASCII_SET if sets[0].writer in _KANJI else sets[0]
        self._sets = tuple(each for each in dict.fromkeys((self._default, *sets)) if each.switch)
        self._shown = ""  # in G0: a set of _KANJI, or "" for ASCII
        self._high = self._default.writer  # in G1
        self._written = bytearray()

    def written(self, line: str) -> bytes:
        """Return a segment. Raises UnicodeEncodeError for a character of none of the sets."""
        for character in line:
            if character.isascii():
                self._show("")
                self._written += character.encode("ascii")
            else:
                self._add(character)
        self._show("")
        if self._default.switch:
            self._raise(self._default)
        return bytes(self._written)

    def _add(self, character: str) -> None:
        for each in self._sets:
            code = _code(character, each.writer)
            if not code:
                continue
            if each.writer in _KANJI:
                self._show(each.writer)
            else:
                self._show("")
                self._raise(each)
            self._written += code
            return
        raise UnicodeEncodeError("hl7", character, 0, 1, "of none of the sets")

    def _show(self, kanji: str) -> None:
        if self._shown != kanji:
            self._shown = kanji
            self._written += _KANJI[kanji] if kanji else _TO_ASCII

    def _raise(self, wanted: _Set) -> None:
        if self._high != wanted.writer:
            self._high = wanted.writer
            self._written += b"\x1b" + wanted.switch


def _code(character: str, writer: str) -> bytes:
    """Return a character's bytes in one set, or nothing where it is not of it."""
    if writer == _JIS_X_0201.writer:
        # Its second half is the half-width katakana; its first is ASCII here.
        return bytes([ord(character) - 0xFF61 + 0xA1]) if "\uff61" <= character <= "\uff9f" else b""
    try:
        if writer not in _KANJI:
            return character.encode(writer)
        switched = character.encode("iso2022_jp_2")
    except UnicodeEncodeError:
        return b""
    if not switched.startswith(_KANJI[writer]):
        return b""
    return switched.removeprefix(_KANJI[writer]).removesuffix(_TO_ASCII)
