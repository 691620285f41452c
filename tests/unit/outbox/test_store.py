"""The tables of outgoing messages: told once, leased in order, fenced."""

from dataclasses import replace
from datetime import timedelta

from broker.database import Database
from broker.environments.model import OrderEvent
from broker.outbox import store
from broker.outbox.model import OutboxMessage
from broker.owed import Again, Delivered, OwedState, Park
from tests.conftest import FakeClock
from tests.unit.outbox.examples import RIS, all_messages, order, owed

STARTED, COMPLETED, DISCONTINUED = OrderEvent.STARTED, OrderEvent.COMPLETED, OrderEvent.DISCONTINUED


def leased(database: Database, clock: FakeClock, token: str = "t", limit: int = 10) -> list[OutboxMessage]:
    with database.write("outbox") as tx:
        return store.lease(tx, "ris", clock.now(), limit, token=token, lease_seconds=60)


def finished(database: Database, clock: FakeClock, message: OutboxMessage, decision: object, token: str = "t") -> bool:
    with database.write("outbox-outcome") as tx:
        return store.finish(tx, message.id, token, decision, "AA", clock.now())  # type: ignore[arg-type]


def test_what_is_owed_says_what_was_true_then_under_an_id_of_its_own(database: Database, clock: FakeClock) -> None:
    assert owed(database, clock, STARTED) == 1
    assert owed(database, clock, COMPLETED) == 1
    one, two = all_messages(database)
    assert (one.state, one.tries, one.event, one.order_id) == (OwedState.WAITING, 0, STARTED, 1)
    assert one.control_id.encode() in one.body
    assert 0 < len(one.control_id) <= 20
    assert one.control_id != two.control_id


def test_nothing_is_told_twice(database: Database, clock: FakeClock) -> None:
    for event in (STARTED, OrderEvent.IMAGES_AVAILABLE):
        assert owed(database, clock, event) == 1
        assert owed(database, clock, event) == 0
        assert owed(database, clock, event, "S1", "S2") == 0  # all of its steps


def test_step_that_is_started_again_is_told_again(database: Database, clock: FakeClock) -> None:
    events = (STARTED, STARTED, DISCONTINUED, STARTED, STARTED, COMPLETED)
    assert [owed(database, clock, event, "S1") for event in events] == [1, 0, 1, 1, 0, 1]
    assert [(m.event, m.turn) for m in all_messages(database)] == [
        (STARTED, 0),
        (DISCONTINUED, 0),
        (STARTED, 1),
        (COMPLETED, 0),
    ]


def test_each_step_and_each_generation_is_told_of_for_itself(database: Database, clock: FakeClock) -> None:
    assert owed(database, clock, STARTED, "S1") == 1
    assert owed(database, clock, STARTED, "S2") == 1
    assert owed(database, clock, STARTED, "S1", of=replace(order(), generation=1)) == 1
    assert [m.step_ids for m in all_messages(database)] == [("S1",), ("S2",), ("S1",)]


def test_receiver_is_told_what_it_asked_for(database: Database, clock: FakeClock) -> None:
    choosy = replace(RIS, name="choosy", events=(COMPLETED,))
    with database.write("orders") as tx:
        assert store.owe(tx, (RIS, choosy), order(), STARTED, (), clock.now()) == 1
        assert store.owe(tx, (RIS, choosy), order(), COMPLETED, (), clock.now()) == 2


def test_messages_are_leased_in_the_order_in_which_they_were_owed(database: Database, clock: FakeClock) -> None:
    for number in range(3):
        owed(database, clock, STARTED, of=order(identifier=number))
    assert [m.order_id for m in leased(database, clock, "t", 2)] == [0, 1]
    assert leased(database, clock, "u") == []  # the third must not overtake them


