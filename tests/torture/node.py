"""One sender of several on one database: `python -m tests.torture.node PROFILE` delivers until standard input closes.

What `broker serve` does to deliver, without listeners and chores: several of these share a database and a spool.
"""

import logging
import sys
import threading
import time
from pathlib import Path

from broker import clock as clocks
from broker.database import postgresql
from broker.dimse.requestor import EngineRequestor
from broker.environments import profile as profiles
from broker.errors import Unavailable
from broker.journal import configure
from broker.migrations import open_database
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool

_BEAT = 0.05
FROZEN_SECONDS = 2.0  # the product's are 60


def main() -> None:
    """Deliver, a batch after the other."""
    profile = profiles.read(Path(sys.argv[1]))
    configure(profile.name, level=logging.CRITICAL)
    postgresql.FROZEN_SECONDS = FROZEN_SECONDS
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    database = open_database(profile)
    flows = Flows(profile, database, RegistryCache(database), Spool(profile.spool), clocks.from_environment())
    flows.release_leases()
    print("ready", flush=True)
    while not over.is_set():
        for destination in profile.destinations:
            try:
                flows.deliver(destination, EngineRequestor(), stopping=over.is_set)
            except Unavailable:  # the database has no room for us just now
                time.sleep(_BEAT)
        time.sleep(_BEAT)
    database.close()


if __name__ == "__main__":
    main()
