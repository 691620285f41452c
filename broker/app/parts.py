"""What both processes of an environment are built of."""

import sys

from broker.clock import Clock
from broker.database import Database
from broker.environments.model import Profile
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.room import Room
from broker.spool.spool import Spool

_SWITCH_SECONDS = 0.0005  # a thread that computes must not starve the ones that answer (measured: 60 s against 0.15 s)


def build_flows(profile: Profile, clock: Clock) -> tuple[Flows, Database, Spool]:
    """Return the flows of an environment for this process, and what they stand on."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    database = Database(profile.database_url)
    spool = Spool(profile.spool, Room(profile.spool, profile.disk))
    return Flows(profile, database, RegistryCache(database), spool, clock), database, spool
