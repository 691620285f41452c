"""Destinations prove what they keep: pynetdicom as a PACS that commits, refuses, forgets, reports here or there."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from broker.commitment.proof import outcome
from broker.commitment.proof import store as proofs
from broker.commitment.proof.model import ProofState
from broker.delivery import store as deliveries
from tests.peers.archive import Archive, Where, archive
from tests.wire.commitment_world import World, destination, routed, world

UIDS = ("1.2.1", "1.2.2", "1.2.3")
PROVEN, ASKED, WAITING = "proven", "asked", "waiting"


class Stage:
    """Opens a PACS and a world that delivers to it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack

    def __call__(
        self, keys: str = 'proof = "commitment"', more: str = "", *, commits: bool = True, **settings: Any
    ) -> tuple[World, Archive]:
        pacs = self._stack.enter_context(archive(commits=commits, **settings))
        here = self._stack.enter_context(world(self._folder, more + destination(pacs, keys) + routed("pacs")))
        pacs.reports_to = here.port
        return here, pacs


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


@pytest.mark.parametrize("where", [Where.SAME, Where.NEW])
def test_the_spool_keeps_an_instance_until_its_destination_has_committed(stage: Stage, where: Where) -> None:
    here, pacs = stage(where=where)
    here.store(*UIDS)
    here.deliver()
    assert here.held() == 3
    assert set(here.states().values()) == {WAITING}
    here.prove()
    assert set(here.states().values()) == {PROVEN}
    assert here.held() == 0
    ((calling, asked),) = pacs.actions
    assert calling == "BROKER"
    assert {item.ReferencedSOPInstanceUID for item in asked.ReferencedSOPSequence} == set(UIDS)
    assert pacs.answers == [0]
    assert here.alerts() == {}


def test_one_that_reports_later_is_waited_for(stage: Stage) -> None:
    here, pacs = stage(where=Where.NOWHERE)
    here.store(*UIDS)
    here.deliver()
    here.prove()
    assert (set(here.states().values()), here.held()) == ({ASKED}, 3)
    assert pacs.send_report(pacs.actions[0][1], "BROKER", here.port) == 0
    assert (set(here.states().values()), here.held()) == ({PROVEN}, 0)
    assert pacs.send_report(pacs.actions[0][1], "BROKER", here.port) == 0, "a repetition is harmless"


def test_an_overdue_report_is_asked_for_again_and_the_old_one_still_counts(stage: Stage) -> None:
    here, pacs = stage('proof = "commitment"\nproof_minutes = 30', where=Where.NOWHERE)
    here.store("1.2.1")
    here.deliver()
    here.prove()
    here.prove(29 * 60)
    assert len(pacs.actions) == 1
    here.prove(60)
    assert len(pacs.actions) == 2
    old, new = (asked.TransactionUID for _, asked in pacs.actions)
    assert old != new
    assert pacs.send_report(pacs.actions[0][1], "BROKER", here.port) == 0
    assert (here.states(), here.held()) == ({"1.2.1": PROVEN}, 0)


def test_one_that_never_reports_is_told_of_with_the_likely_cause(stage: Stage) -> None:
    here, _ = stage(where=Where.NOWHERE)
    here.store("1.2.1")
    here.deliver()
    for _ in range(4):
        here.prove(3601)
    assert "does it know 'BROKER' with our host and port?" in here.alerts()[outcome.UNREPORTED]
    here.clock.advance(3600)
    here.flows.commitment.tell_unproven()
    assert "1 delivered over 4 h ago and not proven" in here.alerts()[outcome.UNPROVEN]
    assert here.held() == 1


def test_what_the_destination_has_lost_is_sent_once_more(stage: Stage) -> None:
    here, pacs = stage(lost={"1.2.2"})
    here.store(*UIDS)
    here.deliver()
    here.prove()
    assert here.states() == {"1.2.1": PROVEN, "1.2.2": "lacking", "1.2.3": PROVEN}
    assert here.held() == 1
    here.deliver()
    here.prove()
    assert set(here.states().values()) == {PROVEN}
    assert here.held() == 0
    assert {uid: len(copies) for uid, copies in pacs.stored.items()} == dict.fromkeys(UIDS, 1)


