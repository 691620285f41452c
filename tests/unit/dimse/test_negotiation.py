import pytest

from broker.dimse import contexts, negotiation
from broker.dimse.contexts import Supported
from broker.dimse.items import ExtendedNegotiation, Role, UserIdentity, UserInformation
from broker.dimse.pdu import AnsweredContext, AssociateAc, AssociateRq
from broker.dimse.service import Peer, ProposedContext, Rejection
from broker.errors import Rejected

US = "1.2.840.10008.5.1.4.1.1.6.1"
COMMITMENT = contexts.STORAGE_COMMITMENT_PUSH
OURS = {**contexts.SUPPORTED, COMMITMENT: Supported(contexts.UNCOMPRESSED, peer_may_be_scp=True)}
PEER = Peer("h", 1, "CALLED", "CALLING")


def request(*proposed: ProposedContext, user: UserInformation | None = None) -> AssociateRq:
    return AssociateRq("A", "B", proposed, user or UserInformation())


def test_every_class_and_syntax_for_ultrasound_is_served() -> None:
    for uid in ("6", "6.1", "6.2", "3", "3.1", "7", "88.11", "88.33", "104.1", "66"):
        assert f"1.2.840.10008.5.1.4.1.1.{uid}" in contexts.SUPPORTED
    assert len(contexts.STORAGE) >= 172
    assert len(set(contexts.STORAGE_SYNTAXES)) == len(contexts.STORAGE_SYNTAXES) >= 42


def test_the_first_offered_that_loses_nothing_is_taken_and_a_lossy_one_only_alone() -> None:
    offer = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
    agreed = negotiation.agree(request(ProposedContext(1, US, offer)), OURS, 131072)
    assert agreed.contexts[0].transfer_syntax == "1.2.840.10008.1.2.4.70"
    agreed = negotiation.agree(request(ProposedContext(1, US, offer[2:])), OURS, 131072)
    assert agreed.contexts[0].transfer_syntax == "1.2.840.10008.1.2"
    agreed = negotiation.agree(request(ProposedContext(1, US, offer[:1])), OURS, 131072)
    assert agreed.contexts[0].transfer_syntax == "1.2.840.10008.1.2.4.50"


def test_unknown_class_and_unknown_syntax_have_their_own_results() -> None:
    asked = request(ProposedContext(1, "1.2.3", ("1.2.840.10008.1.2",)), ProposedContext(3, US, ("1.2.3",)))
    agreed = negotiation.agree(asked, OURS, 131072)
    assert [context.result for context in agreed.answer.contexts] == [3, 4]
    assert agreed.contexts == ()


@pytest.mark.parametrize(
    ("uid", "proposed", "answered", "result"),
    [
        (COMMITMENT, (True, False), (True, False), 0),
        (COMMITMENT, (False, True), (False, True), 0),
        (COMMITMENT, (True, True), (True, True), 0),
        (US, (True, True), (True, False), 0),
        (US, (False, True), (False, False), 1),
    ],
)
def test_roles_are_answered_by_what_we_can_be(
    uid: str, proposed: tuple[bool, bool], answered: tuple[bool, bool], result: int
) -> None:
    user = UserInformation(roles=(Role(uid, *proposed),))
    agreed = negotiation.agree(request(ProposedContext(1, uid, ("1.2.840.10008.1.2",)), user=user), OURS, 131072)
    assert agreed.answer.user.roles == (Role(uid, *answered),)
    assert agreed.answer.contexts[0].result == result


def test_window_is_answered_with_one_and_only_when_asked() -> None:
    assert negotiation.agree(request(), OURS, 1).answer.user.operations_window is None
    asked = request(user=UserInformation(operations_window=(0, 0)))
    assert negotiation.agree(asked, OURS, 1).answer.user.operations_window == (1, 1)


def test_extended_negotiation_is_answered_for_what_we_know() -> None:
    user = UserInformation(
        extended=(
            ExtendedNegotiation(US, bytes(6)),
            ExtendedNegotiation(contexts.MODALITY_WORKLIST_FIND, b"\1\1\1\1"),
            ExtendedNegotiation("1.2.3", b"\1"),
        )
    )
    answered = negotiation.agree(request(user=user), OURS, 1).answer.user.extended
    assert [each.information for each in answered] == [bytes((2, 0, 0, 0, 0, 0)), bytes((1, 1, 0, 0))]


def test_user_identity_is_neither_an_obstacle_nor_confirmed() -> None:
    user = UserInformation(identity=UserIdentity(2, True, b"u", b"p"))
    assert negotiation.agree(request(user=user), OURS, 1).answer.user.identity is None


def test_upper_layer_objects_to_what_no_service_could_answer() -> None:
    assert negotiation.objection(request()) is None
    assert negotiation.objection(AssociateRq("A", "B", (), protocol_version=2)) == Rejection(1, 2, 2)
    assert negotiation.objection(AssociateRq("A", "B", (), application_context="1.2")) == Rejection(1, 1, 2)
    assert negotiation.objection(request(user=UserInformation(maximum_length=7))) == Rejection(1, 2, 1)


def test_each_class_and_syntax_gets_a_context_of_its_own_and_over_128_are_refused() -> None:
    pairs = [(US, "1.2.840.10008.1.2"), (US, "1.2.840.10008.1.2.1"), (US, "1.2.840.10008.1.2")]
    asked = negotiation.propose(PEER, pairs, (), 131072)
    assert [context.id for context in asked.contexts] == [1, 3]
    with pytest.raises(Rejected):
        negotiation.propose(PEER, [(US, f"1.2.{n}") for n in range(129)], (), 131072)


def test_acceptance_of_something_else_is_none() -> None:
    asked = negotiation.propose(PEER, [(US, "1.2.840.10008.1.2"), (US, "1.2.5"), (US, "1.2.6")], (), 1)
    answer = AssociateAc("A", "B", (AnsweredContext(1, 0, "1.2.840.10008.1.2"), AnsweredContext(3, 0, "1.2.99")))
    accepted, refused = negotiation.outcome(asked, answer)
    assert accepted == {(US, "1.2.840.10008.1.2"): 1}
    assert refused == {(US, "1.2.5"): 4, (US, "1.2.6"): 2}
