"""Which fonts of this machine a PDF is set in, and what is written where none has a character. Draws nothing.

A PDF takes its fonts with it, so that they must be here: nothing is printed as an empty box unsaid.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local" / "share" / "fonts",
    Path.home() / ".fonts",
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
)
_SUFFIXES = frozenset({".ttf", ".otf", ".ttc"})
_FAMILIES = (  # regular, bold, fixed width: numbers are copied by hand, where 0 and O must differ
    ("LiberationSans-Regular", "LiberationSans-Bold", "LiberationMono-Regular"),
    ("NotoSans-Regular", "NotoSans-Bold", "NotoSansMono-Regular"),
    ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"),
    ("Arial", "Arial Bold", "Courier New"),
)
_FIRST = ("dejavusans", "notosanscjk-regular", "droidsansfallback", "wqy", "notosans")
"""How the names of fonts begin that are asked first for what the family lacks."""
_LAST = ("serif", "mono", "bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "emoji")
_MOST_READ = 500  # fonts of a machine, until those that lack a character are left
_LATIN_1 = frozenset(chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100)))
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Fonts:
    """The family, the fonts of what it lacks, and every character that they have together.

    Without a family it is set in Helvetica and Courier, which every reader of PDF has, for Latin-1 alone.
    """

    family: tuple[Path, Path, Path] | None
    others: tuple[Path, ...]
    characters: frozenset[str]

    def shown(self, text: str) -> str:
        """Return a text as it can be set: what no font has stands as its number, "[U+D64D U+AE38]"."""
        runs = groupby(_cleaned(text, self.characters), self.characters.__contains__)
        return "".join("".join(run) if has else _numbers(run) for has, run in runs)

    def lacking(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Return the characters of texts that no font has."""
        kept = (_cleaned(text, self.characters) for text in texts)
        return tuple(sorted({character for text in kept for character in text} - self.characters))


def installed(folders: Sequence[Path] | None = None) -> list[Path]:
    """Return the fonts in folders, those of this machine unless said, those first that are asked first."""
    found = {
        file
        for folder in (FOLDERS if folders is None else folders)
        for file in folder.rglob("*")
        if file.suffix.lower() in _SUFFIXES
    }
    return sorted(found, key=_rank)


def choose(texts: Iterable[str], files: Sequence[Path]) -> Fonts:
    """Return the fonts that texts are set in: as few as have their characters."""
    family = _family(files)
    characters = set(_characters(family[0])) if family else set(_LATIN_1)
    wanted = {character for text in texts for character in text} - characters
    others = []
    for file in files[:_MOST_READ] if family else ():
        if not wanted:
            break
        own = _characters(file)
        if wanted & own:
            others.append(file)
            characters |= own
            wanted -= own
    return Fonts(family, tuple(others), frozenset(characters))


def scripts(characters: Iterable[str]) -> str:
    """Return the scripts of characters in words: "CJK, Hangul"."""
    names = {unicodedata.name(character, "UNKNOWN").partition(" ")[0] for character in characters}
    return ", ".join(sorted(name if name == "CJK" else name.title() for name in names))


def _rank(file: Path) -> tuple[int, bool, str]:
    name = file.stem.lower()
    first = next((n for n, start in enumerate(_FIRST) if name.startswith(start)), len(_FIRST))
    return (first, any(word in name for word in _LAST), str(file))


def _family(files: Sequence[Path]) -> tuple[Path, Path, Path] | None:
    named = {file.stem: file for file in reversed(files)}
    for regular, bold, fixed in _FAMILIES:
        if regular in named and bold in named:
            return named[regular], named[bold], named.get(fixed, named[regular])
    for file in files[:_MOST_READ]:  # any one that has plain Latin letters
        if _LATIN_1 - {"\xad"} <= _characters(file):
            return file, file, file
    return None


def _characters(file: Path) -> frozenset[str]:
    """Return the characters that a font has an outline of; none where it cannot be read."""
    try:
        with file.open("rb") as opened, TTFont(opened, fontNumber=0, lazy=True) as font:
            outlined = "glyf" in font or "CFF " in font
            return frozenset(map(chr, font.getBestCmap() or ())) if outlined else frozenset()
    except (TTLibError, OSError, AssertionError):
        return frozenset()


def _cleaned(text: str, characters: frozenset[str]) -> str:
    return "".join(_plain(text, characters))


def _plain(text: str, characters: frozenset[str]) -> Iterator[str]:
    """Yield what has a shape: a control character is a space, and one that only directs others is nothing."""
    for character in text:
        match unicodedata.category(character):
            case "Cc" | "Zl" | "Zp":
                yield " "
            case "Cf" if character not in _JOINERS or character not in characters:
                continue
            case _:
                yield character


def _numbers(run: Iterable[str]) -> str:
    return f"[{' '.join(f'U+{ord(character):04X}' for character in run)}]"
