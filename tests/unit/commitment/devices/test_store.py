"""The tables of devices' requests, on both databases."""

from datetime import timedelta

import pytest

from broker.associations import store as associations
from broker.associations.model import Association
from broker.commitment.devices import store, taking
from broker.commitment.devices.model import Asker, RequestState
from broker.commitment.devices.state import LONGEST_WAIT, Again, Decision, Park, Taken
from broker.commitment.model import CommitmentRefused, Outcome, Reference, Request
from broker.database import Database, Transaction
from broker.registry.model import CommitmentMode, ReportWay
from tests.conftest import FakeClock

ASKER = Asker("01A", "US1", "BROKER", "us-1", CommitmentMode.OWN, ReportWay.EITHER)
ONE, TWO = Reference("1.2", "1.2.1"), Reference("1.2", "1.2.2")
REQUEST = Request("2.25.1", (ONE, TWO))
MINUTE = timedelta(minutes=1)


def kept(tx: Transaction, clock: FakeClock, request: Request = REQUEST) -> int:
    if associations.find(tx, "01A") is None:
        associations.add(tx, Association("01A", clock.now(), "US1", "BROKER", "127.0.0.1", "", "", (), "us-1", "", ""))
    return taking.keep(tx, request, ASKER, clock.now())


def state_of(tx: Transaction) -> RequestState:
    return store.requests(tx)[0].state


def reported(tx: Transaction, clock: FakeClock, number: int, decision: Decision) -> None:
    """Bring a request to the end of its report."""
    lines = store.lines(tx, number, undecided=True)
    store.decide(tx, number, [(line, Outcome(line.reference)) for line in lines])
    store.ready(tx, number, clock.now())
    (due,) = store.due_reports(tx, clock.now(), 10)
    assert store.lease(tx, due, "token", clock.now() + MINUTE)
    assert store.finish(tx, "token", decision, clock.now())


def test_a_request_is_kept_with_its_instances_in_their_order(database: Database, clock: FakeClock) -> None:
    with database.write("commitment") as tx:
        number = kept(tx, clock)
        (request,) = store.gathering(tx, clock.now(), 10)
        assert (request.id, request.asker, request.state) == (number, ASKER, RequestState.GATHERING)
        assert [line.reference for line in store.lines(tx, number)] == [ONE, TWO]
        assert store.tallies(tx, [number]) == {number: (2, 0, 0)}


def test_it_is_ready_once_every_instance_is_decided(database: Database, clock: FakeClock) -> None:
    with database.write("commitment") as tx:
        number = kept(tx, clock)
        first, second = store.lines(tx, number)
        store.decide(tx, number, [(first, Outcome(ONE))])
        store.look_again(tx, number, clock.now() + MINUTE)
        assert store.gathering(tx, clock.now(), 10) == []
        assert [line.number for line in store.lines(tx, number, undecided=True)] == [second.number]
        store.decide(tx, number, [(second, Outcome(TWO, 0x0112))])
        store.ready(tx, number, clock.now())
        assert store.tallies(tx, [number]) == {number: (2, 1, 1)}
        assert [each.id for each in store.due_reports(tx, clock.now(), 10)] == [number]
        assert store.open_counts(tx) == {RequestState.READY: 1}


def test_of_two_who_would_report_one_has_the_lease(database: Database, clock: FakeClock) -> None:
    with database.write("commitment") as tx:
        number = kept(tx, clock)
        store.ready(tx, number, clock.now())
        (seen,) = store.due_reports(tx, clock.now(), 10)
        assert store.lease(tx, seen, "one", clock.now() + MINUTE)
        assert not store.lease(tx, seen, "other", clock.now() + MINUTE)
        assert not store.finish(tx, "other", Taken(), clock.now())
        assert store.due_reports(tx, clock.now(), 10) == []
        (lost,) = store.due_reports(tx, clock.now() + MINUTE, 10)
        assert store.lease(tx, lost, "other", clock.now() + 2 * MINUTE), "a lease that has ended is anybody's"
        assert not store.finish(tx, "one", Taken(), clock.now())
        store.release(tx, "other")
        assert state_of(tx) is RequestState.READY


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (Taken(), RequestState.REPORTED),
        (Again(FakeClock().now() + MINUTE, "off"), RequestState.READY),
        (Park("given up"), RequestState.PARKED),
    ],
)
def test_what_became_of_a_report(database: Database, clock: FakeClock, decision: Decision, state: RequestState) -> None:
    with database.write("commitment") as tx:
        reported(tx, clock, kept(tx, clock), decision)
        (request,) = store.requests(tx)
        assert (request.state, request.tries) == (state, 1)
        assert request.reason == getattr(decision, "reason", "")


@pytest.mark.parametrize("decision", [Taken(), Park("given up")])
def test_what_is_asked_again_is_reported_again_and_decided_no_more(
    database: Database, clock: FakeClock, decision: Decision
) -> None:
    with database.write("commitment") as tx:
        number = kept(tx, clock)
        reported(tx, clock, number, decision)
        assert kept(tx, clock, Request("2.25.1", (TWO, ONE))) == number
        assert state_of(tx) is RequestState.READY
        assert store.lines(tx, number, undecided=True) == []
        with pytest.raises(CommitmentRefused):
            kept(tx, clock, Request("2.25.1", (ONE,)))


def test_a_report_that_is_not_ready_is_not_sent_again(database: Database, clock: FakeClock) -> None:
    with database.write("commitment") as tx:
        assert not store.report_again(tx, kept(tx, clock), clock.now())
        assert [each.transaction_uid for each in store.by_transaction(tx, "2.25.1")] == ["2.25.1"]


def test_what_was_being_reported_is_due_at_the_next_start(database: Database, clock: FakeClock) -> None:
    with database.write("commitment") as tx:
        store.ready(tx, kept(tx, clock), clock.now())
        (due,) = store.due_reports(tx, clock.now(), 10)
        store.lease(tx, due, "token", clock.now() + MINUTE)
        assert store.release_all(tx) == 1
        assert [each.id for each in store.due_reports(tx, clock.now(), 10)] == [due.id]


@pytest.mark.parametrize("days", [1, 3652])
def test_a_clock_that_was_set_back_delays_no_report_by_more_than_we_ever_wait(
    database: Database, clock: FakeClock, days: int
) -> None:
    with database.write("commitment") as tx:
        number = kept(tx, clock)
        reported(tx, clock, number, Again(clock.now() + LONGEST_WAIT, "no answer"))
        assert store.put_forward(tx, clock.now() + LONGEST_WAIT, clock.now()) == 0, "it waits as it should"
        clock.advance(-days * 86400)
        assert store.due_reports(tx, clock.now(), 10) == []
        assert store.put_forward(tx, clock.now() + LONGEST_WAIT, clock.now()) == 1
        (due,) = store.due_reports(tx, clock.now(), 10)
        assert due.decided == clock.now(), "it is given up when its time is over, and not years later"


def test_what_a_device_asks_about_is_looked_at_after_the_clock_was_set_back(
    database: Database, clock: FakeClock
) -> None:
    with database.write("commitment") as tx:
        kept(tx, clock)
        clock.advance(-86400)
        assert store.gathering(tx, clock.now(), 10) == []
        assert store.put_forward(tx, clock.now() + LONGEST_WAIT, clock.now()) == 1
        (request,) = store.gathering(tx, clock.now(), 10)
        assert request.received == clock.now()
