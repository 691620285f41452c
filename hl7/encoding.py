"""Delimiters, escape sequences and character sets (MSH-1, MSH-2, MSH-18). Knows no segment."""

import re
from dataclasses import dataclass

from hl7.errors import Hl7Error

CHARACTER_SET_LOCATION = "MSH^1^18"
DEFAULT_FALLBACK = ("utf-8", "cp1252")
_DEFAULTS = ("^", "~", "\\", "&")
_SPARE = "^~\\&!@%*;"
_MOST_LINES = 100  # of `\.sp n\`: a few bytes must not become megabytes


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The separators of one message. An empty one is not in use: nothing is split or escaped by it."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @classmethod
    def of(cls, field: str, encoding_characters: str) -> "Delimiters":
        """Return what MSH-1 and MSH-2 say.

        An empty MSH-2 means the usual four. A character that cannot separate (a letter, a control, one already in
        use) is taken as not in use, so that the message can still be answered.
        """
        taken = {field}
        roles: list[str] = []
        for character in (encoding_characters or "".join(_DEFAULTS))[:5]:
            usable = can_separate(character) and character not in taken
            roles.append(character if usable else "")
            taken.add(character)
        component, repetition, escape_, subcomponent, truncation = roles + [""] * (5 - len(roles))
        return cls(field, component, repetition, escape_, subcomponent, truncation)

    @property
    def encoding_characters(self) -> str:
        """MSH-2 that says this."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation

    def completed(self) -> "Delimiters":
        """Return these with every separator in use that an answer needs."""
        roles = [self.component, self.repetition, self.escape, self.subcomponent]
        for index, usual in enumerate(_DEFAULTS):
            if not roles[index]:
                taken = {self.field, self.truncation, *roles}
                roles[index] = next(spare for spare in (usual, *_SPARE) if spare not in taken)
        component, repetition, escape_, subcomponent = roles
        return Delimiters(self.field, component, repetition, escape_, subcomponent, self.truncation)


def can_separate(character: str) -> bool:
    """Tell whether a character may be a delimiter: printable ASCII that is neither letter, digit nor blank."""
    return "!" <= character <= "~" and not character.isalnum()


# --- character sets (table 0211) ---------------------------------------------------------------------------------

# Each name, without blanks and punctuation, with the codecs to try in turn. Senders often declare 8859/1 and mean
# Windows-1252, which agrees with it wherever 8859/1 has a printable character.
_CODECS: dict[str, tuple[str, ...]] = {
    "88591": ("cp1252", "latin-1"),
    "88592": ("iso8859_2",),
    "88593": ("iso8859_3",),
    "88594": ("iso8859_4",),
    "88595": ("iso8859_5",),
    "88596": ("iso8859_6",),
    "88597": ("iso8859_7",),
    "88598": ("iso8859_8",),
    "88599": ("iso8859_9",),
    "885915": ("iso8859_15",),
    "ISOIR14": ("shift_jis", "cp932"),
    "ISOIR87": ("iso2022_jp",),
    "ISOIR159": ("iso2022_jp_2",),
    "GB180302000": ("gb18030",),
    "GB18030": ("gb18030",),
    "KSX1001": ("euc_kr", "cp949"),
    "BIG5": ("big5", "cp950"),
    "UNICODE": ("utf-8",),
    "UNICODEUTF8": ("utf-8",),
    "UTF8": ("utf-8",),
}
_ASCII = {"", "ASCII", "USASCII"}
_ISO_2022 = {"ISOIR87", "ISOIR159"}  # reached by escape sequences wherever they stand in MSH-18


def codecs_of(character_set: str, repetition: str, fallback: tuple[str, ...] = DEFAULT_FALLBACK) -> tuple[str, ...]:
    """Return the codecs to try in turn for a value of MSH-18.

    The first repetition is the default set, later ones are reached by escape sequences. `fallback` is tried after
    ASCII where nothing or ASCII is declared. Raises Hl7Error 103 for a set that is unknown or cannot be framed.
    """
    values = character_set.split(repetition) if repetition else [character_set]
    names = [_plain(value) for value in values[:8]]
    for name in names:
        if name not in _ASCII and name not in _CODECS:
            raise Hl7Error("103", CHARACTER_SET_LOCATION, "this character set is not supported")
    if _ISO_2022.intersection(names):
        return ("iso2022_jp_2",) if "ISOIR159" in names else ("iso2022_jp", "iso2022_jp_2")
    return ("ascii", *fallback) if names[0] in _ASCII else _CODECS[names[0]]


def decode(payload: bytes, codecs: tuple[str, ...], escape: str) -> tuple[str, str]:
    """Return the payload as text, and the codec that read it. Nothing is ever replaced.

    Raises Hl7Error 102 at MSH-18 when the bytes are not of the declared set.
    """
    for codec in codecs:
        try:
            return _decode(payload, codec, escape), codec
        except UnicodeDecodeError:
            continue
    raise Hl7Error("102", CHARACTER_SET_LOCATION, "the message is not in the character set it declares")


def _decode(payload: bytes, codec: str, escape: str) -> str:
    if not codec.startswith("iso2022"):
        return payload.decode(codec)
    # Every segment starts in the default set again, also where the sender forgot to switch back.
    return _switched(payload, escape).replace(b"\r", b"\x1b(B\r").decode(codec)


def _switched(payload: bytes, escape: str) -> bytes:
    """Turn `\\Cxxyy\\` and `\\Mxxyyzz\\` into the ISO 2022 escape sequences that they spell (2.7.2)."""
    if not escape:
        return payload
    mark = re.escape(escape.encode("ascii"))
    pattern = mark + rb"[CM]((?:[0-9A-Fa-f]{2}){2,3})" + mark
    return re.sub(pattern, lambda found: b"\x1b" + bytes.fromhex(found[1].decode("ascii")), payload)


def _plain(name: str) -> str:
    """Return a set's name without the blanks and punctuation that senders vary, and without a leading `ISO` of 8859."""
    plain = re.sub(r"[ _/.\-]", "", name).upper()
    return plain[3:] if plain.startswith("ISO8859") else plain


