"""The database: who may write when, and how instants are kept. The tables belong to the `store.py` of each stage.

SQLite: WAL, `synchronous=FULL` (NORMAL loses acknowledged rows at a power cut), writers `BEGIN IMMEDIATE` so that no
reader turns writer and fails, readers `BEGIN` so that every SELECT of a flow sees one state. PostgreSQL: the same
promises by `REPEATABLE READ READ ONLY` for readers and one advisory lock per room of writers.
No transaction is held across the network or a page.
"""

import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from broker import failpoints
from broker.errors import BrokerError, Unavailable
from broker.statements import Prepared, Values, commit, say, undo

_T = TypeVar("_T")

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: MetaData = SQLModel.metadata
METADATA.naming_convention = NAMING

_BUSY_MILLISECONDS = 5000
_CHECKPOINT_PAGES = 4000  # of the WAL (16 MB): with SQLite's 1000 each page is written twice as often
_WRITER_CACHE_KIB = 32_768  # of the connection that writes, always the same: the pages of every index stay in it
_POOL = 32  # connections kept; there may be more for a while

Transaction = Connection
"""What a store's functions take: the caller's open transaction. Only the caller commits."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in, aware UTC out, on every database. A naive value is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """Return what makes of an instant what the driver takes: for SQLite the text, in a third of the usual steps."""
        return _text_in_utc if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants; keep UTC (SQLite drops zones)."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the instant back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _text_in_utc(value: datetime | None) -> str | None:
    """Return an instant as SQLAlchemy stores it in SQLite."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]


class _Job(Generic[_T]):
    """What one caller wants done in a transaction, and what came of it."""

    def __init__(self, work: Callable[[Transaction], _T]) -> None:
        self._work = work
        self._result: _T | None = None
        self._error: BrokerError | None = None
        self.tried = False
        self.done = False

    def run_alone(self, tx: Transaction) -> None:
        """Do it; what it raises undoes the whole transaction."""
        self._error = None
        self._result = self._work(tx)
        self.done = True

    def run_beside_others(self, tx: Transaction) -> None:
        """Do it; what it raises undoes this part, and is kept for the caller."""
        say(tx, "SAVEPOINT job")
        try:
            self._result = self._work(tx)
            self._error = None
        except BrokerError as error:
            say(tx, "ROLLBACK TO SAVEPOINT job")
            self._error = error
        say(tx, "RELEASE SAVEPOINT job")

    def outcome(self) -> _T:
        """Return the result, or raise what stopped it."""
        if self._error is not None:
            raise self._error
        return cast(_T, self._result)


class _Files:
    """The files of the embedded database: deleted or replaced under us, what we commit would be in none of them."""

    def __init__(self, path: Path) -> None:
        self._paths = (path, Path(f"{path}-wal"))
        self._known: tuple[int, ...] = ()

    def check(self) -> None:
        """Raise Unavailable when they are not those of the first commit."""
        try:
            found = tuple([path.stat().st_ino for path in self._paths])
        except FileNotFoundError as error:
            raise Unavailable(f"{error.filename} is gone: stop, put it back or restore a backup") from error
        if self._known and found != self._known:
            raise Unavailable(f"{self._paths[0]} or its WAL was replaced while it was in use: restart")
        self._known = found

    def forget(self) -> None:
        """Know none: nothing is open any more, and SQLite removes the WAL itself."""
        self._known = ()


class _Ready:
    """Connections of the embedded database that wait for their next transaction; the last used is the next.

    Taking one from SQLAlchemy's pool and giving it back costs ten times what a short transaction itself does. We say
    BEGIN, COMMIT and ROLLBACK to the driver; to SQLAlchemy each is in one transaction that never ends. `cache_kib` is
    a cache of its own size.
    """

    def __init__(self, engine: Engine, cache_kib: int = 0) -> None:
        self._engine = engine
        self._cache_kib = cache_kib
        self._free: list[Connection] = []
        self._is_over = False

    def take(self) -> Connection:
        """Return a connection with no transaction of ours."""
        try:
            return self._free.pop()
        except IndexError:
            connection = self._engine.connect()
            connection.begin()
            if self._cache_kib:
                say(connection, f"PRAGMA cache_size=-{self._cache_kib}")
            return connection

    def give(self, connection: Connection) -> None:
        """Take back a connection that has none again; of more than a pool has, it is closed."""
        if self._is_over or len(self._free) >= _POOL:
            connection.close()
        else:
            self._free.append(connection)

    def close(self) -> None:
        """Close those that wait, and the others when they come back."""
        self._is_over = True
        while self._free:
            self._free.pop().close()


