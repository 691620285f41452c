from datetime import UTC, datetime, timedelta

import pytest

from broker.orders.model import StepStatus
from broker.procedures import store
from broker.procedures.visibility import hidden, sees_started
from broker.worklist import store as worklist
from tests.unit.orders.building import step
from tests.unit.procedures.building import creation
from tests.unit.procedures.world import World
from tests.unit.worklist.building import item

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("own", "performers", "hours", "expected"),
    [
        (("US1",), ("US1",), 1, True),
        (("US1", "US1_STORE"), ("US1_STORE",), 24, True),
        (("US1",), ("US1",), 25, False),
        (("US2",), ("US1",), 1, False),
        ((), ("US1",), 1, False),
    ],
)
def test_a_started_step_stays_visible_to_who_started_it(
    own: tuple[str, ...], performers: tuple[str, ...], hours: int, expected: bool
) -> None:
    assert sees_started(own, performers, NOW - timedelta(hours=hours), NOW) is expected


def test_what_is_scheduled_or_started_by_the_ris_alone_is_hidden_from_nobody() -> None:
    started = item(id=2, status=StepStatus.STARTED)
    assert hidden([item(id=1), started], {}, ("US2",), NOW) == frozenset()
    starters = {(1, "S1"): (frozenset({"US1"}), NOW)}
    assert hidden([item(id=1), started], starters, ("US2",), NOW) == {2}
    assert hidden([item(id=1), started], starters, ("US1",), NOW) == frozenset()


def test_a_begun_exam_is_hidden_from_other_rooms(world: World) -> None:
    order_id = world.order(steps=(step("S1"), step("S2")))
    world.create(creation(PerformedStationAETitle="US1_MPPS"))
    with world.database.read() as tx:
        items = worklist.of_order(tx, order_id)
        starters = store.starters(tx, [order_id])
    now = world.clock.now()
    assert hidden(items, starters, ("US2",), now) == {items[0].id}
    assert hidden(items, starters, ("US1",), now) == frozenset()
    assert hidden(items, starters, ("US1",), now + timedelta(hours=25)) == {items[0].id}
