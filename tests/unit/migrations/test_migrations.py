"""The schema: an upgraded database equals a fresh one, on both databases."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from broker import migrations
from broker.database import METADATA, Database, sqlite_url


def _shape(database: Database) -> dict[str, Any]:
    """Everything of the schema that the database itself tells."""
    inspector = inspect(database.engine)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c.get("default")) for c in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "indexes": sorted(map(_index, inspector.get_indexes(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def _index(found: Mapping[str, Any]) -> str:
    """One index, its condition as text: its clauses are objects that equal none but themselves."""
    return str({**found, "dialect_options": {k: str(v) for k, v in found.get("dialect_options", {}).items()}})


def test_an_upgraded_schema_equals_a_fresh_one(database: Database, database_url: str) -> None:
    fresh = _shape(database)
    METADATA.drop_all(database.engine)
    migrations.upgrade(database)
    assert _shape(database) == fresh


def test_the_models_have_nothing_that_the_migrations_lack(database_url: str) -> None:
    database = Database(database_url)
    migrations.upgrade(database)
    with database.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), METADATA) == []
    database.close()


def test_the_newest_file_is_the_head_of_the_history() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_heads() == [migrations.newest()]


def test_an_upgrade_of_the_newest_schema_changes_nothing(database_url: str) -> None:
    database = Database(database_url)
    migrations.upgrade(database)
    before = _shape(database)
    migrations.upgrade(database)
    assert _shape(database) == before
    database.close()


def test_databases_are_migrated_at_the_same_time_by_one_process(tmp_path: Path) -> None:
    databases = [Database(sqlite_url(tmp_path / f"{number}.db")) for number in range(4)]
    with ThreadPoolExecutor(len(databases)) as threads:
        list(threads.map(migrations.upgrade, databases))
    assert all("alert" in inspect(database.engine).get_table_names() for database in databases)
    for database in databases:
        database.close()
