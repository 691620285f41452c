"""The tables of proofs, on both databases."""

from datetime import datetime, timedelta

import pytest

from broker.commitment.model import Reference
from broker.commitment.proof import store
from broker.commitment.proof.model import Proof, ProofState, ProverState
from broker.commitment.proof.state import Again, Disproved, Proven, SendOnceMore
from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.delivery.model import Delivery, DeliveryState
from broker.delivery.state import Delivered
from broker.spool import store as spool_store
from broker.spool.model import SpooledInstance
from tests.conftest import FakeClock
from tests.unit.spool.datasets import US_IMAGE, facts

SECOND = timedelta(seconds=1)


def instance(tx: Transaction, number: int) -> SpooledInstance:
    made = SpooledInstance(f"01{number:024d}", facts(f"1.2.{number}"), "x", "p", 0, 1, "1.2", "1.3", "P", "A", "US")
    spool_store.add(tx, made)
    return made


def delivered(
    tx: Transaction, number: int, now: datetime, destination: str = "pacs"
) -> tuple[Delivery, SpooledInstance]:
    """Return a delivery that has ended well."""
    made = instance(tx, number)
    deliveries.owe(tx, made.id, (destination,), now)
    token = f"t{number}{destination}"
    leased = deliveries.lease(tx, destination, now, 10, token=token, lease_seconds=60)
    (mine,) = [each for each, _ in leased if each.instance_id == made.id]
    assert deliveries.finish(tx, mine.id, token, Delivered(), status=0, now=now)
    return mine, made


def owed(tx: Transaction, number: int, now: datetime) -> Proof:
    delivery, made = delivered(tx, number, now)
    store.owe(tx, delivery, made, now, now)
    return store.of_deliveries(tx, [delivery.id])[delivery.id]


def state(tx: Transaction, proof: Proof) -> ProofState:
    return store.of_deliveries(tx, [proof.delivery_id])[proof.delivery_id].state


