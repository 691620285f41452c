"""Delimiters and escape sequences (MSH-1, MSH-2), with the character sets of charsets.py. Knows no segment."""

import re
from dataclasses import dataclass
from functools import lru_cache

from hl7.charsets import (
    CHARACTER_SET_LOCATION,
    DEFAULT_FALLBACK,
    codecs_named,
    codecs_of,
    decode,
    decoded,
    encode,
)

__all__ = [
    "CHARACTER_SET_LOCATION",
    "DEFAULT_FALLBACK",
    "Delimiters",
    "can_separate",
    "codecs_named",
    "codecs_of",
    "decode",
    "encode",
    "escape",
    "unescape",
]

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

    @staticmethod
    def of(field: str, encoding_characters: str) -> "Delimiters":
        """Return what MSH-1 and MSH-2 say.

        An empty MSH-2 means the usual four. A character that cannot separate (a letter, a control, one already in
        use) is taken as not in use, so that the message can still be answered.
        """
        return _delimiters(field, (encoding_characters or "".join(_DEFAULTS))[:5])

    def are_simple(self, text: str) -> bool:
        """Tell whether a text has nothing finer than components: no repetition, subcomponent or escape sequence."""
        if not self.component or (self.repetition and self.repetition in text):
            return False
        return not ((self.subcomponent and self.subcomponent in text) or (self.escape and self.escape in text))

    @property
    def encoding_characters(self) -> str:
        """MSH-2 that says this."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation

    def completed(self) -> "Delimiters":
        """Return these with every separator in use that an answer needs."""
        if self.component and self.repetition and self.escape and self.subcomponent:
            return self
        roles = [self.component, self.repetition, self.escape, self.subcomponent]
        for index, usual in enumerate(_DEFAULTS):
            if not roles[index]:
                taken = {self.field, self.truncation, *roles}
                roles[index] = next(spare for spare in (usual, *_SPARE) if spare not in taken)
        component, repetition, escape_, subcomponent = roles
        return Delimiters(self.field, component, repetition, escape_, subcomponent, self.truncation)


@lru_cache(maxsize=64)
def _delimiters(field: str, characters: str) -> Delimiters:
    taken = {field}
    roles: list[str] = []
    for character in characters:
        usable = can_separate(character) and character not in taken
        roles.append(character if usable else "")
        taken.add(character)
    component, repetition, escape_, subcomponent, truncation = roles + [""] * (5 - len(roles))
    return Delimiters(field, component, repetition, escape_, subcomponent, truncation)


def can_separate(character: str) -> bool:
    """Tell whether a character may be a delimiter: printable ASCII that is neither letter, digit nor blank."""
    return "!" <= character <= "~" and not character.isalnum()


# --- escape sequences (2.7) --------------------------------------------------------------------------------------


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    """Return one leaf's text with its escape sequences resolved; `codec` reads `\\Xhh..\\`.

    Unknown, local (`\\Z..\\`) and unterminated sequences stay as they are; highlighting and layout are dropped.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    known: dict[str, str] = {}  # a flood of sequences is one of few different ones

    def resolve(found: re.Match[str]) -> str:
        sequence = found[0]
        if sequence not in known:
            known[sequence] = _resolved(sequence, delimiters, codec)
        return known[sequence]

    return _sequences(mark).sub(resolve, text)


@lru_cache(maxsize=64)
def _sequences(mark: str) -> re.Pattern[str]:
    quoted = re.escape(mark)
    hexadecimal = f"(?:{quoted}X(?:[0-9A-Fa-f]{{2}})++{quoted})++"
    return re.compile(f"{hexadecimal}|{quoted}[^{quoted}]*{quoted}")


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
        return decoded(bytes.fromhex(sequence.replace(f"{mark}X", "").replace(mark, "")), codec)
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
    special, names = _special(delimiters)
    return special.sub(lambda found: _escaped(found[0], names.get(found[0]), delimiters.escape), text)


@lru_cache(maxsize=64)
def _special(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, str]]:
    names = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        delimiters.escape: "E",
        delimiters.truncation: "P",
    }
    names.pop("", None)
    return re.compile(f"[{re.escape(''.join(names))}\\x00-\\x1f\\x7f]"), names


def _escaped(character: str, name: str | None, mark: str) -> str:
    if not mark:
        return " "
    if character == "\n":
        return f"{mark}.br{mark}"
    return f"{mark}{name or f'X{ord(character):02X}'}{mark}"
