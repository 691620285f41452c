import random
from io import BytesIO

import pytest
from pynetdicom.dsutils import decode as decode_data_set

from broker.dimse import message
from broker.dimse.items import InvalidPdu
from broker.dimse.message import CommandField, Element
from broker.dimse.service import NormalizedRequest


def test_second_opinion_reads_our_store_request() -> None:
    encoded = message.store_request(7, "1.2.840.10008.5.1.4.1.1.6.1", "1.2.3")
    theirs = decode_data_set(BytesIO(encoded), True, True)
    assert theirs.CommandField == 1
    assert theirs.MessageID == 7
    assert theirs.AffectedSOPInstanceUID == "1.2.3"
    assert theirs.CommandGroupLength == len(encoded) - 12


def test_response_names_what_it_answers() -> None:
    request = message.decode(message.store_request(7, "1.2.3", "1.2.3.4"))
    response = message.decode(message.response(request, 0xA700, error_comment="x" * 100))
    assert response.field == CommandField.C_STORE_RQ | message.RESPONSE
    assert response.number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 7
    assert response.number(Element.STATUS) == 0xA700
    assert response.text(Element.ERROR_COMMENT) == "x" * 64
    assert (response.sop_class_uid, response.sop_instance_uid) == ("1.2.3", "1.2.3.4")
    assert not response.has_data_set


@pytest.mark.parametrize("sop_class_uid", ["", "1.2", "1.2.3"])
@pytest.mark.parametrize("sop_instance_uid", ["", "1.2", "1.2.3"])
@pytest.mark.parametrize("has_data_set", [False, True])
def test_a_plain_response_is_what_its_elements_encode_to(
    sop_class_uid: str, sop_instance_uid: str, has_data_set: bool
) -> None:
    request = message.decode(message.store_request(7, sop_class_uid, sop_instance_uid))
    uids = {Element.AFFECTED_SOP_CLASS_UID: sop_class_uid, Element.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid}
    assert message.response(request, 0xB000, has_data_set=has_data_set) == message.encode(
        {
            **{element: uid for element, uid in uids.items() if uid},
            Element.COMMAND_FIELD: CommandField.C_STORE_RQ | message.RESPONSE,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: 7,
            Element.COMMAND_DATA_SET_TYPE: message.DATA_SET if has_data_set else message.NO_DATA_SET,
            Element.STATUS: 0xB000,
        }
    )


def test_comment_outside_the_default_repertoire_is_made_sendable() -> None:
    request = message.decode(message.echo_request(1, "1.2"))
    response = message.decode(message.response(request, 0xC000, error_comment="ä\nb"))
    assert response.text(Element.ERROR_COMMENT) == "?\\b"


@pytest.mark.parametrize(
    ("command", "of_class", "of_instance"),
    [
        (CommandField.N_CREATE_RQ, Element.AFFECTED_SOP_CLASS_UID, Element.AFFECTED_SOP_INSTANCE_UID),
        (CommandField.N_EVENT_REPORT_RQ, Element.AFFECTED_SOP_CLASS_UID, Element.AFFECTED_SOP_INSTANCE_UID),
        (CommandField.N_SET_RQ, Element.REQUESTED_SOP_CLASS_UID, Element.REQUESTED_SOP_INSTANCE_UID),
        (CommandField.N_ACTION_RQ, Element.REQUESTED_SOP_CLASS_UID, Element.REQUESTED_SOP_INSTANCE_UID),
    ],
)
def test_normalized_requests_use_the_elements_of_their_command(
    command: CommandField, of_class: Element, of_instance: Element
) -> None:
    values = message.normalized_values(NormalizedRequest(command, "1.2", "1.2.3", type_id=1))
    assert (values[of_class], values[of_instance]) == ("1.2", "1.2.3")


def test_group_length_may_be_wrong_or_missing_and_order_does_not_matter() -> None:
    whole = message.echo_request(1, "1.2.840.10008.1.1")
    assert message.decode(whole[12:]).message_id == 1
    assert message.decode(whole[:8] + b"\xff\xff\xff\xff" + whole[12:]).message_id == 1
    assert message.decode(whole[-10:] + whole[12:-10]).message_id == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\x08\0\0\0\0\0\0\0", b"\0\0\0\0\xff\xff\xff\xff"])
def test_what_is_no_command_set_is_invalid(content: bytes) -> None:
    with pytest.raises(InvalidPdu):
        message.decode(content)


def test_mutated_command_sets_decode_or_are_invalid_and_nothing_else() -> None:
    chance = random.Random(14)
    whole = message.store_request(7, "1.2.840.10008.5.1.4.1.1.6.1", "1.2.3.4")
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            command = message.decode(bytes(content))
        except InvalidPdu:
            continue
        assert len(message.response(command, 0)) < 400


@pytest.mark.parametrize(("maximum", "size"), [(0, 131072), (8, 2), (9, 2), (16384, 16378), (2**32 - 1, 131072)])
def test_fragments_have_even_length_and_fit_the_peer(maximum: int, size: int) -> None:
    assert message.fragment_size(maximum) == size


@pytest.mark.parametrize("length", [0, 1, 2, 9, 10, 11, 20, 21])
def test_fragments_join_to_the_whole_and_only_the_last_says_so(length: int) -> None:
    content = bytes(range(length))
    parts = list(message.pdus(3, content, False, 10))
    assert b"".join(parts[1::2]) == content
    controls = [header[-1] for header in parts[::2]]
    assert controls == [0] * (len(controls) - 1) + [2]
