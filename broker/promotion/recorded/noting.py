"""Takes note of the settings that a serve begins with, so that later evidence says under which it was gathered."""

from broker import __version__
from broker.clock import Clock
from broker.database import Database
from broker.environments.model import Profile
from broker.promotion import settings
from broker.promotion.recorded import store
from broker.promotion.recorded.model import InForce


def note(database: Database, profile: Profile, clock: Clock) -> bool:
    """Keep what is in force from now on; False where nothing has changed."""
    now = InForce(clock.now(), settings.hashes(profile), __version__)
    with database.write("promotion") as tx:
        return store.take_note(tx, now)
