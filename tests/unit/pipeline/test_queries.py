"""What is kept of a query."""

from pathlib import Path

from sqlalchemy import text

from broker.database import Database
from broker.dimse.service import AcceptedAssociation, AssociationRequest, FindRequest
from broker.environments import profile as profiles
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.files import FileSpool
from broker.worklist.elements import IMPLICIT_LITTLE_ENDIAN
from tests.conftest import FakeClock
from tests.peers.broker import Environment
from tests.unit.worklist.building import identifier
from tests.wire.worklist_golden import MODALITY_WORKLIST, fill

CONSOLE = AssociationRequest("US_ROOM2", "BROKER_TEST", "127.0.0.1", 4000, "1.2", "X", ())
ASSOCIATION = AcceptedAssociation("0" * 26, CONSOLE, ())


def recorded(database: Database) -> list[tuple[int, str]]:
    """The final status and the items of each query that is kept."""
    with database.read() as tx:
        return [(row.status, row.items) for row in tx.execute(text("SELECT status, items FROM worklist_query"))]


def test_a_console_that_leaves_when_it_has_enough_is_kept_with_what_it_was_shown(tmp_path: Path) -> None:
    profile = profiles.read(Environment(tmp_path).write().profile)
    database, clock = open_database(profile), FakeClock()
    fill(database)
    flows = Flows(profile, database, RegistryCache(database), FileSpool(tmp_path / "spool"), clock)
    flows.begin(ASSOCIATION)
    asked = identifier({}, AccessionNumber="")
    request = FindRequest(1, MODALITY_WORKLIST, IMPLICIT_LITTLE_ENDIAN, asked, lambda: False)
    answers = flows.answer_query(ASSOCIATION, request)
    assert [next(answers).status for _ in range(2)] == [0xFF00, 0xFF00]
    answers.close()  # type: ignore[attr-defined]  # a generator, as the listener closes it
    flows.end(ASSOCIATION, released=False, reason="aborted")
    assert recorded(database) == [(0xFE00, "[3, 4]")]
    database.close()
