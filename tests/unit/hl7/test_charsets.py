"""Character sets of MSH-18, read and written, with every way to switch between them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.charsets import codecs_named, codecs_of, decode, encode
from hl7.errors import Hl7Error
from hl7.message import Message

MSH = "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ORM^O01|1|P|2.5.1||||||"

# MSH-18, and a name that only these sets have.
NAMES = [
    ("8859/1", "Müßig"),
    ("8859/2", "Łuczak"),
    ("8859/3", "Ħamrun"),
    ("8859/4", "Ģirts"),
    ("8859/5", "Иванов"),
    ("8859/6", "محمد"),
    ("8859/7", "Γεωργία"),
    ("8859/8", "שלום"),
    ("8859/9", "Şahin"),
    ("8859/15", "Œuvre€"),
    ("ISO IR14", "ﾔﾏﾀﾞ"),
    ("ISO IR87", "山田"),
    ("~ISO IR87", "山田^太郎"),
    ("ISO IR14~ISO IR87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    ("~ISO IR87~ISO IR159", "山田丂"),
    ("ISO IR14~ISO IR87~ISO IR159", "ﾔﾏﾀﾞ=山丂田"),
    ("~ISO IR87~ISO IR14", "ﾔﾏﾀﾞ=山田"),
    ("GB 18030-2000", "王小东㐀𠀀"),
    ("KS X 1001", "김희중"),
    ("~KS X 1001", "김희중=金喜中"),
    ("~ISO IR87~KS X 1001", "山田 김희중"),
    ("BIG-5", "功許"),
    ("UNICODE", "Müßig王"),
    ("UNICODE UTF-8", "Müßig王𠀀"),
    ("8859/1~8859/5", "Müßig Иванов ü"),
    ("~8859/7~8859/2", "Γεωργία Łuczak"),
]


def read(raw: bytes, fallback: tuple[str, ...] = ("utf-8", "cp1252")) -> str:
    pid = Message.read(raw, fallback).first("PID")
    assert pid is not None
    assert pid.raw(6) == "X"
    return pid.raw(5)


def message(declared: str, name: bytes) -> bytes:
    return f"{MSH}{declared}\rPID|||1||".encode("ascii") + name + b"|X\rPV1||O\r"


@pytest.mark.parametrize(("declared", "name"), NAMES)
def test_what_is_written_in_a_set_is_read_in_it(declared: str, name: str) -> None:
    text = f"{MSH}{declared}\rPID|||1||{name}|X\rPV1||O\r"
    raw = encode(text, declared)
    assert Message.read(raw).encode() == text
    assert raw == message(declared, encode(name, declared))


@pytest.mark.parametrize(("declared", "name"), [(d, n) for d, n in NAMES if "UNICODE" not in d and "GB" not in d])
def test_text_that_is_not_of_the_set_is_refused_never_replaced(declared: str, name: str) -> None:
    with pytest.raises(Hl7Error) as refused:
        encode(f"{name}\U0001f600", declared)
    assert (refused.value.code, refused.value.location) == ("102", "MSH^1^18")
    assert name not in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "text"), [("8859/1", "Œ"), ("ASCII", "é"), ("", "é"), ("ISO IR14", "山"), ("ISO IR87", "ﾔ")]
)
def test_writing_is_exact_where_reading_is_lenient(declared: str, text: str) -> None:
    with pytest.raises(Hl7Error):
        encode(text, declared)


@pytest.mark.parametrize(
    "declared", ["CNS 11643-1992", "UNICODE UTF-16", "UNICODE UTF-32", "~CNS 11643-1992", "x" * 999]
)
def test_set_that_cannot_be_framed_or_is_unknown_is_refused_both_ways(declared: str) -> None:
    for refuse in (lambda: codecs_of(declared, "~"), lambda: encode("a", declared)):
        with pytest.raises(Hl7Error) as refused:
            refuse()
        assert (refused.value.code, refused.value.location) == ("103", "MSH^1^18")


YAMADA = b"\x1b$B;3ED\x1b(B"
SWITCHED = [
    ("~ISO IR87", YAMADA, "山田"),
    ("~ISO IR87", b"\x1b$@;3ED\x1b(J", "山田"),
    ("ISO IR14~ISO IR87", b"\xd4\xcf\xc0\xde=" + YAMADA, "ﾔﾏﾀﾞ=山田"),
    ("ISO IR14~ISO IR87", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J", "ﾔﾏﾀﾞ=山田^太郎"),
    ("ISO IR14", b"\xd4\xcf=" + YAMADA, "ﾔﾏ=山田"),
    ("~ISO IR87", b"\x1b(ITO\x1b(B", "ﾔﾏ"),
    ("~ISO IR87~ISO IR159", b"\x1b$(D0!\x1b(B", "丂"),
    ("~KS X 1001", b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf", "김희중"),
    ("KS X 1001", b"\x1b$)C\xb1\xe8\xc8\xf1\xc1\xdf", "김희중"),
    ("~ISO IR87", b"\\M2442\\;3ED\\C2842\\", "山田"),
    ("", b"\\M2442\\;3ED\\C2842\\", "山田"),
    ("8859/1", b"\xfc\\M2442\\;3ED\\C2842\\\xfc", "ü山田ü"),
    ("~KS X 1001", b"\\M242943\\\xb1\xe8", "김"),
    ("8859/1~8859/5", b"\xfc\\C2D4C\\\xb8\\C2D41\\\xfc", "üИü"),
    ("~ISO IR87", b"\\M2442\\;3ED\x1b(B\\F\\", "山田\\F\\"),
    ("~8859/1", b"M\xfc", "Mü"),
    ("~UNICODE UTF-8", "Mü王".encode(), "Mü王"),
]


@pytest.mark.parametrize(("declared", "name", "meant"), SWITCHED)
def test_switch_is_obeyed_as_an_escape_sequence_and_spelt_out(declared: str, name: bytes, meant: str) -> None:
    assert read(message(declared, name)) == meant


def test_kanji_whose_bytes_are_delimiters_do_not_split() -> None:
    name = next(
        c for c in map(chr, range(0x4E00, 0x9FFF)) if b"|" in c.encode("iso2022_jp", "ignore").removeprefix(b"\x1b$B")
    )
    assert read(message("~ISO IR87", encode(name, "~ISO IR87"))) == name


def test_delimiters_after_a_switch_to_jis_roman_stay_delimiters() -> None:
    pid = Message.read(message("~ISO IR87", b"\x1b$B;3\x1b(J~A\\T\\B")).first("PID")
    assert pid is not None
    assert (pid.repetitions(5), pid.get(5, repetition=2)) == (2, "A&B")


def test_vendors_characters_of_windows_are_read() -> None:
    # The name Takahashi with the taller first character, as Windows writes it in ISO-2022-JP (row 92).
    assert read(message("~ISO IR87", b"\x1b$B|b66\x1b(B")) == "髙橋"


def test_segment_that_forgets_to_switch_back_does_not_spoil_the_next() -> None:
    raw = f"{MSH}~ISO IR87\rPID|||1||".encode() + YAMADA.removesuffix(b"\x1b(B") + b"\rPV1||O\r"
    visit = Message.read(raw).first("PV1")
    assert visit is not None
    assert visit.get(2) == "O"


@pytest.mark.parametrize(
    "name",
    [
        b"\x1b$B;",
        b"\x1b$B;\xb3\x1b(B",
        b"\x1b%G\xc3\xa4",
        b"\x1b$B\x7f\x7f\x1b(B",
        b"\x1b$(D\x21\x21\x1b(B",
        b"\xfc\xfc",
    ],
)
def test_switched_bytes_of_no_set_are_an_error(name: bytes) -> None:
    with pytest.raises(Hl7Error) as refused:
        Message.read(message("~ISO IR87", name), ())
    assert (refused.value.code, refused.value.location) == ("102", "MSH^1^18")


def test_hexadecimal_may_hold_a_switch() -> None:
    pid = Message.read(message("~ISO IR87", b"\\X1B24423B3345441B2842\\")).first("PID")
    assert pid is not None
    assert pid.get(5) == "山田"


def test_what_spells_no_designation_is_no_switch() -> None:
    assert read(message("8859/1", b"\\M7F7F7F\\\\C0000\\\xfc")) == "\\M7F7F7F\\\\C0000\\ü"


@pytest.mark.parametrize(
    ("names", "written", "meant"),
    [
        (("UNICODE UTF-8", "8859/2"), "Łuczak".encode(), "Łuczak"),
        (("UNICODE UTF-8", "8859/2"), "Łuczak".encode("iso8859_2"), "Łuczak"),
        (("ISO IR14",), "ﾔﾏ".encode("shift_jis"), "ﾔﾏ"),
        (("UNICODE UTF-8", "ISO IR87"), YAMADA, "山田"),
        (("GB 18030-2000",), "王".encode("gb18030"), "王"),
    ],
)
def test_undeclared_message_is_read_by_the_sets_named_for_its_source(
    names: tuple[str, ...], written: bytes, meant: str
) -> None:
    assert read(message("", written), codecs_named(names)) == meant


@pytest.mark.parametrize("name", ["KLINGON", "UNICODE UTF-16", "CNS 11643-1992", "", "utf8mb4"])
def test_unknown_name_of_a_set_is_refused_naming_it(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is no"):
        codecs_named(("8859/1", name))


def test_names_give_each_codec_once_and_in_order() -> None:
    assert codecs_named(("UNICODE UTF-8", "8859/1", "8859-1", "ASCII")) == ("utf-8", "cp1252", "latin-1", "ascii")
    assert codecs_named(()) == ()


DECLARED = sorted({declared for declared, _ in NAMES} | {""})
ALPHABET = "aZ|^~&\\ \rüŁИαש山田丂ﾔ김王功€"


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(DECLARED), st.text(alphabet=ALPHABET, max_size=20))
def test_whatever_can_be_written_reads_back_the_same(declared: str, text: str) -> None:
    try:
        raw = encode(text, declared)
    except Hl7Error as error:
        assert error.code == "102"
        return
    assert decode(raw, codecs_of(declared, "~", ()), "")[0] == text


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(DECLARED), st.lists(st.sampled_from([b"\x1b", b"$B", b"(B", b"\\M2442\\", b"a;", b"\xb1", b"\r"]))
)
def test_any_bytes_are_read_or_refused(declared: str, pieces: list[bytes]) -> None:
    try:
        text, _ = decode(b"".join(pieces), codecs_of(declared, "~"), "\\")
    except Hl7Error as error:
        assert error.code == "102"
    else:
        assert isinstance(text, str)
