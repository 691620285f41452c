"""What a command needs of the running broker to do what it does: its intake and its flows. Decides nothing."""

from broker.cli.context import Opened
from broker.environments.model import Profile
from broker.intake import Intake
from broker.pipeline import Flows
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool


def intake_of(here: Opened, profile: Profile | None = None) -> Intake:
    """Return the environment's intake, with another profile where one is given. Raises Misconfigured."""
    return Intake(profile or here.profile, here.database, RegistryCache(here.database), here.clock)


def flows_of(here: Opened, *, begins: bool = False) -> Flows:
    """Return the environment's flows; `begins` to write its spool, where no `serve` does. Raises Unavailable then."""
    registry, spool = RegistryCache(here.database), Spool(here.profile.spool)
    if begins:
        spool.begin()
    return Flows(here.profile, here.database, registry, spool, here.clock)
