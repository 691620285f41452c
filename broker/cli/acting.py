"""What a command needs of the running broker to do what it does: its intake and its flows. Decides nothing.

These are the whole product: they are loaded when a command acts, so that a list of the same noun starts in half.
"""

from typing import TYPE_CHECKING

from broker.cli.context import Opened
from broker.environments.model import Profile
from broker.registry.cache import RegistryCache

if TYPE_CHECKING:
    from broker.intake import Intake
    from broker.pipeline import Flows


def intake_of(here: Opened, profile: Profile | None = None) -> "Intake":
    """Return the environment's intake, with another profile where one is given. Raises Misconfigured."""
    from broker.intake import Intake  # noqa: PLC0415 - see above

    return Intake(profile or here.profile, here.database, RegistryCache(here.database), here.clock)


def flows_of(here: Opened, *, begins: bool = False) -> "Flows":
    """Return the environment's flows; `begins` to write its spool, where no `serve` does. Raises Unavailable then."""
    from broker.pipeline import Flows  # noqa: PLC0415 - see above
    from broker.spool.spool import Spool  # noqa: PLC0415

    registry, spool = RegistryCache(here.database), Spool(here.profile.spool)
    if begins:
        spool.begin()
    return Flows(here.profile, here.database, registry, spool, here.clock)
