"""Which started items a device is not shown, from what MPPS has said and its own habit."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.procedures import shown
from broker.registry.model import Habits
from broker.worklist import find
from broker.worklist.model import Viewer
from broker.worklist.query import EVERYTHING
from broker.worklist.stations import Stations
from tests.unit.orders.building import step
from tests.unit.procedures.building import creation
from tests.unit.procedures.world import World

BOTH = Stations({"US": ("US1", "US2")})
US1 = Viewer("us-1", ("US1",), "US", calling=("US1",))
US2 = Viewer("us-2", ("US2",), "US", calling=("US2",))
KEEPS_8 = replace(US1, habits=Habits(keep_started_hours=8))
KEEPS_24 = replace(US1, habits=Habits(keep_started_hours=24))
PROFILE = 12  # started_visible_hours


@pytest.mark.parametrize(
    ("viewer", "hours", "steps"),
    [
        (US1, 0, ["S1", "S2"]),
        (US1, 11, ["S1", "S2"]),
        (US1, 13, ["S2"]),
        (KEEPS_24, 13, ["S1", "S2"]),
        (US2, 0, ["S2"]),
        (KEEPS_8, 7, ["S1", "S2"]),
        (KEEPS_8, 9, ["S2"]),
        (Viewer(calling=("US1",)), 0, ["S1", "S2"]),
        (Viewer(calling=("OTHER",)), 0, ["S2"]),
    ],
)
def test_who_began_an_exam_still_sees_it_for_a_while(
    world: World, viewer: Viewer, hours: int, steps: list[str]
) -> None:
    free: tuple[str, ...] = ()
    world.order(steps=tuple(replace(step(name), scheduled_station_ae_titles=free) for name in ("S1", "S2")))
    world.create(creation(PerformedStationAETitle="US1"))
    now = world.clock.now() + timedelta(hours=hours)
    with world.database.read() as tx:
        found = find.shown(tx, EVERYTHING, viewer, BOTH, now, shown.hides(viewer, PROFILE, now))
    assert [item.scheduled_procedure_step_id for item in found.items] == steps
