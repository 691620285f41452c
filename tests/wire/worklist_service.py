"""The product's DICOM services in this process, on the day and at the time of the golden queries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.database import Database
from broker.dimse.acceptor import Server
from broker.environments import profile as profiles
from broker.listeners.dicom import Services
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.files import FileSpool
from tests.conftest import FakeClock
from tests.peers.broker import Environment
from tests.peers.dcmtk import Node
from tests.wire.worklist_golden import NOW


@contextmanager
def served(folder: Path, fill: Callable[[Database], None]) -> Iterator[Node]:
    """Serve what `fill` puts into a new database; whoever calls is let in."""
    made = Environment(folder, policy='unknown_callers = "accept"').write()
    profile = profiles.read(made.profile)
    database, clock = open_database(profile), FakeClock()
    assert clock.now() == NOW
    fill(database)
    flows = Flows(profile, database, RegistryCache(database), FileSpool(folder / "spool"), clock)
    server = Server("127.0.0.1", 0, Services(flows), clock)
    try:
        yield Node(server.start(), made.ae_title)
    finally:
        server.stop(2.0)
        database.close()