def test_what_it_does_not_keep_twice_is_parked_and_told(stage: Stage) -> None:
    here, pacs = stage(failures={"1.2.2": 0x0112})
    here.store(*UIDS)
    for _ in range(2):
        here.deliver()
        here.prove()
    (parked,) = [each for each in here.deliveries() if each.state.value == "parked"]
    assert "does not keep it: it does not have the instance (0112), though it was sent twice" in parked.reason
    assert "0112" in here.alerts()[outcome.FAILED]
    assert here.held() == 1
    assert len(pacs.stored["1.2.2"]) == 2
    pacs.failures.clear()
    with here.database.write("delivery") as tx:
        assert deliveries.retry(tx, [parked.id], here.clock.now()) == [parked.id]
    here.deliver()
    here.prove()
    assert here.held() == 0


@pytest.mark.parametrize("reason", [0x0119, 0x0122])
def test_a_reason_that_another_try_does_not_change_parks_at_once(stage: Stage, reason: int) -> None:
    here, pacs = stage(failures={"1.2.1": reason})
    here.store("1.2.1")
    here.deliver()
    here.prove()
    assert here.states() == {"1.2.1": "failed"}
    assert [each.state.value for each in here.deliveries()] == ["parked"]
    assert len(pacs.stored["1.2.1"]) == 1


@pytest.mark.parametrize("reason", [0x0110, 0x0213, 0x0131])
def test_a_passing_reason_is_asked_again(stage: Stage, reason: int) -> None:
    here, pacs = stage(failures={"1.2.1": reason})
    here.store("1.2.1")
    here.deliver()
    here.prove()
    assert here.states() == {"1.2.1": WAITING}
    pacs.failures.clear()
    here.prove(60)
    assert here.held() == 0
    assert len(pacs.stored["1.2.1"]) == 1


def test_a_request_that_is_refused_is_repeated_and_told_of(stage: Stage) -> None:
    here, pacs = stage(action_status=0x0110)
    here.store("1.2.1")
    here.deliver()
    for _ in range(3):
        here.prove(100)
    assert len(pacs.actions) == 3
    assert len({asked.TransactionUID for _, asked in pacs.actions}) == 3, "a refused transaction is dead"
    assert "status 0110" in here.alerts()[outcome.FAILING]
    pacs.action_status = 0
    here.prove(1000)
    assert here.held() == 0


def test_one_that_takes_no_requests_keeps_the_spool_filled_and_is_told_of(stage: Stage) -> None:
    here, _ = stage(commits=False)
    here.store("1.2.1")
    here.deliver()
    for _ in range(3):
        here.prove(100)
    assert here.held() == 1
    assert "does not accept that SOP class" in here.alerts()[outcome.FAILING]


def test_auto_asks_where_it_can_and_otherwise_the_answer_to_the_instance_counts(stage: Stage) -> None:
    here, _ = stage('proof = "auto"', commits=False)
    here.store("1.2.1")
    here.deliver()
    assert here.held() == 1
    here.prove()
    assert (here.states(), here.held()) == ({"1.2.1": "not asked"}, 0)
    here.store("1.2.2")
    here.deliver()
    assert here.held() == 0, "known to be unable: not asked for a day"
    assert here.alerts() == {}


def test_auto_proves_where_the_destination_commits(stage: Stage) -> None:
    here, pacs = stage('proof = "auto"')
    here.store("1.2.1")
    here.deliver()
    here.prove()
    assert (here.states(), here.held(), len(pacs.actions)) == ({"1.2.1": PROVEN}, 0, 1)


def test_what_is_proven_stays_for_the_configured_time(stage: Stage) -> None:
    here, _ = stage(more="[retention]\nspool_hours = 24\n")
    here.store("1.2.1")
    here.deliver()
    here.prove()
    assert set(here.states().values()) == {PROVEN}
    here.clock.advance(23.9 * 3600)
    here.flows.commitment.forget_held()
    assert here.held() == 1
    here.clock.advance(0.2 * 3600)
    here.flows.commitment.forget_held()
    assert here.held() == 0


def test_without_a_proof_the_configured_time_counts_from_the_delivery(stage: Stage) -> None:
    here, _ = stage('proof = "none"', more="[retention]\nspool_hours = 1\n")
    here.store("1.2.1")
    here.deliver()
    here.flows.commitment.forget_held()
    assert here.held() == 1
    here.clock.advance(3601)
    here.flows.commitment.forget_held()
    assert here.held() == 0


