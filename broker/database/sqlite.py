"""The embedded database: one file, one writer at a time. What is written belongs to the stores.

WAL, `synchronous=FULL` (NORMAL loses acknowledged rows at a power cut), writers `BEGIN IMMEDIATE` so that no reader
turns writer and fails, readers `BEGIN` so that every SELECT of a flow sees one state.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from broker.database.connections import POOL, Ready
from broker.database.files import Files
from broker.errors import Unavailable
from broker.statements import Prepared, Values, say, undo

_BUSY_MILLISECONDS = 5000
_CHECKPOINT_PAGES = 4000  # of the WAL (16 MB): with SQLite's 1000 each page is written twice as often
# Of the connection that writes, always the same: the pages of every index stay in it (KiB), and what a savepoint would
# bring back stays in memory. SQLite writes that to a file in the folder for temporary ones otherwise, page by page.
_OF_WRITER = ("cache_size=-32768", "temp_store=MEMORY")


def sqlite_url(path: Path) -> str:
    """Return the URL of the embedded database at `path`."""
    return f"sqlite:///{path}"


class Embedded:
    """The database in a file of ours."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writer = threading.Lock()
        self._files = Files(Path(url.removeprefix("sqlite:///")))
        self._make_ready()

    def _make_ready(self) -> None:
        self._ready = Ready(self.engine)
        self._ready_to_write = Ready(self.engine, *_OF_WRITER)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our other writers: SQLite's own waiting is by chance, some wait for long."""
        if not self._writer.acquire(timeout=_BUSY_MILLISECONDS / 1000):
            raise Unavailable("the database does not answer: another of our writers holds it")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def begun(self, what: str) -> Iterator[Connection]:
        """Open a transaction, a reading one where nobody writes, and undo at the end what was not committed."""
        ready = self._ready_to_write if what else self._ready
        connection = ready.take()
        try:
            say(connection, "BEGIN IMMEDIATE" if what else "BEGIN")
            yield connection
        except DBAPIError:
            connection.close()  # whatever is the matter with it, the next transaction has another
            raise
        except BaseException:
            undo(connection)
            ready.give(connection)
            raise
        undo(connection)
        ready.give(connection)

    def check(self) -> None:
        """Raise Unavailable where a commit would be into files that nobody will ever open again."""
        self._files.check()

    def glance(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Return what one query finds: a statement is a transaction by itself."""
        ready = self._ready
        connection = ready.take()
        try:
            found = statement.rows(connection, values)
        except DBAPIError:
            connection.close()
            raise
        ready.give(connection)
        return found

    def close(self) -> None:
        """Close every connection."""
        self._ready.close()
        self._ready_to_write.close()
        self._make_ready()
        self.engine.dispose()
        self._files.forget()


def _engine(url: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=POOL,
        max_overflow=-1,
        connect_args={"timeout": _BUSY_MILLISECONDS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine
