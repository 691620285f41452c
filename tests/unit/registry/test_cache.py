import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from sqlalchemy import event

from broker.database import Database
from broker.registry import store
from broker.registry.cache import RegistryCache
from broker.registry.document import read
from tests.conftest import FakeClock
from tests.unit.registry.devices import content
from tests.unit.registry.test_store import ACTOR


def register(database: Database, clock: FakeClock, number: int) -> None:
    given = content(f"us-{number}", f"US_{number}")
    with database.write("registry") as tx:
        store.apply(tx, read(given, "d"), given, ACTOR, clock.now())


def recorded(database: Database) -> list[str]:
    """Return the list to which every further statement is added."""
    statements: list[str] = []
    if database.engine.dialect.name == "sqlite":
        with database.read() as tx:  # the next transaction has the same connection
            cast(sqlite3.Connection, tx.connection.dbapi_connection).set_trace_callback(statements.append)
    else:
        event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    return statements


def test_change_is_seen_as_soon_as_it_is_committed(database: Database, clock: FakeClock) -> None:
    cache = RegistryCache(database)
    assert cache.current().modalities == ()
    register(database, clock, 1)
    assert [device.name for device in cache.current().modalities] == ["us-1"]


def test_registry_is_read_again_only_when_it_has_changed(database: Database, clock: FakeClock) -> None:
    register(database, clock, 1)
    cache = RegistryCache(database)
    first = cache.current()
    statements = recorded(database)
    assert cache.current() is first
    assert sum(statement.lstrip().startswith("SELECT") for statement in statements) == 1


def test_transaction_sees_the_registry_of_its_own_moment(database: Database, clock: FakeClock) -> None:
    cache = RegistryCache(database)
    with database.read() as tx:
        assert cache.within(tx).generation == 0
        register(database, clock, 1)
        assert cache.current().generation == 1
        assert cache.within(tx).modalities == ()
    assert cache.current().generation == 1


def test_threads_that_ask_while_it_changes_never_see_less_than_was_committed(
    database: Database, clock: FakeClock
) -> None:
    cache = RegistryCache(database)

    def ask(committed: int) -> bool:
        registry = cache.current()
        return registry.generation >= committed and len(registry.modalities) == registry.generation

    with ThreadPoolExecutor(4) as pool:
        answers = []
        for number in range(1, 11):
            register(database, clock, number)
            answers += [pool.submit(ask, number) for _ in range(4)]
        assert all(answer.result(20) for answer in answers)
