"""Connections of the embedded database that wait for their next transaction. It opens no transaction of ours."""

from sqlalchemy import Connection, Engine

from broker.statements import say

POOL = 32
"""Connections kept; there may be more for a while."""


class Ready:
    """Connections that wait for their next transaction; the last used is the next.

    Taking one from SQLAlchemy's pool and giving it back costs ten times what a short transaction itself does. We say
    BEGIN, COMMIT and ROLLBACK to the driver; to SQLAlchemy each is in one transaction that never ends. `pragmas` are
    said to each connection before its first.
    """

    def __init__(self, engine: Engine, *pragmas: str) -> None:
        self._engine = engine
        self._pragmas = pragmas
        self._free: list[Connection] = []
        self._is_over = False

    def take(self) -> Connection:
        """Return a connection with no transaction of ours."""
        try:
            return self._free.pop()
        except IndexError:
            connection = self._engine.connect()
            connection.begin()
            for pragma in self._pragmas:
                say(connection, f"PRAGMA {pragma}")
            return connection

    def give(self, connection: Connection) -> None:
        """Take back a connection that has none again; of more than a pool has, it is closed."""
        if self._is_over or len(self._free) >= POOL:
            connection.close()
        else:
            self._free.append(connection)

    def close(self) -> None:
        """Close those that wait, and the others when they come back."""
        self._is_over = True
        while self._free:
            self._free.pop().close()
