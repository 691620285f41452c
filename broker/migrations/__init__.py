"""The schema's history: Alembic revisions, applied at start by whoever opens the database first."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from broker.database import Database

_HERE = Path(__file__).parent


def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision in one transaction; costs one read when it is there already.

    Raises Unavailable when the database does not answer.
    """
    with database.read() as tx:
        if _current(tx) == _head():
            return
    with database.write("migrations") as tx:
        command.upgrade(_config(tx), "head")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = connection
    return config


def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
