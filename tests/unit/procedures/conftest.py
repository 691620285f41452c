import pytest

from broker.database import Database
from tests.conftest import FakeClock
from tests.unit.procedures.world import World


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World(database, clock)
