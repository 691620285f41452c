"""Choosing and using a character set, compared with pydicom's reading of what we write."""

import pytest
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from broker.worklist.characters import choose, decode, encode, expresses, transliterate


@pytest.mark.parametrize(
    ("text", "offered", "expected"),
    [
        ("Muster", ("ISO_IR 100", "ISO_IR 192"), ("", True)),
        ("Müller", ("", "ISO_IR 100", "ISO_IR 192"), ("ISO_IR 100", True)),
        ("Müller", ("ISO_IR 100", "ISO_IR 192"), ("ISO_IR 100", True)),
        ("Łukasz", ("ISO_IR 100", "ISO_IR 192"), ("ISO_IR 192", True)),
        ("Łukasz", ("ISO_IR 101", "ISO_IR 192"), ("ISO_IR 101", True)),
        ("Łukasz", ("ISO_IR 100",), ("ISO_IR 100", False)),
        ("Müller", ("",), ("", False)),
        ("山田", ("ISO_IR 100", "\\ISO 2022 IR 87"), ("\\ISO 2022 IR 87", True)),
        ("山田ü", ("\\ISO 2022 IR 87", "ISO_IR 192"), ("ISO_IR 192", True)),
        ("Müller", (), ("", False)),
    ],
)
def test_the_first_set_that_holds_all_text_is_chosen(
    text: str, offered: tuple[str, ...], expected: tuple[str, bool]
) -> None:
    assert choose(text, offered) == expected


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 101", "Łukasz^Żółć"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("ISO_IR 126", "Παπαδόπουλος"),
        ("ISO_IR 192", "Müller^山田"),
        ("GB18030", "王^小东"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 100\\ISO 2022 IR 87", "Müller^Jörg=山田^太郎"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "Müller^Иван"),
        ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "Yamada=山田丂"),
        ("\\ISO 2022 IR 58", "Wang^XiaoDong=王^小东"),
    ],
)
def test_what_is_written_reads_back_here_and_in_pydicom(character_set: str, name: str) -> None:
    assert expresses(character_set, name)
    data = encode(name, character_set)
    assert decode(data, character_set) == name
    theirs = PersonName(data, convert_encodings(character_set.split("\\")))
    assert str(theirs.decode()).replace("\x1b$)A", "") == name  # pydicom leaves this one escape in the text


@pytest.mark.parametrize(
    ("text", "character_set", "expected"),
    [
        ("Łukasz Müller", "ISO_IR 100", "Lukasz Müller"),
        ("Strauß–Ćosić", "", "Strauss-Cosic"),
        ("Ærø", "", "AEro"),
        ("山田", "ISO_IR 100", "??"),
    ],
)
def test_transliteration_keeps_what_the_set_holds(text: str, character_set: str, expected: str) -> None:
    assert transliterate(text, character_set) == expected


def test_every_component_returns_to_ascii() -> None:
    assert encode("A=山^田", "ISO 2022 IR 100\\ISO 2022 IR 87") == b"A=\x1b$B;3\x1b(B^\x1b$BED\x1b(B"


def test_what_a_set_does_not_hold_decodes_to_what_matches_nothing() -> None:
    assert decode(b"M\xfcller", "") == "M�ller"
    assert decode(b"M\xfcller", "ISO_IR 999") == "M�ller"
    assert decode(b"M\xfcller", "ISO_IR 192") == "M�ller"
    assert decode(b"\x1b\x1b$Z\xff", "\\ISO 2022 IR 87")
