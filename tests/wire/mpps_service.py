"""The MPPS service on a port of its own: the engine's server, and a provider that hands on to a world of tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.clock import SystemClock
from broker.database import METADATA, Database, sqlite_url
from broker.dimse.acceptor import Server
from broker.dimse.contexts import SUPPORTED, UNCOMPRESSED, Supported
from broker.dimse.limits import Limits
from broker.dimse.service import (
    AcceptedAssociation,
    Answer,
    AssociationRequest,
    FindAnswer,
    FindRequest,
    NormalizedAnswer,
    NormalizedRequest,
    Rejection,
    StoreRequest,
)
from broker.listeners import mpps
from broker.procedures.model import RETRIEVE_SOP_CLASS, SOP_CLASS
from tests.conftest import FakeClock
from tests.unit.procedures.world import World

CONTEXTS = {**SUPPORTED, SOP_CLASS: Supported(UNCOMPRESSED), RETRIEVE_SOP_CLASS: Supported(UNCOMPRESSED)}


@dataclass
class MppsProvider:
    """Answers MPPS alone."""

    world: World

    def admit(self, request: AssociationRequest) -> Rejection | None:
        return None

    def established(self, association: AcceptedAssociation) -> None:
        pass

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        return None

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        pass

    def echo(self, association: AcceptedAssociation) -> Answer:
        return Answer(0x0000)

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        yield FindAnswer(0x0000)

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        return Answer(0xA700)

    def normalized(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        return mpps.normalized(self.world, association, request)


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, World]]:
    """Serve MPPS over an empty database in `folder`; yield the port and the world."""
    database = Database(sqlite_url(folder / "broker.db"))
    METADATA.create_all(database.engine)
    world = World(database, FakeClock())
    server = Server("127.0.0.1", 0, MppsProvider(world), SystemClock(), CONTEXTS, limits=Limits())
    port = server.start()
    try:
        yield port, world
    finally:
        server.stop(2.0)
        database.close()
