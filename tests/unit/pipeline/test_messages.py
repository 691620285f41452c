"""Which orders receivers are told of when images are available."""

from pathlib import Path

from broker.database import Database
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.outbox import store as outbox
from broker.pipeline import Flows
from broker.procedures import flow
from broker.registry.cache import RegistryCache
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.peers.broker import Environment
from tests.unit.orders.building import STATED
from tests.unit.outbox.test_available import delivered, received
from tests.unit.procedures.world import World, stated

RECEIVER = '[[receivers]]\nname = "ris"\nhost = "127.0.0.1"\nport = 1\nquiet_seconds = 60\n'


def test_an_order_whose_exams_were_all_taken_back_is_not_told_of_images(tmp_path: Path) -> None:
    profile = profiles.read(Environment(tmp_path, destinations=RECEIVER).write().profile)
    database, clock = open_database(profile), FakeClock()
    flows = Flows(profile, database, RegistryCache(database), FileSpool(tmp_path / "spool"), clock)
    world = World(database, clock)
    wrong, right = world.order(), world.order(stated(2))
    world.create()
    world.set()
    received(database, clock, "01A", STATED["study_instance_uid"])
    received(database, clock, "01B", "1.2.3.2")
    delivered(database, clock)
    clock.advance(61)
    with database.write("orders") as tx:
        flow.unlink_by_person(tx, world.stored(), wrong, "", "os-user:olga", "wrong entry", world.here())
    flows.note_available_images()
    assert (told(database, wrong), told(database, right)) == ([], ["images-available"])
    with database.write("orders") as tx:
        flow.link_by_person(tx, world.stored(), wrong, "", "os-user:olga", world.here())
    clock.advance(3601)  # it is looked at again
    flows.note_available_images()
    assert told(database, wrong) == ["images-available"]
    database.close()


def told(database: Database, order_id: int) -> list[str]:
    """What the receiver is owed of an order."""
    with database.read() as tx:
        return [message.event.value for message in outbox.of_order(tx, order_id)]
