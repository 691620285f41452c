"""What began here, and who is live here -> the file that the other world reads."""

from broker.environments.model import World
from broker.exams import begun_store, crossing
from broker.pipeline.here import Here
from broker.tripwires.model import Kind
from broker.tripwires.worlds import live


class WorldsFlow(Here):
    """The two worlds, kept apart."""

    def write_worlds(self) -> None:
        """All that began here -> our file of identifiers, as at every start: a stop may have come between the two."""
        if not self.worlds.watches:
            return
        self.worlds.prepare()
        with self._database.read() as tx:
            self.worlds.begins(begun_store.begun(tx))

    def watch_worlds(self) -> None:
        """Which devices are live here -> our file; what is wrong with either file -> a person.

        Where ours is gone or was cut short, all of it is written again.
        """
        if self._profile.kind is World.PRODUCTION:
            with self._database.read() as tx:
                devices = self._registry.within(tx).modalities
            for each in devices:
                is_live = not (each.retired or each.suspended)
                self.worlds.began(live(each.name, each.ae_titles, Kind.LIVE if is_live else Kind.ENDED))
        self.worlds.seen(())
        if self.worlds.has_lost:
            self.write_worlds()
        tripped = self.worlds.take_problems()
        if tripped:
            with self._database.write("alerts") as tx:
                crossing.tell(tx, tripped, self._profile.name, self._alert)