def test_what_is_due_is_asked_for_and_due_again_when_it_is_overdue(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        first, second = owed(tx, 1, now), owed(tx, 2, now + SECOND)
        assert store.due(tx, "pacs", now, 10) == [first]
        assert store.due(tx, "other", now + SECOND, 10) == []
        store.ask(tx, "2.25.1", [first, second], now + 60 * SECOND, now)
        assert store.due(tx, "pacs", now + 59 * SECOND, 10) == []
        store.answered(tx, "2.25.1", 0, now + 100 * SECOND)
        assert store.due(tx, "pacs", now + 99 * SECOND, 10) == []
        again = store.due(tx, "pacs", now + 100 * SECOND, 10)
        assert [(proof.state, proof.tries) for proof in again] == [(ProofState.ASKED, 1)] * 2
        assert store.askings(tx)[0].instances == 2


def test_what_was_reported_on_is_not_given_back_by_a_late_failure(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        first, second = owed(tx, 1, now), owed(tx, 2, now)
        store.ask(tx, "2.25.1", [first, second], now + 60 * SECOND, now)
        assert store.conclude(tx, first, Proven(), now)
        store.unanswered(tx, "2.25.1", 0x0110, now + 5 * SECOND, "refused")
        assert (state(tx, first), state(tx, second)) == (ProofState.PROVEN, ProofState.WAITING)
        for late in (Proven(), Again(now, "x"), SendOnceMore("x"), Disproved("x")):
            assert not store.conclude(tx, first, late, now), "what is proven stays so"


def test_a_report_speaks_only_of_what_was_delivered_before_it_was_asked(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        first = owed(tx, 1, now)
        store.ask(tx, "2.25.1", [first], now + 60 * SECOND, now)
        asking = store.asking(tx, "2.25.1")
        assert asking is not None
        reference = Reference(US_IMAGE, "1.2.1")
        assert [proof.id for proof in store.meant(tx, asking, [reference])] == [first.id]
        delivery, made = Delivery(first.delivery_id, first.instance_id, "pacs", *_REST), instance(tx, 9)
        store.owe(tx, delivery, made, now, now + SECOND)  # delivered once more since
        assert store.meant(tx, asking, [reference]) == []
        assert store.reported(tx, "2.25.1", now)
        assert not store.reported(tx, "2.25.1", now), "a repetition"


_REST = (DeliveryState.DELIVERED, 1, FakeClock().now(), FakeClock().now(), "")


def test_sent_again_is_remembered_for_the_destinations_word_not_for_a_persons(
    database: Database, clock: FakeClock
) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        proof = owed(tx, 1, now)
        made = spool_store.find_all(tx, [proof.instance_id])[proof.instance_id]
        delivery = deliveries.find(tx, proof.delivery_id)
        assert delivery is not None
        for decision, remembered in ((SendOnceMore("x"), True), (Disproved("x"), False)):
            assert store.conclude(tx, proof, decision, now)
            store.owe(tx, delivery, made, now, now)
            found = store.of_deliveries(tx, [delivery.id])[delivery.id]
            assert (found.state, found.sent_again, found.tries) == (ProofState.WAITING, remembered, 0)


@pytest.mark.parametrize("hours", [0, 24])
def test_an_instance_may_go_when_all_is_proven_and_the_time_has_passed(
    database: Database, clock: FakeClock, hours: int
) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        proof = owed(tx, 1, now)
        assert not store.may_forget(tx, proof.instance_id, hours, now + timedelta(days=9))
        store.conclude(tx, proof, Proven(), now + timedelta(hours=1))
        assert not hours or not store.may_forget(tx, proof.instance_id, hours, now + timedelta(hours=24))
        assert store.may_forget(tx, proof.instance_id, hours, now + timedelta(hours=25))
        assert store.held(tx, "", now + timedelta(days=9), 10) == [proof.instance_id]


def test_what_is_waived_is_asked_for_no_more(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        first, second = owed(tx, 1, now), owed(tx, 2, now)
        assert [proof.id for proof in store.waive(tx, "pacs", (first.id,), "enough", now)] == [first.id]
        assert store.open_counts(tx) == {("pacs", ProofState.WAITING): 1}
        assert [proof.id for proof in store.waive(tx, "pacs", (), "enough", now)] == [second.id]
        assert store.due(tx, "pacs", now, 10) == []
        assert store.oldest_open(tx, now + SECOND) == {}
        assert store.may_forget(tx, first.instance_id, 0, now)


def test_a_destination_that_rests_is_not_asked(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        owed(tx, 1, now)
        store.set_prover(tx, ProverState("pacs", 1, now + 5 * SECOND, "off"))
        assert store.due(tx, "pacs", now, 10) == []
        assert len(store.due(tx, "pacs", now + 5 * SECOND, 10)) == 1
        store.set_prover(tx, ProverState("pacs"))
        assert store.prover(tx, "pacs") == ProverState("pacs")
        assert store.oldest_open(tx, now + SECOND) == {"pacs": (1, now)}


def test_what_was_asked_without_an_answer_is_due_at_the_next_start(database: Database, clock: FakeClock) -> None:
    now = clock.now()
    with database.write("proof") as tx:
        lost, answered = owed(tx, 1, now), owed(tx, 2, now)
        store.ask(tx, "2.25.1", [lost], now + 60 * SECOND, now)
        store.ask(tx, "2.25.2", [answered], now + 60 * SECOND, now)
        store.answered(tx, "2.25.2", 0, now + 60 * SECOND)
        assert store.release_unanswered(tx, now) == 1
        assert (state(tx, lost), state(tx, answered)) == (ProofState.WAITING, ProofState.ASKED)
        assert [proof.id for proof in store.in_states(tx, [ProofState.ASKED], "pacs")] == [answered.id]
        assert [proof.id for proof in store.of_asking(tx, "2.25.2")] == [answered.id]
        assert len(store.of_instances(tx, [lost.instance_id, answered.instance_id])) == 2
        assert {each.transaction_uid for each in store.askings(tx)} == {"2.25.1", "2.25.2"}
