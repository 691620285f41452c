"""The worklist as a process: `python -m tests.torture.query_server FLOOD` prints its port, serves until stdin closes.

It holds the golden items and devices, and FLOOD further items of modality OT on 1 March 2027. Queries go the product's
own way; every caller is let in, and what a query came to is not recorded.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from broker.clock import SystemClock
from broker.database import METADATA, Database, sqlite_url
from broker.dimse.acceptor import Server
from broker.dimse.service import AcceptedAssociation, AssociationRequest, FindAnswer, FindRequest, Rejection
from broker.registry.cache import RegistryCache
from broker.worklist import find, store
from broker.worklist.viewer import registry_stations, viewer_of
from tests import tables as _tables  # noqa: F401 - every room's tables are declared before a schema is made
from tests.torture.server import Forgetting
from tests.wire.worklist_golden import fill, planned

FLOOD_MODALITY = "OT"
_AT_ONCE = 2_000


class Worklist(Forgetting):
    """Answers queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = RegistryCache(database)
        self._clock = SystemClock()

    def admit(self, request: AssociationRequest) -> Rejection | None:
        return None

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        registry = self._registry.current()
        viewer = viewer_of(registry.by_calling(association.request.calling_ae_title))
        stations = registry_stations(registry)
        yield from find.answers(self._database, request, viewer, stations, self._clock)


def flood(database: Database, count: int) -> None:
    """Add items that are all alike but for their numbers."""
    like = planned()[0]
    for begin in range(0, count, _AT_ONCE):
        with database.write("orders") as tx:
            for number in range(begin, min(begin + _AT_ONCE, count)):
                uid, order_id = f"1.2.4.{number}", 100 + number
                step = replace(
                    like,
                    order_id=order_id,
                    study_instance_uid=uid,
                    accession_number=f"F{number}",
                    modality=FLOOD_MODALITY,
                    scheduled_station_ae_titles=("FLOOD",),
                    scheduled_procedure_step_start_date="20270301",
                )
                store.replace(tx, order_id, (step,))


def main() -> None:
    """Serve until standard input closes."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "broker.db"))
        METADATA.create_all(database.engine)
        fill(database)
        flood(database, int(sys.argv[1]))
        server = Server("127.0.0.1", 0, Worklist(database), SystemClock())
        print(server.start(), flush=True)
        sys.stdin.read()
        server.stop(1.0)
        database.close()


if __name__ == "__main__":
    main()
