import random
import struct

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from broker.dimse.items import (
    ExtendedNegotiation,
    InvalidPdu,
    Role,
    UserIdentity,
    UserInformation,
    item,
    text_of,
)
from broker.dimse.pdu import (
    Abort,
    AnsweredContext,
    AssociateAc,
    AssociateRq,
    decode_abort,
    decode_associate_ac,
    decode_associate_rj,
    decode_associate_rq,
    encode_abort,
    encode_associate_ac,
    encode_associate_rj,
    encode_associate_rq,
)
from broker.dimse.service import ProposedContext, Rejection

USER = UserInformation(
    maximum_length=16384,
    implementation_class_uid="1.2.3",
    implementation_version_name="VERSION",
    operations_window=(4, 2),
    roles=(Role("1.2.840.10008.1.20.1", False, True),),
    extended=(ExtendedNegotiation("1.2.840.10008.5.1.4.31", b"\x01\x01\x01"),),
    identity=UserIdentity(2, True, b"name", b"secret"),
)
REQUEST = AssociateRq(
    "CALLED",
    "CALLING",
    (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")),),
    USER,
)


def test_request_survives_its_own_bytes() -> None:
    assert decode_associate_rq(encode_associate_rq(REQUEST)[6:]) == REQUEST


def test_second_opinion_reads_our_request() -> None:
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(encode_associate_rq(REQUEST))
    assert (theirs.called_ae_title, theirs.calling_ae_title) == ("CALLED", "CALLING")
    assert [str(uid) for uid in theirs.presentation_context[0].transfer_syntax] == [
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
    ]
    assert theirs.user_information.maximum_length == 16384
    assert theirs.encode() == encode_associate_rq(REQUEST)


def test_answer_survives_its_own_bytes_and_the_second_opinion_reads_it() -> None:
    answer = AssociateAc("A", "B", (AnsweredContext(1, 0, "1.2.840.10008.1.2"), AnsweredContext(3, 3, "")), USER)
    encoded = encode_associate_ac(answer)
    assert decode_associate_ac(encoded[6:]) == answer
    theirs = A_ASSOCIATE_AC()
    theirs.decode(encoded)
    assert [context.result for context in theirs.presentation_context] == [0, 3]


def test_rejection_and_abort_survive_their_own_bytes() -> None:
    assert decode_associate_rj(encode_associate_rj(Rejection(1, 1, 7))[6:]) == Rejection(1, 1, 7)
    assert decode_abort(encode_abort(Abort(2, 6))[6:]) == Abort(2, 6)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_fixed_pdus_of_another_length_are_invalid(length: int) -> None:
    for decode in (decode_abort, decode_associate_rj):
        with pytest.raises(InvalidPdu):
            decode(bytes(length))


@pytest.mark.parametrize("numbers", [(0,), (2,), (1, 1), (1, 254)])
def test_context_ids_that_are_even_or_repeated_are_invalid(numbers: tuple[int, ...]) -> None:
    contexts = tuple(ProposedContext(number, "1.2", ("1.2.840.10008.1.2",)) for number in numbers)
    with pytest.raises(InvalidPdu):
        decode_associate_rq(encode_associate_rq(AssociateRq("A", "B", contexts))[6:])


def test_sub_item_longer_than_its_container_is_invalid() -> None:
    fixed = encode_associate_rq(AssociateRq("A", "B", ()))[6 : 6 + 68]
    lying = struct.pack(">BxH", 0x51, 60000) + bytes(4)
    with pytest.raises(InvalidPdu):
        decode_associate_rq(fixed + item(0x50, lying))


def test_unknown_items_are_ignored() -> None:
    body = encode_associate_rq(REQUEST)[6:] + item(0x99, b"whatever")
    assert decode_associate_rq(body) == REQUEST


def test_hostile_title_can_match_none_of_ours_and_break_no_line() -> None:
    assert text_of(b"US1\0\0  ") == "US1"
    assert text_of(b"US\r\n\x001\xe4") == "US\\\\\\1\\"
    assert text_of(b"../X") == "../X"


@pytest.mark.parametrize("seed", range(20))
def test_mutated_pdus_decode_or_are_invalid_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    whole = encode_associate_rq(REQUEST)[6:]
    answer = encode_associate_ac(AssociateAc("A", "B", (AnsweredContext(1, 0, "1.2"),), USER))[6:]
    for _ in range(100):
        for decode, source in ((decode_associate_rq, whole), (decode_associate_ac, answer)):
            body = bytearray(source)
            for _ in range(chance.randint(1, 8)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            try:
                decode(bytes(body[: chance.randint(0, len(body))] if chance.random() < 0.3 else body))
            except InvalidPdu:
                continue
