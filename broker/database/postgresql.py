"""The database on a server. What is written belongs to the stores.

The promises of the embedded one: `REPEATABLE READ READ ONLY` for readers, one advisory lock per room of writers.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text

from broker.database.connections import POOL
from broker.database.tables import METADATA
from broker.statements import Prepared, Values

FROZEN_SECONDS = 60.0
"""After which a transaction in which nothing is asked is undone by the server: a process that stands still in the midst
of one would keep every other writer of its room waiting for as long."""


class Server:
    """The database that a PostgreSQL server keeps."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    def turn(self) -> AbstractContextManager[None]:
        """Wait for nobody: writers of one room wait for each other at the server."""
        return nullcontext()

    @contextmanager
    def begun(self, what: str) -> Iterator[Connection]:
        """Open a transaction, a reading one where nobody writes; closing it undoes what is not committed."""
        with self.engine.connect() as connection:
            if what:
                lock = zlib.crc32(what.encode())
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
            else:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    def check(self) -> None:
        """Check nothing: its files are the server's."""

    def glance(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Return what one query finds, in a transaction of its own."""
        with self.begun("") as connection:
            return statement.rows(connection, values)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=POOL, max_overflow=-1, pool_pre_ping=True)
    _make_partial_indexes_known()

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET idle_in_transaction_session_timeout TO {FROZEN_SECONDS * 1000:.0f}")
        cursor.close()
        connection.commit()

    return engine


def _make_partial_indexes_known() -> None:
    """Tell PostgreSQL's dialect of partial indexes; said where they are declared, it would load with every start."""
    for table in METADATA.tables.values():
        for index in (index for index in table.indexes if "where" in index.info):
            index.dialect_options["postgresql"]["where"] = text(index.info["where"])