class Database:
    """One environment's database. Raises Unavailable where the database is at fault."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._waiting: dict[str, list[_Job[Any]]] = {}
        self._waiting_lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._writer = threading.Lock()  # of the embedded database, which has one at a time
        self._engine = _sqlite_engine(url) if url.startswith("sqlite") else _postgresql_engine(url)
        self._files = _Files(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite") else None
        self._ready = _Ready(self._engine)
        self._ready_to_write = _Ready(self._engine, _WRITER_CACHE_KIB)

    @property
    def engine(self) -> Engine:
        """The engine, for migrations and for tests that look at a query plan."""
        return self._engine

    @contextmanager
    def write(self, what: str) -> Iterator[Transaction]:
        """Open a writing transaction and commit it at the end of the block; roll back when the block raises.

        `what` names its failpoints (`<what>.commit`) and the lock under which PostgreSQL's writers of the same
        kind follow each other, so that read-then-write is safe on both databases.
        """
        with self._turn(), _database_errors(), self._begun(what) as connection:
            yield connection
            if self._files:
                self._files.check()
            _commit(connection, what)
        failpoints.hit(f"{what}.commit.after")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for our other writers of an embedded database: SQLite's own waiting is by chance, some wait for long."""
        if not self._files:
            yield
            return
        if not self._writer.acquire(timeout=_BUSY_MILLISECONDS / 1000):
            raise Unavailable("the database does not answer: another of our writers holds it")
        try:
            yield
        finally:
            self._writer.release()

    def together(self, what: str, work: Callable[[Transaction], _T]) -> _T:
        """Return `work(tx)`, done in a writing transaction that it may share: one commit for all who wait.

        What `work` raises undoes its own part only. It may be called twice, where the first try fell with another's.
        """
        job = _Job(work)
        with self._waiting_lock:
            self._waiting.setdefault(what, []).append(job)
        # In turn, which lets more of them gather for the next commit than waking all at once did (measured: a tenth).
        with self._turns[what]:
            if not job.tried:
                with self._waiting_lock:
                    jobs = self._waiting.pop(what)
                self._work_off(what, jobs)
            if not job.done:  # nobody else waits, or it fell with another's
                with self.write(what) as tx:
                    job.run_alone(tx)
        return job.outcome()

    def _work_off(self, what: str, jobs: "list[_Job[Any]]") -> None:
        """Do several jobs in one transaction, or leave each to be done alone."""
        for job in jobs:
            job.tried = True
        if len(jobs) == 1:
            return
        finished = False
        try:
            with self.write(what) as tx:
                for job in jobs:
                    job.run_beside_others(tx)
            finished = True
        finally:
            for job in jobs:
                job.done = finished

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a reading transaction: everything read in the block belongs to one state of the database."""
        with _database_errors(), self._begun("") as connection:
            yield connection

    def glance(self, statement: Prepared, values: Values) -> Sequence[Any]:
        """Return what one query finds, in a transaction of its own; on SQLite a statement is one by itself."""
        if not self._files:
            with self.read() as tx:
                return statement.rows(tx, values)
        ready = self._ready
        connection = ready.take()
        with _database_errors():
            try:
                found = statement.rows(connection, values)
            except DBAPIError:
                connection.close()
                raise
        ready.give(connection)
        return found

    @contextmanager
    def _begun(self, what: str) -> Iterator[Connection]:
        """Open a transaction, a reading one where nobody writes, and undo at the end what was not committed."""
        if not self._files:
            with self._engine.connect() as connection:
                _begin_on_server(connection, what)
                yield connection  # closing it rolls back
            return
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

    def close(self) -> None:
        """Close every connection."""
        self._ready.close()
        self._ready_to_write.close()
        self._ready = _Ready(self._engine)
        self._ready_to_write = _Ready(self._engine, _WRITER_CACHE_KIB)
        self._engine.dispose()
        if self._files:
            self._files.forget()


def table_of(row: type[SQLModel]) -> Table:
    """Return the table behind a row class, for the Core statements of hot paths."""
    return cast(Table, vars(row)["__table__"])


def sqlite_url(path: Path) -> str:
    """Return the URL of the embedded database at `path`."""
    return f"sqlite:///{path}"


def _begin_on_server(connection: Connection, what: str) -> None:
    if what:
        lock = zlib.crc32(what.encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


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


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_POOL,
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


def _make_partial_indexes_known() -> None:
    """Tell PostgreSQL's dialect of partial indexes; said where they are declared, it would load with every start."""
    for table in METADATA.tables.values():
        for index in (index for index in table.indexes if "where" in index.info):
            index.dialect_options["postgresql"]["where"] = text(index.info["where"])


def _postgresql_engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=_POOL, max_overflow=-1, pool_pre_ping=True)
    _make_partial_indexes_known()

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()

    return engine
