"""Acknowledgements, built and read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.errors import Hl7Error, Unreadable
from hl7.header import read_header
from hl7.message import Message
from hl7.reply import ERROR_NAMES, Acknowledgement, ReplyError, acknowledge, read_acknowledgement
from tests.unit.hl7.orders import ORDER, header_of

NOW = datetime(2026, 1, 31, 10, 22, 34, tzinfo=timezone(timedelta(hours=1)))
OMI = ORDER.replace(b"ORM^O01|MSG0001|P|2.3.1||||||8859/1", b"OMI^O23^OMI_O23|MSG0002|P|2.5.1||||||UNICODE UTF-8")


def test_positive_answer_is_the_standards() -> None:
    assert acknowledge(header_of(ORDER), "AA", NOW, "B000001") == (
        b"MSH|^~\\&|BROKER|RAD|RIS|HOSP|20260131102234+0100||ACK^O01|B000001|P|2.3.1||||||8859/1\rMSA|AA|MSG0001\r"
    )


def test_negative_answer_of_2_5_locates_with_repetition() -> None:
    error = ReplyError("102", "IPC^1^1^1", "Accession number exceeds 16 characters")
    assert acknowledge(header_of(OMI), "AE", NOW, "B000002", error, text="Accession number too long") == (
        b"MSH|^~\\&|BROKER|RAD|RIS|HOSP|20260131102234+0100||ACK^O23^ACK|B000002|P|2.5.1||||||UNICODE UTF-8\r"
        b"MSA|AE|MSG0002|Accession number too long\r"
        b"ERR||IPC^1^1^1^1|102^Data type error^HL70357|E||||Accession number exceeds 16 characters\r"
    )


def test_negative_answer_before_2_5_has_one_field() -> None:
    answer = acknowledge(header_of(ORDER), "AE", NOW, "B3", ReplyError("101", "PID^1^3^1", "no patient identifier"))
    assert answer.endswith(b"MSA|AE|MSG0001|no patient identifier\rERR|PID^1^3^101&Required field missing&HL70357\r")


@pytest.mark.parametrize(
    ("version", "message_type", "located"),
    [
        ("", "ACK^O01", False),
        ("2", "ACK^O01", False),
        ("2.1", "ACK^O01", False),
        ("2.3", "ACK^O01", False),
        ("2.3.1", "ACK^O01", False),
        ("2.4", "ACK^O01^ACK", False),
        ("2.5", "ACK^O01^ACK", True),
        ("2.5.1", "ACK^O01^ACK", True),
        ("2.8^DEU", "ACK^O01^ACK", True),
        ("2.10", "ACK^O01^ACK", True),
        ("new", "ACK^O01", False),
        ("2.x", "ACK^O01", False),
    ],
)
def test_layout_follows_the_version(version: str, message_type: str, located: bool) -> None:
    raw = ORDER.replace(b"|2.3.1|", f"|{version}|".encode())
    answer = acknowledge(header_of(raw), "AE", NOW, "B", ReplyError("103", "ORC^2^1"))
    message = Message.read(answer)
    err = message.first("ERR")
    assert err is not None
    assert message.segments[0].raw(9) == message_type
    assert message.segments[0].raw(12) == version
    assert (err.raw(2), err.raw(1)) == (
        ("ORC^2^1", "") if located else ("", "ORC^2^1^103&Table value not found&HL70357")
    )


@pytest.mark.parametrize("code", ERROR_NAMES)
@pytest.mark.parametrize("raw", [ORDER, OMI])
def test_every_error_is_named_and_reads_back(code: str, raw: bytes) -> None:
    answer = acknowledge(header_of(raw), "AR", NOW, "B", ReplyError(code, "PID^1^3", "why"))
    found = read_acknowledgement(answer)
    text = "why" if raw is OMI else ERROR_NAMES[code]
    assert (found.code, found.text, found.errors) == ("AR", "why", (ReplyError(code, "PID^1^3", text),))
    assert ERROR_NAMES[code].encode() in answer


@pytest.mark.parametrize("raw", [ORDER, OMI])
def test_error_without_a_place_reads_back(raw: bytes) -> None:
    found = read_acknowledgement(acknowledge(header_of(raw), "AR", NOW, "B", ReplyError("207", "", "busy")))
    assert (found.errors[0].code, found.errors[0].location) == ("207", "")


def test_sent_back_fields_are_byte_exact() -> None:
    raw = b"MSH|^~\\&|A\xfc^1.2^ISO|B\\F\\|C|D|2026||ADT^A08| m\xfc ~1\\X41\\ |P^T|2.3^DEU||||||8859/1\rPID|||1\r"
    answer = acknowledge(header_of(raw), "AA", NOW, "B1")
    lines = answer.split(b"\r")
    assert lines[0].startswith(b"MSH|^~\\&|C|D|A\xfc^1.2^ISO|B\\F\\|2026")
    assert lines[0].endswith(b"|B1|P^T|2.3^DEU||||||8859/1")
    assert lines[1] == b"MSA|AA| m\xfc ~1\\X41\\ "


def test_senders_delimiters_are_used_and_texts_escaped_by_them() -> None:
    raw = b"MSH$%*!?$RIS$HOSP$B$R$2026$$ADT%A08$5$P$2.5\rPID$1\r"
    answer = acknowledge(header_of(raw), "AE", NOW, "B1", ReplyError("101", "PID^1^3", "50% of $|^"))
    assert answer.startswith(b"MSH$%*!?$B$R$RIS$HOSP$")
    assert b"ERR$$PID%1%3$101%Required field missing%HL70357$E$$$$50!S! of !F!|^\r" in answer
    assert read_acknowledgement(answer).errors[0].text == "50% of $|^"


@pytest.mark.parametrize("msh_2", [b"", b"^", b"^^^^", b"ABC", b"&"])
def test_missing_encoding_characters_are_completed(msh_2: bytes) -> None:
    answer = acknowledge(
        header_of(b"MSH|" + msh_2 + b"|A|B|C|D|||ORM|5|P|2.5\r"), "AR", NOW, "B1", ReplyError("200", "MSH^1^9")
    )
    found = read_acknowledgement(answer)
    assert (found.control_id, found.errors) == ("5", (ReplyError("200", "MSH^1^9"),))


def test_text_is_written_in_the_senders_set_where_that_has_it() -> None:
    assert "übel".encode() in acknowledge(header_of(OMI), "AE", NOW, "B", text="übel")
    assert "übel".encode("latin-1") in acknowledge(header_of(ORDER), "AE", NOW, "B", text="übel")
    japanese = header_of(ORDER.replace(b"8859/1", b"~ISO IR87"))
    assert acknowledge(japanese, "AE", NOW, "B", text="山").endswith(b"|\x1b$B;3\x1b(B\r")


def test_character_that_the_senders_set_does_not_have_is_spelt_out() -> None:
    assert acknowledge(header_of(ORDER), "AE", NOW, "B", text="Œ").endswith(b"|U+0152\r")
    undeclared = header_of(ORDER.replace(b"8859/1", b""))
    assert acknowledge(undeclared, "AE", NOW, "B", text="übel").endswith(b"|U+00FCbel\r")


def test_warnings_have_a_segment_each_from_2_5_on_and_the_text_alone_before() -> None:
    warnings = ("taken, but older than what is known", "canceled before it was ordered")
    later = acknowledge(header_of(OMI), "AA", NOW, "B", warnings=warnings)
    assert later.split(b"\r", 1)[1] == (
        b"MSA|AA|MSG0002|taken, but older than what is known; canceled before it was ordered\r"
        b"ERR|||0^Message accepted^HL70357|W||||taken, but older than what is known\r"
        b"ERR|||0^Message accepted^HL70357|W||||canceled before it was ordered\r"
    )
    assert [error.severity for error in read_acknowledgement(later).errors] == ["W", "W"]
    earlier = acknowledge(header_of(ORDER), "AA", NOW, "B", warnings=warnings[:1])
    assert earlier.endswith(b"\rMSA|AA|MSG0001|taken, but older than what is known\r")


def test_error_and_warning_stand_beside_each_other() -> None:
    error = ReplyError("101", "PID^1^3", "missing")
    later = read_acknowledgement(acknowledge(header_of(OMI), "AE", NOW, "B", error, warnings=("and more",)))
    assert [(each.code, each.severity, each.text) for each in later.errors] == [
        ("101", "E", "missing"),
        ("0", "W", "and more"),
    ]
    earlier = acknowledge(header_of(ORDER), "AE", NOW, "B", error, warnings=("and more",))
    assert earlier.count(b"ERR|") == 1


@pytest.mark.parametrize("code", ["CA", "CE", "CR"])
def test_accept_level_is_written_like_any_other(code: str) -> None:
    assert read_acknowledgement(acknowledge(header_of(ORDER), code, NOW, "B")).code == code


def test_character_set_we_cannot_write_is_not_claimed() -> None:
    header = header_of(ORDER.replace(b"8859/1", b"UNICODE UTF-16"))
    answer = acknowledge(header, "AR", NOW, "B", ReplyError("103", "MSH^1^18", "not supported"))
    assert answer.split(b"\r")[0].endswith(b"|P|2.3.1")


def test_line_breaks_in_a_text_do_not_break_the_answer() -> None:
    answer = acknowledge(header_of(ORDER), "AE", NOW, "B", text="a\rb\nc\x1c\x0b")
    assert len(answer.split(b"\r")) == 3
    assert read_acknowledgement(answer).text == "a\rb\nc\x1c\x0b"


def test_sent_back_control_id_cannot_end_the_frame() -> None:
    header = header_of(b"MSH|^~\\&|A|B|C|D|||ORM|5\x1c|P\x1c|2.5\x1c\r")
    answer = acknowledge(header, "AA", NOW, "B")
    assert b"\x1c\r" not in answer
    assert b"MSA|AA|5\x1c|" in answer


def test_missing_control_id_leaves_msa_2_empty() -> None:
    answer = acknowledge(header_of(b"MSH|^~\\&|A"), "AR", NOW, "B", ReplyError("101", "MSH^1^10", "no control id"))
    assert read_acknowledgement(answer).control_id == ""
    assert b"||ACK|B\r" in answer


def test_hl7apy_reads_our_answers() -> None:
    for raw in (ORDER, OMI):
        answer = acknowledge(header_of(raw), "AE", NOW, "B9", ReplyError("101", "PID^1^3", "missing"))
        theirs = parse_message(answer.decode("ascii"), find_groups=False)
        assert theirs.msa.msa_1.to_er7() == "AE"
        assert theirs.msa.msa_2.to_er7() == header_of(raw).control_id
        assert theirs.msh.msh_10.to_er7() == "B9"


def test_answer_without_msa_is_none() -> None:
    with pytest.raises(Hl7Error, match="MSA"):
        read_acknowledgement(b"MSH|^~\\&|A\r")
    with pytest.raises(Unreadable):
        read_acknowledgement(b"MSA|AA|1\r")


def test_foreign_answer_is_read() -> None:
    raw = (
        b"MSH|^~\\&|R|F|A|B|2026||ACK|9|P|2.3\nMSA|AE|77|nope\n"
        b"ERR|PID^1^5^101&Required field missing&HL70357~OBR^2^4^103&Table value not found&HL70357\n"
    )
    assert read_acknowledgement(raw) == Acknowledgement(
        "AE",
        "77",
        "nope",
        (ReplyError("101", "PID^1^5", "Required field missing"), ReplyError("103", "OBR^2^4", "Table value not found")),
    )


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=120), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_whatever_has_a_header_gets_one_well_formed_answer(tail: bytes, text: str) -> None:
    header = read_header(b"MSH|" + tail)
    if header is None:
        return
    answer = acknowledge(header, "AE", datetime.now(UTC), "B1", ReplyError("101", "PID^1^3", text), text=text)
    assert b"\x1c\r" not in answer
    lines = answer.split(b"\r")
    assert [line[:3] for line in lines] == [b"MSH", b"MSA", b"ERR", b""]
    assert (lines[1] + b"||").split(b"|")[2] == header.control_id_raw


def test_an_answer_whose_text_is_not_of_its_set_is_heard() -> None:
    raw = b"MSH|^~\\&|BROKER|RAD|\\M2442\\RIS|HOSP|20260131102234+0000||ACK^O01|B1|P|2.3.1||||||8859/1\rMSA|AA|M1\r"
    assert read_acknowledgement(raw).code == "AA"
    other = b"MSH|^~\\&|A|B|C|D|20260131||ACK|B1|P|2.5||||||UNICODE UTF-8\rMSA|AE|M1|nicht m\xf6glich\r"
    assert (read_acknowledgement(other).code, read_acknowledgement(other).control_id) == ("AE", "M1")
