"""What happens to a proof next."""

from datetime import UTC, datetime, timedelta

import pytest

from broker.commitment.proof import state
from broker.commitment.proof.model import OPEN, ProofState, ProverState
from broker.commitment.proof.state import Again, Disproved, Proven, SendOnceMore
from broker.dimse.service import AssociationRefused, ContextRefused, Rejection
from broker.environments.commitment import ProofBy
from broker.errors import BrokerError, Unavailable

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
WELL = ProverState("pacs")


@pytest.mark.parametrize(
    ("failure", "tries", "sent_again", "decision"),
    [
        (None, 1, False, Proven),
        (0x0112, 1, False, SendOnceMore),
        (0x0112, 1, True, Disproved),
        (0x0119, 1, False, Disproved),
        (0x0122, 1, False, Disproved),
        (0x0110, 1, False, Again),
        (0x0213, 4, False, Again),
        (0x0131, 1, False, Again),
        (0x0110, 5, False, SendOnceMore),
        (0x0110, 5, True, Disproved),
        (0x4711, 1, False, Again),
    ],
)
def test_a_reports_word_decides(failure: int | None, tries: int, sent_again: bool, decision: type) -> None:
    assert isinstance(state.after_report(failure, tries, sent_again, NOW, 0.0), decision)


def test_a_reason_to_park_says_what_to_do() -> None:
    decision = state.after_report(0x0112, 1, True, NOW, 0.0)
    assert isinstance(decision, Disproved)
    assert decision.reason == (
        "the destination took it, but does not keep it: it does not have the instance (0112),"
        " though it was sent twice; look at its log, then retry"
    )


def test_a_query_that_finds_nothing_is_repeated_before_anything_is_sent_again() -> None:
    due = NOW + timedelta(minutes=5)
    assert state.after_search(True, 1, False, due) == Proven()
    for tries in range(1, 5):
        assert isinstance(state.after_search(False, tries, False, due), Again)
    assert isinstance(state.after_search(False, 5, False, due), SendOnceMore)
    assert isinstance(state.after_search(False, 5, True, due), Disproved)


REFUSED = AssociationRefused("none of our contexts", None)


@pytest.mark.parametrize("error", [REFUSED, ContextRefused("no", 3)])
def test_one_that_takes_no_requests_is_unable_only_where_it_may_be(error: BrokerError) -> None:
    auto = state.after_refused(WELL, ProofBy.AUTO, error, NOW, 0.0)
    assert (auto.unable, auto.due) == (True, NOW + timedelta(hours=24))
    wanted = state.after_refused(WELL, ProofBy.COMMITMENT, error, NOW, 0.0)
    assert (wanted.unable, wanted.failures) == (False, 1)


@pytest.mark.parametrize("error", [Unavailable("off"), AssociationRefused("no", Rejection(2, 3, 1))])
def test_one_that_is_not_there_is_asked_again_whatever_the_profile_says(error: BrokerError) -> None:
    for by in (ProofBy.AUTO, ProofBy.COMMITMENT, ProofBy.FIND):
        after = state.after_refused(WELL, by, error, NOW, 0.0)
        assert (after.unable, after.failures, after.due) == (False, 1, NOW + timedelta(seconds=5))


@pytest.mark.parametrize(("status", "unable"), [(0x0110, True), (0x0124, True), (0x0213, False)])
def test_a_refused_request_makes_it_unable_unless_it_will_pass(status: int, unable: bool) -> None:
    assert state.after_status(WELL, ProofBy.AUTO, status, NOW, 0.0).unable is unable
    assert not state.after_status(WELL, ProofBy.COMMITMENT, status, NOW, 0.0).unable


def test_each_open_state_can_be_proven_waived_or_mended() -> None:
    for before in OPEN:
        assert (before, ProofState.NOT_ASKED) in state.NEXT
    assert set(state.before(ProofState.PROVEN)) == {ProofState.WAITING, ProofState.ASKED, ProofState.LACKING}
    assert (ProofState.FAILED, ProofState.WAITING) in state.NEXT
