"""States whose database has the newest schema already: made once by the product's migrations, then copied.

Making it takes a quarter of a second, and hundreds of tests need one each. Tests of the first start use none of it.
"""

import tempfile
from functools import cache
from pathlib import Path

from broker import durable, migrations
from broker.database import Database, sqlite_url


@cache
def _content() -> bytes:
    """Return the bytes of an SQLite database after every migration, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "broker.db"
        database = Database(sqlite_url(file))
        migrations.upgrade(database)
        database.close()  # the last connection: what is in the WAL is in the file then
        return file.read_bytes()


def make_state(state: Path) -> None:
    """Make the folder of a state with such a database, where there is none yet."""
    if not state.exists():
        durable.make_directory(state)
        (state / "broker.db").write_bytes(_content())
