"""Delimiters, escapes and every row of the table of character sets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.encoding import Delimiters, codecs_of, escape, unescape
from hl7.errors import Hl7Error
from hl7.message import Message

USUAL = Delimiters()
MSH = "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ORM^O01|1|P|2.3.1||||||"

DECLARED = [
    # MSH-18, codec the sender writes by, a name only that set has
    ("", "ascii", "Muster"),
    ("ASCII", "ascii", "Muster"),
    ("8859/1", "latin-1", "Müßig"),
    ("8859/2", "iso8859_2", "Łuczak"),
    ("8859/3", "iso8859_3", "Ħamrun"),
    ("8859/4", "iso8859_4", "Ģirts"),
    ("8859/5", "iso8859_5", "Иванов"),
    ("8859/6", "iso8859_6", "محمد"),
    ("8859/7", "iso8859_7", "Γεωργία"),
    ("8859/8", "iso8859_8", "שלום"),
    ("8859/9", "iso8859_9", "Şahin"),
    ("8859/15", "iso8859_15", "Œuvre"),
    ("ISO IR14", "shift_jis", "ﾔﾏﾀﾞ"),
    ("ISO IR87", "iso2022_jp", "山田"),
    ("~ISO IR87", "iso2022_jp", "山田"),
    ("ISO IR159", "iso2022_jp_2", "山田"),
    ("~ISO IR87~ISO IR159", "iso2022_jp_2", "山田丂"),
    ("GB 18030-2000", "gb18030", "王小东"),
    ("KS X 1001", "euc_kr", "김희중"),
    ("BIG-5", "big5", "功許"),
    ("UNICODE", "utf-8", "Müßig王"),
    ("UNICODE UTF-8", "utf-8", "Müßig王"),
    ("ISO-8859-1", "latin-1", "Müßig"),
    ("utf-8", "utf-8", "Müßig王"),
]


@pytest.mark.parametrize(("declared", "codec", "name"), DECLARED)
def test_name_is_read_in_the_declared_character_set(declared: str, codec: str, name: str) -> None:
    raw = f"{MSH}{declared}\rPID|||1||{name}^X\r".encode(codec)
    message = Message.read(raw)
    pid = message.first("PID")
    assert pid is not None
    assert pid.get(5) == name
    assert pid.get(5, 2) == "X"


@pytest.mark.parametrize("declared", ["CNS 11643-1992", "UNICODE UTF-16", "UNICODE UTF-32", "KLINGON", "~KLINGON"])
def test_unsupported_character_set_is_refused_at_msh_18(declared: str) -> None:
    with pytest.raises(Hl7Error) as refused:
        Message.read(f"{MSH}{declared}\rPID|||1\r".encode("ascii"))
    assert (refused.value.code, refused.value.location) == ("103", "MSH^1^18")


@pytest.mark.parametrize(
    ("declared", "name"),
    [("UNICODE UTF-8", b"M\xfcller"), ("ISO IR87", b"\xfc\xfc"), ("GB 18030-2000", b"\xff"), ("8859/8", b"\xff")],
)
def test_bytes_of_another_set_are_an_error_never_replaced(declared: str, name: bytes) -> None:
    with pytest.raises(Hl7Error) as refused:
        Message.read(MSH.encode() + declared.encode() + b"\rPID|||1||" + name + b"\r")
    assert (refused.value.code, refused.value.location) == ("102", "MSH^1^18")


def test_undeclared_message_falls_back_in_the_given_order() -> None:
    def name(written: bytes, fallback: tuple[str, ...]) -> str:
        pid = Message.read(MSH.encode() + b"\rPID|||1||" + written + b"\r", fallback).first("PID")
        assert pid is not None
        return pid.get(5)

    assert name("Müßig".encode(), ("utf-8", "cp1252")) == "Müßig"
    assert name("Müßig".encode("cp1252"), ("utf-8", "cp1252")) == "Müßig"
    assert name("Łuczak".encode("iso8859_2"), ("utf-8", "iso8859_2")) == "Łuczak"
    with pytest.raises(Hl7Error, match="character set"):
        name("Müßig".encode("cp1252"), ("utf-8",))


def test_declared_latin_1_that_means_windows_is_read_as_windows() -> None:
    assert codecs_of("8859/1", "~") == ("cp1252", "latin-1")
    pid = Message.read(f"{MSH}8859/1\rPID|||1||Œuvre\r".encode("cp1252")).first("PID")
    assert pid is not None
    assert pid.get(5) == "Œuvre"


@pytest.mark.parametrize(("declared", "codec", "name"), [("ISO IR14", "shift_jis", "表ポ"), ("BIG-5", "big5", "功許")])
def test_trail_bytes_that_equal_delimiters_do_not_split(declared: str, codec: str, name: str) -> None:
    assert any(byte in name.encode(codec) for byte in b"|^\\~&")
    pid = Message.read(f"{MSH}{declared}\rPID|||1||{name}^{name}|X\r".encode(codec)).first("PID")
    assert pid is not None
    assert (pid.get(5), pid.get(5, 2), pid.get(6)) == (name, name, "X")


def test_gb18030_trail_byte_equal_to_the_field_separator_does_not_split() -> None:
    name = next(c for c in map(chr, range(0x4E00, 0x9FFF)) if c.encode("gb18030")[-1:] == b"|")
    pid = Message.read(f"{MSH}GB 18030-2000\rPID|||1||{name}^X|M\r".encode("gb18030")).first("PID")
    assert pid is not None
    assert (pid.get(5), pid.get(6)) == (name, "M")


def test_iso_2022_segment_that_forgets_to_switch_back_does_not_spoil_the_next() -> None:
    yamada = "山田".encode("iso2022_jp").removesuffix(b"\x1b(B")
    message = Message.read(f"{MSH}~ISO IR87\rPID|||1||".encode() + yamada + b"\rPV1||O\r")
    pid, visit = message.first("PID"), message.first("PV1")
    assert pid is not None
    assert visit is not None
    assert (pid.get(5), visit.get(2)) == ("山田", "O")


def test_spelt_out_character_set_switches_are_obeyed() -> None:
    body = "山田".encode("iso2022_jp")
    spelt = body.replace(b"\x1b$B", b"\\M2442\\").replace(b"\x1b(B", b"\\C2842\\")
    pid = Message.read(f"{MSH}~ISO IR87\rPID|||1||".encode() + spelt + b"^X\r").first("PID")
    assert pid is not None
    assert (pid.get(5), pid.get(5, 2)) == ("山田", "X")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b", "a|b"),
        (r"a\S\b", "a^b"),
        (r"O\T\Neil", "O&Neil"),
        (r"a\R\b", "a~b"),
        (r"a\E\b", "a\\b"),
        (r"\X41\\X4243\!", "ABC!"),
        (r"\XC3\\XA4\ ", "ä "),
        (r"\X0D\ ", "\r "),
        (r"\X00\ ", "\0 "),
        (r"\XFF\ ", r"\XFF\ "),
        (r"\X4\ ", r"\X4\ "),
        (r"\XZZ\ ", r"\XZZ\ "),
        (r"a\.br\b", "a\nb"),
        (r"a\.sp\b", "a\nb"),
        (r"a\.sp3\b", "a\n\n\nb"),
        (r"a\.sp+2\b", "a\n\nb"),
        (r"a\.sp 2\b", "a\n\nb"),
        (r"a\.sk 3\b", "a   b"),
        (r"\.in+4\\.ti-2\\.fi\\.nf\\.ce\a", "a"),
        (r"\H\a\N\ ", "a "),
        (r"\C2842\a\M2442\b", "ab"),
        (r"\Z01\ ", r"\Z01\ "),
        (r"\Q\F\R\ ", "\\Q\\F~ "),
        (r"\P\ ", r"\P\ "),
        (r"a\b", r"a\b"),
        (r"a\F", r"a\F"),
        ("\\", "\\"),
        (r"\\", r"\\"),
        (r"\.xx\ ", r"\.xx\ "),
    ],
)
def test_escape_sequence_is_resolved(written: str, meant: str) -> None:
    assert unescape(written, USUAL, "utf-8") == meant


def test_flood_of_blank_lines_from_few_bytes_is_bounded() -> None:
    assert len(unescape(r"\.sp99999\ ".strip(), USUAL, "utf-8")) == 100


def test_truncation_character_has_its_sequence_where_it_is_in_use() -> None:
    later = Delimiters.of("|", "^~\\&#")
    assert unescape(r"a\P\b", later, "utf-8") == "a#b"
    assert escape("a#b", later) == r"a\P\b"
    assert escape("a#b", USUAL) == "a#b"


@pytest.mark.parametrize(
    ("encoding_characters", "expected"),
    [
        ("^~\\&", ("^", "~", "\\", "&", "")),
        ("^~\\&#", ("^", "~", "\\", "&", "#")),
        ("", ("^", "~", "\\", "&", "")),
        ("^", ("^", "", "", "", "")),
        ("^^^^", ("^", "", "", "", "")),
        ("|~\\&", ("", "~", "\\", "&", "")),
        ("AB 1", ("", "", "", "", "")),
        ("\x01\x02\\&", ("", "", "\\", "&", "")),
        ("^~\\&#%$!", ("^", "~", "\\", "&", "#")),
    ],
)
def test_unusable_encoding_characters_are_not_in_use(encoding_characters: str, expected: tuple[str, ...]) -> None:
    found = Delimiters.of("|", encoding_characters)
    assert (found.component, found.repetition, found.escape, found.subcomponent, found.truncation) == expected
    completed = found.completed()
    assert len(set(completed.field + completed.encoding_characters)) == len(completed.encoding_characters) + 1


@settings(deadline=None, max_examples=60)
@given(st.text(), st.sampled_from(["^~\\&", "^~\\&#", "$%!*", "&\\~^", "^~"]))
def test_escaped_text_reads_back_the_same(text: str, encoding_characters: str) -> None:
    delimiters = Delimiters.of("|", encoding_characters).completed()
    escaped = escape(text, delimiters)
    assert unescape(escaped, delimiters, "utf-8") == text
    assert not set(escaped) & set("|\r\n" + delimiters.component + delimiters.repetition + delimiters.subcomponent)


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="\\XFSTREHNPCMZ.spbrkin0123456789 aé|^", max_size=60))
def test_no_text_breaks_the_reading_of_escapes(text: str) -> None:
    assert isinstance(unescape(text, USUAL, "utf-8"), str)
    assert isinstance(unescape(text, USUAL, "iso2022_jp"), str)
