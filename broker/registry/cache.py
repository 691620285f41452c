"""The registry as the running broker sees it: asked for every time, read again only when it has changed."""

from broker.database import Database, Transaction
from broker.registry import store
from broker.registry.model import Registry


class RegistryCache:
    """Gives the registry of this moment, so that a change holds as soon as its command has returned.

    Any number of threads may ask: each compares the generation in its own transaction, and the copy that is kept is
    a value that nobody changes. A generation that went back (a restored backup) is a change like any other.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._copy: Registry | None = None

    def current(self) -> Registry:
        """Return the registry as committed now; one indexed read where nothing has changed."""
        copy = self._copy
        if copy is not None and copy.generation == store.generation_now(self._database):
            return copy
        with self._database.read() as tx:
            return self.within(tx)

    def last(self) -> Registry:
        """Return the registry as it was last asked for, without a look at the database where it ever was."""
        return self._copy or self.current()

    def within(self, tx: Transaction) -> Registry:
        """Return the registry as the caller's transaction sees it."""
        copy = self._copy
        if copy is None or copy.generation != store.generation(tx):
            copy = self._copy = store.load(tx)
        return copy
