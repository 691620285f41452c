"""The files of the embedded database: deleted or replaced under us, what we commit would be in none of them."""

from pathlib import Path

from broker.errors import Unavailable


class Files:
    """The database's file and its WAL, as they were at the first commit."""

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
