"""Kinds of messages, headers, character sets: what is taken at all."""

from dataclasses import replace

import pytest

from broker.orders.messages import TRANSLATORS, header_facts, is_character_set, translate
from broker.orders.model import OrderChange, Refusal
from tests.unit.orders.messages.said import CONTEXT, OBR, ORC, PID, context, message, refused

ORDER = (PID, ORC, OBR)


@pytest.mark.parametrize(
    "version", ["2.2", "2.3", "2.3.1", "2.4", "2.5.1", "2.6", "2.7.1", "2.8", "2.8.2", "2.5.1^DEU"]
)
def test_versions_from_2_2_on_are_read(version: str) -> None:
    assert translate(message(*ORDER, version=version), CONTEXT)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (message(*ORDER, kind="ORU^R01"), ("AR", "200", "MSH^1^9")),
        (message(*ORDER, kind="ORM^O99"), ("AR", "201", "MSH^1^9")),
        (message(PID, kind="ADT^A60"), ("AR", "201", "MSH^1^9")),
        (message(*ORDER, version="2.1"), ("AR", "203", "MSH^1^12")),
        (message(*ORDER, version=""), ("AR", "203", "MSH^1^12")),
        (message(*ORDER, processing="T"), ("AR", "202", "MSH^1^11")),
        (message(*ORDER).replace(b"|M1|", b"||"), ("AR", "101", "MSH^1^10")),
        (message(*ORDER).replace(b"UNICODE UTF-8", b"KLINGON"), ("AR", "103", "MSH^1^18")),
        (message(*ORDER, kind="ORU^R01").replace(b"UNICODE UTF-8", b"KLINGON"), ("AR", "200", "MSH^1^9")),
        (message(*ORDER).replace(b"Jane", b"J\xe4ne"), ("AE", "102", "MSH^1^18")),
        (b"FHS|^~\\&|\r" + message(*ORDER), ("AR", "200", "")),
        (b"PID|||1\r", ("AR", "100", "MSH^1")),
        (message(*ORDER) + message(*ORDER), ("AE", "100", "MSH^2")),
    ],
)
def test_what_cannot_be_taken_is_refused_by_table_0357(raw: bytes, expected: tuple[str, str, str]) -> None:
    assert refused(raw) == expected


def test_wrong_processing_id_is_answered_with_both_sides_of_the_mistake() -> None:
    with pytest.raises(Refusal) as caught:
        translate(message(*ORDER, processing="T"), CONTEXT)
    assert caught.value.text == ("MSH-11, the processing id, is T, and the environment test takes P from this sender")


def test_empty_processing_id_is_taken_only_where_the_source_lists_it() -> None:
    raw = message(*ORDER, processing="")
    assert refused(raw) == ("AR", "202", "MSH^1^11")
    assert translate(raw, context(processing_ids=("P", "")))


def test_order_without_event_is_an_order() -> None:
    assert translate(message(*ORDER, kind="ORM", version="2.2"), CONTEXT)


@pytest.mark.parametrize(
    ("character_sets", "expected"), [((), "D\u0159e"), (("8859/2",), "D\u0159e"), (("8859/1",), "D\u00f8e")]
)
def test_source_s_character_sets_are_tried_where_none_is_declared(
    character_sets: tuple[str, ...], expected: str
) -> None:
    text = message(*ORDER).decode().replace("UNICODE UTF-8", "").replace("Doe", "D\u0159e")
    raw = text.encode("utf-8" if not character_sets else "iso8859_2")
    (change,) = translate(raw, context(character_sets=character_sets))
    assert isinstance(change, OrderChange)
    assert change.order.patient.patient_name == f"{expected}^Jane"


def test_character_sets_are_known_by_their_names() -> None:
    assert is_character_set("8859/2")
    assert is_character_set("UNICODE UTF-8")
    assert not is_character_set("KLINGON")


def test_header_says_who_sent_what() -> None:
    facts = header_facts(message(*ORDER))
    assert (facts.sending_application, facts.sending_facility) == ("RIS", "HOSP")
    assert (facts.receiving_application, facts.receiving_facility) == ("BROKER", "RAD")
    assert (facts.message_type, facts.control_id, facts.processing_id) == ("ORM^O01", "M1", "P")
    assert facts.readable
    assert not facts.acknowledgement


def test_header_s_components_are_divided_by_carets_whatever_the_sender_uses() -> None:
    facts = header_facts(b"MSH|$~\\&|RIS$1.2$ISO|HOSP|||||ORM$O01|M1|P|2.3.1\r")
    assert facts.sending_application == "RIS^1.2^ISO"


def test_same_message_sent_again_with_a_new_time_has_the_same_digest() -> None:
    first = message(*ORDER)
    again = first.replace(b"20260131102233+0100", b"20260131102299")
    assert header_facts(first).payload_sha256 == header_facts(again).payload_sha256
    assert header_facts(first).payload_sha256 != header_facts(first.replace(b"Jane", b"Joan")).payload_sha256
    assert header_facts(first).payload_sha256 != header_facts(first.replace(b"|M1|", b"|M2|")).payload_sha256


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"MSH", b"MSH|", b"PID|1\rMSH|^~\\&|A\r"])
def test_header_of_any_bytes_is_read_without_an_error(raw: bytes) -> None:
    assert header_facts(raw).payload_sha256 or not header_facts(raw).readable


def test_every_message_that_is_promised_has_its_translator() -> None:
    adt = "A01 A02 A03 A04 A05 A06 A07 A08 A10 A11 A12 A13 A18 A23 A24 A28 A31 A34 A37 A38 A39 A40 A41 A42 A43 A44 A45"
    expected = {("ADT", event) for event in f"{adt} A46 A47 A49 A50".split()}
    expected |= {("SIU", event) for event in ("S12", "S13", "S14", "S15", "S17", "S26")}
    assert expected | {("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19")} <= TRANSLATORS.keys()


def test_environment_is_named_by_its_own_name() -> None:
    with pytest.raises(Refusal, match="environment production"):
        translate(message(*ORDER, processing="D"), replace(CONTEXT, environment="production"))
