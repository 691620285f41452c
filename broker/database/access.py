"""One environment's database, opened: a transaction to write, a shared one, one to read, a glance.

What is written and read belongs to the stores; how each database keeps its promises, to `sqlite` and `postgresql`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from broker import failpoints
from broker.database.jobs import Jobs
from broker.database.postgresql import Server
from broker.database.sqlite import Embedded
from broker.database.tables import Transaction
from broker.errors import Unavailable
from broker.statements import Prepared, Values, commit

_T = TypeVar("_T")


class Database:
    """One environment's database. Raises Unavailable where the database is at fault."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._side: Embedded | Server = Embedded(url) if url.startswith("sqlite") else Server(url)
        self._jobs = Jobs(self.write)

    @property
    def engine(self) -> Engine:
        """The engine, for migrations and for tests that look at a query plan."""
        return self._side.engine

    @contextmanager
    def write(self, what: str) -> Iterator[Transaction]:
        """Open a writing transaction and commit it at the end of the block; roll back when the block raises.

        `what` names its failpoints (`<what>.commit`) and the lock under which PostgreSQL's writers of the same
        kind follow each other, so that read-then-write is safe on both databases.
        """
        side = self._side
        with side.turn(), _database_errors(), side.begun(what) as connection:
            yield connection
            side.check()
            _commit(connection, what)
        failpoints.hit(f"{what}.commit.after")

    def together(self, what: str, work: Callable[[Transaction], _T]) -> _T:
        """Return `work(tx)`, done in a writing transaction that it may share: one commit for all who wait.

        What `work` raises undoes its own part only. It may be called twice, where the first try fell with another's.
        """
        return self._jobs.do(what, work)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a reading transaction: everything read in the block belongs to one state of the database."""
        with _database_errors(), self._side.begun("") as connection:
            yield connection

    def glance(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Return what one query finds, in a transaction of its own; on SQLite a statement is one by itself."""
        with _database_errors():
            return self._side.glance(statement, values)

    def close(self) -> None:
        """Close every connection."""
        self._side.close()


def _commit(connection: Connection, what: str) -> None:
    try:
        failpoints.hit(f"{what}.commit.before")
        commit(connection)
    except OSError as error:
        raise Unavailable(f"the database cannot be written: {error.strerror}") from error


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(f"the database does not answer: {error.orig}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable(f"the database connection broke: {error.orig}") from error
        if type(error) is DatabaseError:  # SQLite: malformed, or no database at all
            raise Unavailable(f"the database is damaged: {error.orig}") from error
        raise
