"""The schema's history: Alembic revisions, applied at start by whoever opens the database first."""

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from broker import durable
from broker.database import Database
from broker.environments.model import Profile
from broker.errors import Unavailable

_HERE = Path(__file__).parent
_RUNNING = threading.Lock()  # Alembic keeps what it is doing in its modules: one run at a time in a process


def open_database(profile: Profile) -> Database:
    """Open an environment's database, made and migrated where needed. Raises Unavailable when it does not answer."""
    try:
        durable.make_directory(profile.state)
    except OSError as error:
        raise Unavailable(f"{profile.file.name}: state: cannot make {profile.state}: {error.strerror}") from error
    database = Database(profile.database_url)
    upgrade(database)
    return database


def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision in one transaction; costs one read when it is there already.

    Raises Unavailable when the database does not answer.
    """
    with database.read() as tx:
        if _current(tx) == newest():
            return
    with database.write("migrations") as tx, _RUNNING:
        _run(tx)


def newest() -> str:
    """Return the newest revision: files are named `r<revision>_<what>.py`, in rising order."""
    return max(path.name[1:].partition("_")[0] for path in (_HERE / "versions").glob("r*.py"))


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a sixth of the start, and needed once in a schema's life
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