def test_found_by_a_query_is_proof(stage: Stage) -> None:
    here, pacs = stage('proof = "find"', commits=False)
    here.store(*UIDS)
    here.deliver()
    here.prove()
    assert (set(here.states().values()), here.held()) == ({PROVEN}, 0)
    (query,) = pacs.queries
    assert (query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID) == ("IMAGE", "1.2.3", "1.2.3.9")


def test_what_a_query_does_not_find_is_sought_again_then_sent_again_then_parked(stage: Stage) -> None:
    here, pacs = stage('proof = "find"\nproof_minutes = 1', commits=False, finds=True)
    pacs.finds = False
    here.store("1.2.1")
    here.deliver()
    for _ in range(4):
        here.prove(61)
        assert here.states() == {"1.2.1": WAITING}
    here.prove(61)
    assert here.states() == {"1.2.1": "lacking"}
    here.deliver()
    for _ in range(5):
        here.prove(61)
    assert [each.state.value for each in here.deliveries()] == ["parked"]
    assert here.held() == 1


def test_two_destinations_must_both_have_proven(tmp_path: Path) -> None:
    with archive() as first, archive(where=Where.NOWHERE, ae_title="SECOND") as second:
        keys = destination(first) + destination(second, name="second") + routed("pacs", "second")
        with world(tmp_path, keys) as here:
            here.store("1.2.1")
            here.deliver()
            here.prove()
            assert sorted(proof.state.value for proof in here.proofs()) == [ASKED, PROVEN]
            assert here.held() == 1
            assert second.send_report(second.actions[0][1], "BROKER", here.port) == 0
            assert here.held() == 0


def test_a_stranger_and_an_unknown_transaction_prove_nothing(stage: Stage) -> None:
    here, pacs = stage(where=Where.NOWHERE)
    here.store("1.2.1")
    here.deliver()
    here.prove()
    asked = pacs.actions[0][1]
    pacs.ae_title = "STRANGER"
    with pytest.raises(AssertionError, match="does not take"):
        pacs.send_report(asked, "BROKER", here.port)
    pacs.ae_title = "PACS"
    asked.TransactionUID = "1.2.3.4"
    assert pacs.send_report(asked, "BROKER", here.port) == 0, "so that it is not repeated for days"
    assert (here.states(), here.held()) == ({"1.2.1": ASKED}, 1)


def test_a_profile_that_wants_no_proof_any_more_lets_go(stage: Stage) -> None:
    here, _ = stage(where=Where.NOWHERE)
    here.store("1.2.1")
    here.deliver()
    here.prove()
    commitment = here.flows.commitment
    desk = commitment._desk
    object.__setattr__(desk.keeping, "proofs", {})
    commitment.forget_held()
    assert ([proof.state for proof in here.proofs()], here.held()) == ([ProofState.NOT_ASKED], 0)


@pytest.mark.parametrize(
    "keys", ['proof = "commitment"', 'proof = "auto"', 'proof = "commitment"\nproof_minutes = 6000']
)
def test_a_clock_that_is_set_back_delays_no_proof_by_more_than_we_ever_wait(stage: Stage, keys: str) -> None:
    here, pacs = stage(keys, where=Where.NOWHERE)
    here.flows.mind_clock()
    here.store(*UIDS)
    here.deliver()
    here.prove()
    here.flows.mind_clock()
    here.clock.advance(-3652 * 86400)
    here.prove()
    assert len(pacs.actions) == 1
    assert here.flows.mind_clock() == 3
    here.prove()
    old, new = (asked for _, asked in pacs.actions)
    assert pacs.send_report(old, "BROKER", here.port) == 0, "it may speak of what was delivered before"
    assert (set(here.states().values()), here.held()) == ({ASKED}, 3)
    assert pacs.send_report(new, "BROKER", here.port) == 0
    assert (set(here.states().values()), here.held()) == ({PROVEN}, 0)


def test_one_that_took_no_request_is_asked_again_soon_after_the_clock_was_set_back(stage: Stage) -> None:
    here, _ = stage('proof = "auto"', commits=False)
    here.store("1.2.1")
    here.deliver()
    here.prove()
    here.clock.advance(-30 * 86400)
    here.flows.mind_clock()
    with here.database.read() as tx:
        due = proofs.prover(tx, "pacs").due
    assert due == here.clock.now()
