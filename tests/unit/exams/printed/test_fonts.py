"""Which fonts a PDF is set in, with fonts made here: a family, one for Han, and what no font has."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph

from broker.exams.printed.fonts import Fonts, choose, installed, scripts

LATIN = [chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100))]


def font(file: Path, characters: Iterable[str]) -> Path:
    """Write a font whose letters have no ink."""
    named = {ord(character): f"u{ord(character):04X}" for character in characters}
    order = [".notdef", *named.values()]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(named)
    builder.setupGlyf({name: Glyph() for name in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (500, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2()
    builder.setupPost()
    builder.setupNameTable({"familyName": file.stem, "styleName": "Regular"})
    file.parent.mkdir(parents=True, exist_ok=True)
    builder.save(file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"):
        font(tmp_path / "dejavu" / f"{name}.ttf", [*LATIN, "Ω"])
    font(tmp_path / "han" / "DroidSansFallback.ttf", "王小東")
    (tmp_path / "broken.ttf").write_bytes(b"no font at all")
    return tmp_path


def chosen(folder: Path, *texts: str) -> Fonts:
    return choose(texts, installed([folder, folder / "absent"]))


def test_a_family_has_bold_and_a_fixed_width(folder: Path) -> None:
    found = chosen(folder, "Müster")
    assert found.family is not None
    assert [file.stem for file in found.family] == ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"]
    assert found.others == ()


def test_a_font_is_added_for_what_the_family_lacks_and_only_then(folder: Path) -> None:
    found = chosen(folder, "Wang", "王^小東", "Ω")
    assert [file.stem for file in found.others] == ["DroidSansFallback"]
    assert found.shown("王 Ω") == "王 Ω"
    assert found.lacking(["王 Ω"]) == ()


def test_what_no_font_has_stands_as_its_number(folder: Path) -> None:
    found = chosen(folder, "홍길동")
    assert found.shown("Hong / 홍길 동") == "Hong / [U+D64D U+AE38] [U+B3D9]"
    assert found.lacking(["홍동", "a"]) == ("동", "홍")
    assert scripts(["동", "홍", "ก", "\U0002ffff"]) == "Hangul, Thai, Unknown"


def test_controls_are_spaces_and_what_directs_others_is_left_out(folder: Path) -> None:
    assert chosen(folder, "a").shown("a\nb\x07\u202ec\u200d") == "a b c"


def test_without_a_family_any_font_with_latin_letters_will_do(tmp_path: Path) -> None:
    font(tmp_path / "Zapf.ttf", LATIN)
    found = chosen(tmp_path, "ab")
    assert found.family is not None
    assert {file.stem for file in found.family} == {"Zapf"}


def test_without_fonts_there_is_latin_1(tmp_path: Path) -> None:
    found = chosen(tmp_path, "Müster", "Łukasz")
    assert (found.family, found.others) == (None, ())
    assert found.shown("Müster Łukasz") == "Müster [U+0141]ukasz"
