"""What every test may ask for: a clock to shift, an empty database of each kind, the sample corpus."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from _pytest.nodeid import coerce_node_id
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from broker.database import METADATA, Database, sqlite_url

# Every room's tables are declared before a schema is made.
from tests import tables as _tables  # noqa: F401
from tests.peers import nursery, postgresql


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Let a group's tests run on one worker: pytest-xdist 3.8 says so in an attribute that pytest 9.2 does not read."""
    yield
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped:
            item._id = coerce_node_id(grouped)


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session", autouse=True)
def _nursery() -> Iterator[None]:
    """Programs of ours are forked from a process that has the product imported, which the first of them starts."""
    with nursery.opened():
        yield


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture(scope="session")
def _postgresql_template(_postgresql_server: str) -> str:
    """The name of a database with every table, of which others are made in a fifth of the time."""
    with _admin(_postgresql_server) as admin:
        admin.execute(text("CREATE DATABASE broker_tables"))
    _make_tables(f"{_postgresql_server}/broker_tables")
    return "broker_tables"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with every table."""
    file = tmp_path_factory.mktemp("tables") / "broker.db"
    _make_tables(sqlite_url(file))
    return file


class _Shared:
    """A PostgreSQL database with every table, emptied after each test; made anew where a test changed the schema."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._name = ""

    def url(self) -> str:
        """The URL of it, with every table and no row."""
        if not self._name:
            self._name = f"t{uuid.uuid4().hex}"
            with _admin(self._server) as admin:
                admin.execute(text(f"CREATE DATABASE {self._name} TEMPLATE {self._template}"))
        return f"{self._server}/{self._name}"

    def give_back(self) -> None:
        """Leave it as it was found, or drop it."""
        if not self._is_emptied():
            with _admin(self._server) as admin:
                admin.execute(text(f"DROP DATABASE {self._name} WITH (FORCE)"))
            self._name = ""

    def _is_emptied(self) -> bool:
        engine = create_engine(self.url(), poolclass=NullPool)
        try:
            with engine.begin() as connection:
                found = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
                if {row.tablename for row in found} != set(METADATA.tables):
                    return False
                connection.execute(text("SET LOCAL lock_timeout = '2s'"))
                connection.exec_driver_sql(_EMPTIED)
        except OperationalError:  # something of the test still holds a row
            return False
        return True


_EMPTIED = "".join(f"DELETE FROM {table.name};" for table in reversed(METADATA.sorted_tables)) + (
    "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
)


@pytest.fixture(scope="session")
def _shared_postgresql(_postgresql_server: str, _postgresql_template: str) -> _Shared:
    return _Shared(_postgresql_server, _postgresql_template)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, _postgresql_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database: with every table where `database` is asked for too, else empty."""
    if "database" in request.fixturenames:
        shared = request.getfixturevalue("_shared_postgresql")
        yield shared.url()
        shared.give_back()
        return
    name = f"t{uuid.uuid4().hex}"
    with _admin(_postgresql_server) as admin:
        admin.execute(text(f"CREATE DATABASE {name}"))
        yield f"{_postgresql_server}/{name}"
        admin.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def _admin(server: str) -> Iterator[Connection]:
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _make_tables(url: str) -> None:
    made = Database(url)
    METADATA.create_all(made.engine)
    made.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.foreign)],
)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of each kind: with every table where `database` is asked for too, else empty."""
    if request.param == "postgresql":
        yield request.getfixturevalue("postgresql_url")
        return
    if "database" in request.fixturenames:
        shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "broker.db")
    yield sqlite_url(tmp_path / "broker.db")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with every table and no row, on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def samples() -> Path | None:
    """The folder of the large sample corpus, or None where `$BROKER_SAMPLES` does not name one."""
    folder = os.environ.get("BROKER_SAMPLES")
    return Path(folder) if folder else None


def pytest_report_header() -> str:
    """Say in a line whether the sample corpus is used."""
    folder = os.environ.get("BROKER_SAMPLES")
    return f"sample corpus: {folder}" if folder else "sample corpus: none (BROKER_SAMPLES is not set): fixtures/ alone"
