"""What every test may ask for: a clock to shift, an empty database of each kind, the sample corpus."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from broker.database import METADATA, Database, sqlite_url

# Every room's tables are declared before a schema is made.
from tests import tables as _tables  # noqa: F401
from tests.peers import postgresql


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


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def postgresql_url(_postgresql_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    name = f"t{uuid.uuid4().hex}"
    with ExitStack() as stack:
        admin = create_engine(f"{_postgresql_server}/postgres", isolation_level="AUTOCOMMIT")
        stack.callback(admin.dispose)
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield f"{_postgresql_server}/{name}"
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.foreign)],
)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database without tables, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "broker.db")
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database with every table, on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    METADATA.create_all(opened.engine)
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
