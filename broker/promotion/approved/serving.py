"""Which settings an environment serves: Production the approved ones, Test what its file says."""

from broker.audit.model import CLOCK
from broker.clock import Clock
from broker.database import Database
from broker.environments.model import Profile, World
from broker.promotion import settings
from broker.promotion.approved import store

PENDING = "environment.pending"
_FIRST = "the first start of this environment"


def begun(profile: Profile, database: Database, clock: Clock) -> Profile:
    """Return what to serve; at the very first start of Production its files are adopted as they are.

    Raises Misconfigured where what was approved does not hold any more.
    """
    if profile.kind is World.TEST:
        return profile
    with database.write("settings") as tx:
        if store.active(tx) is None:
            store.adopt(tx, settings.of(profile), CLOCK, clock.now(), _FIRST)
    return served(profile, database)


def served(profile: Profile, database: Database) -> Profile:
    """Return what is served; before the first start of Production, what its file says."""
    if profile.kind is World.TEST:
        return profile
    with database.read() as tx:
        active = store.active(tx)
    if active is None or active.settings == settings.of(profile):
        return profile
    return settings.profile_of(active.settings, profile)


def pending(profile: Profile, database: Database) -> list[str]:
    """Return the lines in which Production's files differ from what was approved; none where they do not."""
    if profile.kind is World.TEST:
        return []
    with database.read() as tx:
        active = store.active(tx)
    return [] if active is None else settings.difference(active.settings, settings.of(profile))
