"""What each flow of the intake has at hand, and how it reads a message. Writes nothing."""

from broker.clock import Clock
from broker.database import Database
from broker.environments.model import Profile
from broker.inbox.model import HeaderFacts
from broker.intake.model import Understood
from broker.orders import messages
from broker.orders.messages.context import Context
from broker.orders.model import Refusal
from broker.orders.sources import Sources
from broker.registry.cache import RegistryCache
from broker.registry.model import Registry
from broker.tripwires.worlds import Worlds


class Here:
    """One environment, for the flows of its intake."""

    def __init__(
        self,
        profile: Profile,
        database: Database,
        registry: RegistryCache,
        clock: Clock,
        worlds: Worlds | None = None,
    ) -> None:
        self._worlds = worlds or Worlds(profile)
        self._environment = profile.name
        self._sources = Sources(profile.hl7, profile.name)
        self._database = database
        self._registry = registry
        self._clock = clock
        self._stations: tuple[Registry, frozenset[str]] | None = None  # of the registry as it was last

    def _understood(self, raw: bytes, facts: HeaderFacts, address: str) -> Understood:
        """Translate a message, or say why nothing of it is done."""
        context: Context | None = None
        try:
            context = self._sources.context(facts, address, self._clock.now())
            return Understood(context, messages.translate(raw, context))
        except Refusal as refusal:
            return Understood(context, refusal=refusal)