# --- escape sequences (2.7) --------------------------------------------------------------------------------------


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    """Return one leaf's text with its escape sequences resolved; `codec` reads `\\Xhh..\\`.

    Unknown, local (`\\Z..\\`) and unterminated sequences stay as they are; highlighting and layout are dropped.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    quoted = re.escape(mark)
    hexadecimal = f"(?:{quoted}X(?:[0-9A-Fa-f]{{2}})++{quoted})++"
    pattern = f"{hexadecimal}|{quoted}[^{quoted}]*{quoted}"
    return re.sub(pattern, lambda found: _resolved(found[0], delimiters, codec), text)


def _resolved(sequence: str, delimiters: Delimiters, codec: str) -> str:
    content = sequence[1:-1]
    single: dict[str, str] = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation,
    }
    if content in single:
        return single[content] or sequence
    if content in ("H", "N") or re.fullmatch(r"[CM](?:[0-9A-Fa-f]{2}){2,3}", content):
        return ""
    if content.startswith("X"):
        return _from_hexadecimal(sequence, delimiters.escape, codec)
    return _layout(content, sequence)


def _from_hexadecimal(sequence: str, mark: str, codec: str) -> str:
    # Neighbouring sequences are read together: one character of UTF-8 may be spread over several.
    try:
        return bytes.fromhex(sequence.replace(f"{mark}X", "").replace(mark, "")).decode(codec)
    except ValueError:
        return sequence


def _layout(content: str, sequence: str) -> str:
    found = re.fullmatch(r"\.(br|sp|sk|in|ti|fi|nf|ce) ?\+?(-?[0-9]{0,5})", content)
    if not found:
        return sequence
    count = max(0, min(int(found[2]), _MOST_LINES)) if found[2].strip("-") else 1
    drawn: dict[str, str] = {"br": "\n", "sp": "\n" * count, "sk": " " * count}
    return drawn.get(found[1], "")


def escape(text: str, delimiters: Delimiters) -> str:
    """Return text that may stand in a leaf: delimiters and controls as escape sequences, or blank where none exist."""
    mark = delimiters.escape
    names = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        mark: "E",
        delimiters.truncation: "P",
    }
    return "".join(_escaped(character, names.get(character), mark) for character in text)


def _escaped(character: str, name: str | None, mark: str) -> str:
    if name is None and (character >= " " and character != "\x7f"):
        return character
    if not mark:
        return " "
    if character == "\n":
        return f"{mark}.br{mark}"
    return f"{mark}{name or f'X{ord(character):02X}'}{mark}"