def test_first_message_that_waits_holds_back_the_others(database: Database, clock: FakeClock) -> None:
    owed(database, clock, STARTED)
    owed(database, clock, COMPLETED)
    first, second = leased(database, clock)
    assert finished(database, clock, first, Again(clock.now() + timedelta(seconds=5), "asleep"))
    with database.write("outbox") as tx:
        store.release(tx, "t")
    assert leased(database, clock) == []
    with database.read() as tx:
        assert not store.has_due(tx, "ris", clock.now())
    clock.advance(5)
    assert [m.id for m in leased(database, clock)] == [first.id, second.id]
    assert all_messages(database)[0].tries == 1


def test_parked_message_holds_back_nothing(database: Database, clock: FakeClock) -> None:
    owed(database, clock, STARTED)
    owed(database, clock, COMPLETED)
    first, second = leased(database, clock)
    assert finished(database, clock, first, Park("refused", "in its words"))
    with database.write("outbox") as tx:
        store.release(tx, "t")
    assert [m.id for m in leased(database, clock)] == [second.id]
    parked = all_messages(database)[0]
    assert (parked.state, parked.reason) == (OwedState.PARKED, "refused; it says: in its words")


def test_lease_that_ended_is_due_again_and_its_holder_is_fenced(database: Database, clock: FakeClock) -> None:
    owed(database, clock)
    (first,) = leased(database, clock, "first")
    clock.advance(61)
    (second,) = leased(database, clock, "second")
    assert not finished(database, clock, first, Delivered(), "first")
    assert finished(database, clock, second, Delivered(), "second")
    (message,) = all_messages(database)
    assert (message.state, message.code, message.finished) == (OwedState.DELIVERED, "AA", clock.now())


def test_renewed_lease_does_not_end_and_a_restart_ends_it(database: Database, clock: FakeClock) -> None:
    owed(database, clock)
    leased(database, clock, "first")
    with database.write("outbox-outcome") as tx:
        store.renew(tx, "first", clock.now() + timedelta(seconds=120))
    clock.advance(61)
    assert leased(database, clock) == []
    with database.write("outbox") as tx:
        assert store.release_all(tx) == 1
    assert len(leased(database, clock)) == 1


def test_people_retry_and_discard_what_is_not_delivered(database: Database, clock: FakeClock) -> None:
    owed(database, clock, STARTED)
    owed(database, clock, COMPLETED)
    first, second = leased(database, clock)
    finished(database, clock, first, Park("refused"))
    with database.write("outbox") as tx:
        assert not store.retry(tx, second.id, clock.now())  # being sent
        assert store.retry(tx, first.id, clock.now())
        assert store.discard(tx, first.id, "not wanted", clock.now())
        assert not store.retry(tx, first.id, clock.now())
    assert all_messages(database)[0].state is OwedState.DISCARDED


def test_older_message_is_overtaken_by_one_of_the_same_steps_only(database: Database, clock: FakeClock) -> None:
    for steps in (("S1",), ("S2",), ("S1", "S2")):
        owed(database, clock, STARTED, *steps)
    one, two, both = leased(database, clock)
    finished(database, clock, one, Park("refused"))
    finished(database, clock, two, Delivered())
    with database.read() as tx:
        assert store.overtaken_by(tx, one) is None
    finished(database, clock, both, Delivered())
    with database.read() as tx:
        assert store.overtaken_by(tx, one) == both.id


def test_counts_and_the_oldest_are_by_receiver(database: Database, clock: FakeClock) -> None:
    first = clock.now()
    owed(database, clock, STARTED)
    clock.advance(5)
    owed(database, clock, COMPLETED)
    with database.read() as tx:
        assert store.open_counts(tx) == {("ris", OwedState.WAITING): 2}
        assert store.oldest_waiting(tx) == {"ris": first}
        assert [m.event for m in store.of_order(tx, 1)] == [STARTED, COMPLETED]
        assert store.messages_of(tx, OwedState.PARKED) == []
        assert store.find(tx, 99) is None
