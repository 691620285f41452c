"""When a receiver is told that images are available: received, quiet, delivered, and of an order that is known."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.delivery import studies as delivered_studies
from broker.delivery.state import Delivered
from broker.environments.model import OrderEvent
from broker.orders.model import StoredOrder
from broker.outbox import available, studies
from broker.outbox.studies import AwaitedStudy
from broker.spool import store as spool
from broker.spool.model import SpooledInstance
from tests.conftest import FakeClock
from tests.unit.outbox.examples import RIS, STUDY, all_messages, order
from tests.unit.spool.test_store import instance

QUIET = replace(RIS, quiet_seconds=60)


def received(
    database: Database, clock: FakeClock, identifier: str, study: str = STUDY, to: tuple[str, ...] = ("pacs",)
) -> None:
    known = instance(identifier, f"1.2.{identifier[-1]}")
    facts = replace(known.facts, received=clock.now())
    arrived: SpooledInstance = replace(known, facts=facts, study_instance_uid=study)
    with database.write("spool-index") as tx:
        spool.add(tx, arrived)
        deliveries.owe(tx, identifier, to, clock.now())


def delivered(database: Database, clock: FakeClock) -> None:
    with database.write("delivery-lease") as tx:
        leased = deliveries.lease(tx, "pacs", clock.now(), 10, token="t", lease_seconds=60)
    with database.write("delivery-outcome") as tx:
        for delivery, _ in leased:
            deliveries.finish(tx, delivery.id, "t", Delivered(), status=0, now=clock.now())


def told(database: Database, clock: FakeClock, *known: StoredOrder) -> int:
    """The chore: note what came, tell of what is settled."""

    def find(_tx: Transaction, _study: str) -> Iterable[StoredOrder]:
        return known

    now = clock.now()
    with database.write("outbox") as tx:
        delivered_studies.note_studies(tx, [QUIET.name])
        settled = delivered_studies.settled_studies(tx, "ris", available.quiet_since(QUIET, now), now, available.BATCH)
        return available.tell(tx, QUIET, settled, find, now)


def test_images_are_available_once_quiet_and_delivered_and_told_once(database: Database, clock: FakeClock) -> None:
    received(database, clock, "01A")
    clock.advance(59)
    delivered(database, clock)
    assert told(database, clock, order()) == 0  # more may come
    received(database, clock, "01B")
    clock.advance(60)
    assert told(database, clock, order()) == 0  # one is not delivered
    delivered(database, clock)
    assert told(database, clock, order()) == 1
    (message,) = all_messages(database)
    assert (message.event, message.step_ids) == (OrderEvent.IMAGES_AVAILABLE, ())
    received(database, clock, "01C")
    delivered(database, clock)
    clock.advance(60)
    assert told(database, clock, order()) == 0  # the receiver knows


def test_instance_without_a_route_is_not_delivered(database: Database, clock: FakeClock) -> None:
    received(database, clock, "01A", to=())
    clock.advance(3600)
    assert told(database, clock, order()) == 0


def test_study_without_an_order_is_looked_at_again_for_a_week(database: Database, clock: FakeClock) -> None:
    received(database, clock, "01A")
    delivered(database, clock)
    clock.advance(60)
    assert told(database, clock) == 0
    assert told(database, clock, order()) == 0  # not looked at before an hour
    clock.advance(3600)
    assert told(database, clock, order()) == 1


def test_order_that_is_canceled_or_of_another_study_is_left_alone() -> None:
    canceled, other = replace(order(), canceled=True), order(study_instance_uid="9.9")
    assert available.orders_to_tell(STUDY, [canceled, other, order()]) == [order()]


@pytest.mark.parametrize(("age", "again"), [(timedelta(days=6), True), (timedelta(days=7), False)])
def test_a_study_without_an_order_is_given_up_after_a_week(clock: FakeClock, age: timedelta, again: bool) -> None:
    now: datetime = clock.now()
    found = available.ask_again(AwaitedStudy("ris", STUDY, now - age), now)
    assert (found is not None) is again


def test_receivers_are_asked_for_by_what_they_want() -> None:
    deaf = replace(RIS, name="deaf", events=(OrderEvent.STARTED,))
    assert available.wanting((RIS, deaf)) == (RIS,)


def test_nothing_is_looked_at_twice(database: Database, clock: FakeClock) -> None:
    received(database, clock, "01A")
    received(database, clock, "01B", study="")
    with database.write("outbox") as tx:
        assert delivered_studies.note_studies(tx, ["ris"], limit=1) == 1
        assert delivered_studies.note_studies(tx, ["ris"]) == 1
        assert delivered_studies.note_studies(tx, ["ris"]) == 0
        assert len(studies.awaited_studies(tx, "ris", clock.now(), clock.now())) == 1


def test_studies_that_are_not_delivered_do_not_hold_up_others(database: Database, clock: FakeClock) -> None:
    for number in range(5):
        received(database, clock, f"01{number}", study=f"1.{number + 1}", to=("away",))
    received(database, clock, "01A")
    delivered(database, clock)
    clock.advance(60)
    with database.write("outbox") as tx:
        delivered_studies.note_studies(tx, ["ris"])
        settled = delivered_studies.settled_studies(tx, "ris", clock.now(), clock.now(), 1)
    assert [study.study_instance_uid for study in settled] == [STUDY]
