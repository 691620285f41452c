"""What every flow has at hand: the profile, the database, the registry, the spool, the clock, and a word to people."""

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.associations import open as associations
from broker.clock import Clock
from broker.commitment.flow import Commitment
from broker.database import Database, Transaction
from broker.dimse.service import AcceptedAssociation
from broker.environments.model import Profile, World
from broker.exams import crossing
from broker.intake import Intake
from broker.journal import log
from broker.pipeline.word import Word
from broker.registry.cache import RegistryCache
from broker.registry.model import Modality, Registry
from broker.spool.spool import Spool
from broker.tripwires.worlds import Worlds


class Here:
    """One environment, for the flows. Every method of a flow may be called from many threads at once."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        self._profile = profile
        self._database = database
        self._registry = registry
        self._spool = spool
        self._clock = clock
        self._open = associations.OpenAssociations()
        self.commitment = Commitment(profile, database, registry, spool, clock, self._alert)
        self.worlds = Worlds(profile)
        self.word = Word()
        self._intake = Intake(profile, database, registry, clock, self.worlds)

    def registry(self, tx: Transaction) -> Registry:
        """Return the registry as this transaction sees it."""
        return self._registry.within(tx)

    def _modality(self, association: AcceptedAssociation) -> Modality | None:
        return self._registry.current().by_calling(association.request.calling_ae_title)

    def _crosses(self, world: World, name: str) -> bool:
        """Tell whether a destination is of the other world; then a person is told, and nothing is sent."""
        tripped = self.worlds.destination_of(world, name)
        if tripped:
            with self._database.write("alerts") as tx:
                crossing.tell(tx, tripped, name, self._alert)
        return bool(tripped)

    def _alert(self, tx: Transaction, event: str, subject: str, text: str) -> None:
        raise_alert(tx, event, subject, Severity.URGENT, text, self._clock.now())
        log.error("alert.raised", alert=event, subject=subject)
