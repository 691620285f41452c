"""MSH before decoding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.header import is_batch, read_batch_header, read_header
from tests.unit.hl7.orders import ORDER, header_of

BATCH = (
    b"FHS|^~\\&|RIS|HOSP|BROKER|RAD|20260131||F1||FILE7\r"
    b"BHS|^~\\&|RIS|HOSP|BROKER|RAD|20260131\r"
    b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131||ADT^A01|MSG1|P|2.5\rPID|||1\rBTS|1\rFTS|1\r"
)


def test_header_fields_are_numbered_as_in_the_standard() -> None:
    header = header_of(ORDER)
    assert header.sending_application == "RIS"
    assert header.sending_facility == "HOSP"
    assert header.receiving_application == "BROKER"
    assert header.receiving_facility == "RAD"
    assert header.date_time == "20260131102233+0100"
    assert (header.message_code, header.trigger, header.structure) == ("ORM", "O01", "")
    assert (header.control_id, header.control_id_raw) == ("MSG0001", b"MSG0001")
    assert (header.processing_id, header.version, header.character_set) == ("P", "2.3.1", "8859/1")
    assert (header.accept_acknowledgement, header.application_acknowledgement) == ("", "")
    assert (header.raw(1), header.raw(2), header.raw(18), header.raw(19), header.raw(0)) == (
        b"|",
        b"^~\\&",
        b"8859/1",
        b"",
        b"",
    )
    assert not header.is_acknowledgement


def test_modes_and_components_are_read_apart() -> None:
    header = header_of(b"MSH|^~\\&|A^1.2^ISO||||2026^S||OMI^O23^OMI_O23|1|P^T|2.5.1^DEU|||AL|NE")
    assert header.sending_application == "A^1.2^ISO"
    assert (header.date_time, header.structure) == ("2026", "OMI_O23")
    assert (header.processing_id, header.version) == ("P", "2.5.1")
    assert (header.accept_acknowledgement, header.application_acknowledgement) == ("AL", "NE")


@pytest.mark.parametrize("terminator", [b"\r", b"\n", b"\r\n", b"\r\r", b"\n\r\n"])
@pytest.mark.parametrize("lead", [b"", b" ", b"\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b"\0\t", b"\x0b"])
def test_terminators_and_leading_blanks_do_not_matter(lead: bytes, terminator: bytes) -> None:
    header = header_of(lead + ORDER.replace(b"\r", terminator))
    assert (header.control_id_raw, header.character_set) == (b"MSG0001", "8859/1")


def test_control_id_is_byte_exact() -> None:
    assert header_of(b"MSH|^~\\&|||||||ADT^A01| m\xfc^~\\& 1 |P\r").control_id_raw == b" m\xfc^~\\& 1 "
    assert header_of(b"MSH|^~\\&|||||||ADT^A01|last \r\nPID|1").control_id_raw == b"last "


def test_other_delimiters_are_taken_from_msh() -> None:
    header = header_of(b"MSH$%*!?$RIS$$$$$$ADT%A08$7$P$2.5")
    assert (header.message_code, header.trigger, header.control_id) == ("ADT", "A08", "7")
    assert header.delimiters.field == "$"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"M",
        b"MSH",
        b"msh|^~\\&|RIS",
        b"EVN|A01\rMSH|^~\\&|RIS",
        b"MSHA^~\\&A",
        b"MSH ^~\\& RIS",
        b"MSH\x01^~\\&\x01RIS",
        b"MSH\xa7^~\\&",
        "MSH|^~\\&|RIS".encode("utf-16"),
        b"GET / HTTP/1.1\r\n",
        b"\0" * 100_000,
    ],
)
def test_what_has_no_usable_msh_has_no_header(raw: bytes) -> None:
    assert read_header(raw) is None


@pytest.mark.parametrize("raw", [b"MSH|", b"MSH|^~\\&", b"MSH||RIS", b"MSH||||||||||||||||||||", b"MSH|^^^^|RIS|"])
def test_short_or_empty_header_is_still_one(raw: bytes) -> None:
    header = header_of(raw)
    assert header.control_id_raw == b""
    assert header.message_code == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"MSH|^~\\&|||||||ACK^O01|1|P|2.3.1\rMSA|AA|7",
        b"MSH|^~\\&|||||||ACK|1|P|2.3.1",
        b"MSH|^~\\&|||||||ORR^O02|1|P|2.3.1\r\n\r\nMSA|AA|7",
    ],
)
def test_acknowledgement_is_recognised(raw: bytes) -> None:
    assert header_of(raw).is_acknowledgement


def test_batch_is_recognised_and_can_be_refused_by_its_own_control_id() -> None:
    assert is_batch(BATCH)
    assert is_batch(b"\r\n BHS|^~\\&|")
    assert not is_batch(ORDER)
    assert read_header(BATCH) is None
    header = read_batch_header(BATCH)
    assert header is not None
    assert (header.sending_application, header.control_id_raw) == ("RIS", b"FILE7")
    assert (header.processing_id, header.version, header.message_code) == ("P", "2.5", "")
    assert read_batch_header(ORDER) is None


def test_batch_without_control_id_is_refused_by_its_first_message() -> None:
    header = read_batch_header(BATCH.replace(b"||F1||FILE7", b""))
    assert header is not None
    assert header.control_id_raw == b"MSG1"
    alone = read_batch_header(b"BHS|")
    assert alone is not None
    assert alone.control_id_raw == b""


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=200), st.sampled_from([b"", b"MSH", b"MSH|", b"MSH|^~\\&|", b"FHS|", b"\xef\xbb\xbfMSH|"]))
def test_no_bytes_break_the_reading_of_a_header(tail: bytes, lead: bytes) -> None:
    read_header(lead + tail)
    read_batch_header(lead + tail)
    is_batch(lead + tail)
