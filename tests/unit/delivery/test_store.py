"""The tables of deliveries and destinations: leases, fencing, retries."""

from datetime import timedelta

from broker.database import Database
from broker.delivery import destination_store, state, store
from broker.delivery.model import NO_ROUTE, Delivery, DeliveryState
from broker.delivery.state import Again, Delivered, Park
from broker.errors import Unavailable
from broker.spool import store as spool_store
from tests.conftest import FakeClock
from tests.unit.spool.test_store import instance


def owed(database: Database, clock: FakeClock, *destinations: str, identifier: str = "01A") -> None:
    with database.write("spool-index") as tx:
        spool_store.add(tx, instance(identifier, f"1.{len(identifier)}"))
        store.owe(tx, identifier, destinations, clock.now())


def leased(database: Database, clock: FakeClock, token: str = "t", limit: int = 10) -> list[Delivery]:
    with database.write("delivery-lease") as tx:
        items = store.lease(tx, "pacs", clock.now(), limit, token=token, lease_seconds=60)
    return [delivery for delivery, _ in items]


def only(database: Database) -> Delivery:
    with database.read() as tx:
        (delivery,) = store.deliveries(tx)
    return delivery


def test_what_is_owed_is_leased_once_oldest_first(database: Database, clock: FakeClock) -> None:
    for identifier in ("01A", "01B", "01C"):
        owed(database, clock, "pacs", "other", identifier=identifier)
    assert [d.instance_id for d in leased(database, clock, "t", 2)] == ["01A", "01B"]
    assert [d.instance_id for d in leased(database, clock, "u")] == ["01C"]
    assert leased(database, clock, "v") == []


def test_an_instance_without_a_route_is_parked_and_never_leased(database: Database, clock: FakeClock) -> None:
    owed(database, clock)
    delivery = only(database)
    assert (delivery.destination, delivery.state) == (NO_ROUTE, DeliveryState.PARKED)
    assert "no route" in delivery.reason
    with database.read() as tx:
        assert not store.settled(tx, "01A")


def test_a_lease_that_ended_is_due_again_and_its_holder_is_fenced(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (first,) = leased(database, clock, "first")
    clock.advance(61)
    (second,) = leased(database, clock, "second")
    with database.write("delivery-outcome") as tx:
        assert not store.finish(tx, first.id, "first", Delivered(), status=0, now=clock.now())
        assert store.finish(tx, second.id, "second", Delivered(), status=0, now=clock.now())
    assert only(database).state is DeliveryState.DELIVERED


def test_a_renewed_lease_does_not_end(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    leased(database, clock, "first")
    with database.write("delivery-outcome") as tx:
        store.renew(tx, "first", clock.now() + timedelta(seconds=120))
    clock.advance(61)
    assert leased(database, clock, "second") == []


def test_each_decision_is_recorded(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (delivery,) = leased(database, clock)
    due = clock.now() + timedelta(seconds=5)
    with database.write("delivery-outcome") as tx:
        store.finish(tx, delivery.id, "t", Again(due, "full"), status=0xA700, now=clock.now(), comment="disk")
    again = only(database)
    assert (again.state, again.tries, again.due, again.status) == (DeliveryState.WAITING, 1, due, 0xA700)
    assert again.reason == "full; it says: disk"
    assert leased(database, clock) == []
    clock.advance(5)
    (delivery,) = leased(database, clock)
    with database.write("delivery-outcome") as tx:
        store.finish(tx, delivery.id, "t", Park("no"), status=0xC000, now=clock.now())
    assert only(database).state is DeliveryState.PARKED


def test_released_deliveries_count_no_try(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (delivery,) = leased(database, clock)
    with database.write("delivery-outcome") as tx:
        store.release(tx, [delivery.id], "t")
    (again,) = leased(database, clock, "u")
    assert again.tries == 0
    with database.write("delivery") as tx:
        assert store.release_all(tx) == 1
    assert only(database).state is DeliveryState.WAITING


def test_what_was_tried_comes_after_what_was_not(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (first,) = leased(database, clock)
    with database.write("delivery-outcome") as tx:
        store.finish(tx, first.id, "t", Again(clock.now(), "cut"), status=None, now=clock.now())
    owed(database, clock, "pacs", identifier="01B")
    assert [d.instance_id for d in leased(database, clock, "u")] == ["01B", "01A"]


def test_an_instance_is_settled_when_every_destination_has_it(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs", "other")
    (delivery,) = leased(database, clock)
    with database.write("delivery-outcome") as tx:
        store.finish(tx, delivery.id, "t", Delivered("warning"), status=0xB000, now=clock.now())
        assert not store.settled(tx, "01A")
        assert [d.destination for d in store.open_for_instance(tx, "01A")] == ["other"]
        (other,) = store.lease(tx, "other", clock.now(), 1, token="u", lease_seconds=60)
        store.finish(tx, other[0].id, "u", Delivered(), status=0, now=clock.now())
        assert store.settled(tx, "01A")


def test_a_retry_is_due_at_once_and_asks_the_destination_again(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (delivery,) = leased(database, clock)
    failing = state.after_destination_failure(state.well("pacs"), Unavailable("off"), clock.now(), 0.0)
    with database.write("delivery-outcome") as tx:
        store.finish(tx, delivery.id, "t", Park("no"), status=0xC000, now=clock.now())
        destination_store.set_destination_state(tx, failing)
        destination_store.set_destination_state(tx, failing)
    with database.write("delivery") as tx:
        assert not store.has_due(tx, "pacs", clock.now())
        assert store.retry(tx, [delivery.id, 999], clock.now()) == [delivery.id]
        assert store.has_due(tx, "pacs", clock.now())
    assert (only(database).state, only(database).tries) == (DeliveryState.WAITING, 0)


def test_what_is_delivered_or_without_a_route_is_not_retried(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    (delivery,) = leased(database, clock)
    owed(database, clock, identifier="01B")
    with database.write("delivery") as tx:
        store.finish(tx, delivery.id, "t", Delivered(), status=0, now=clock.now())
        assert store.retry(tx, [d.id for d in store.deliveries(tx)], clock.now()) == []


def test_what_no_route_took_can_be_routed_anew(database: Database, clock: FakeClock) -> None:
    owed(database, clock)
    with database.write("delivery") as tx:
        assert not store.reroute(tx, only(database).id, (), clock.now())
        assert store.reroute(tx, store.deliveries(tx)[0].id, ("pacs",), clock.now())
    assert [d.instance_id for d in leased(database, clock)] == ["01A"]


def test_the_counts_say_who_waits_and_since_when(database: Database, clock: FakeClock) -> None:
    owed(database, clock, "pacs")
    owed(database, clock, identifier="01B")
    with database.read() as tx:
        assert store.open_counts(tx) == {
            ("pacs", DeliveryState.WAITING): 1,
            (NO_ROUTE, DeliveryState.PARKED): 1,
        }
        assert store.oldest_waiting(tx) == {"pacs": clock.now()}
        assert store.owed_destinations(tx) == {"pacs"}
        assert [d.destination for d in store.deliveries(tx, DeliveryState.PARKED)] == [NO_ROUTE]
        assert store.find(tx, 999) is None
