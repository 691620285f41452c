"""What came before, byte for byte, is answered as before; a secret and a long request are not kept."""

from dataclasses import replace

import pytest

from broker.dimse import negotiation
from broker.dimse.contexts import SUPPORTED
from broker.dimse.items import InvalidPdu, UserIdentity, UserInformation
from broker.dimse.pdu import HEADER, AssociateRq, encode_associate_ac, encode_associate_rq
from broker.dimse.remembered import Remembered
from broker.dimse.service import ProposedContext

WORKLIST = ProposedContext(1, "1.2.840.10008.5.1.4.31", ("1.2.840.10008.1.2",))


def body(calling: str = "US1", user: UserInformation | None = None, contexts: int = 1) -> bytes:
    proposed = tuple(replace(WORKLIST, id=2 * n + 1) for n in range(contexts))
    return encode_associate_rq(AssociateRq("BROKER", calling, proposed, user or UserInformation()))[HEADER.size :]


def test_the_same_bytes_are_read_and_agreed_to_once() -> None:
    remembered = Remembered(SUPPORTED, 131_072)
    first, again = remembered.read(body()), remembered.read(body())
    assert first is again
    assert remembered.agree(first) is remembered.agree(again)
    agreement = negotiation.agree(first, SUPPORTED, 131_072)
    assert remembered.agree(first) == (agreement, encode_associate_ac(agreement.answer))


def test_another_caller_is_another_request() -> None:
    remembered = Remembered(SUPPORTED, 131_072)
    requests = [remembered.read(body(title)) for title in ("US1", "US2")]
    answers = [remembered.agree(request)[0].answer for request in requests]
    assert [answer.calling_ae_title for answer in answers] == ["US1", "US2"]


@pytest.mark.parametrize(
    "sent", [body(user=UserInformation(identity=UserIdentity(2, False, b"name", b"secret"))), body(contexts=120)]
)
def test_a_secret_or_a_long_request_is_answered_and_not_kept(sent: bytes) -> None:
    remembered = Remembered(SUPPORTED, 131_072)
    first = remembered.read(sent)
    assert first is not remembered.read(sent)
    assert remembered.agree(first) is not remembered.agree(first)
    assert remembered.agree(first) == remembered.agree(first)


def test_no_more_are_kept_than_may_be() -> None:
    remembered = Remembered(SUPPORTED, 131_072)
    first = remembered.read(body("FIRST"))
    for number in range(300):
        request = remembered.read(body(f"US{number}"))
        assert remembered.agree(request)[0].answer.calling_ae_title == f"US{number}"
    assert remembered.read(body("FIRST")) is not first
    assert remembered.agree(first)[0].contexts


def test_what_is_no_request_is_none_each_time() -> None:
    remembered = Remembered(SUPPORTED, 131_072)
    for _ in range(2):
        with pytest.raises(InvalidPdu):
            remembered.read(b"\0" * 10)
