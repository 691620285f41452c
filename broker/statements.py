"""Statements of the hot path: compiled once, and given to SQLite's driver as text. Opens and commits nothing."""

import importlib
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Column, Connection, Delete, Dialect, Insert, Select, Table, Update, func, select
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]
"""A statement's values by their names."""

_Converter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as SQLite's driver takes it, and what its types make of values."""

    sql: str
    take: Callable[[Values], Sequence[Any]]  # the values in the statement's order
    converters: tuple[tuple[int, _Converter], ...]
    constants: Values
    row: Callable[[Sequence[Any]], Any]
    results: tuple[tuple[int, _Converter], ...]

    def parameters(self, values: Values) -> Sequence[Any]:
        taken = self.take({**self.constants, **values} if self.constants else values)
        if not self.converters:
            return taken
        converted = list(taken)
        for index, convert in self.converters:
            converted[index] = convert(converted[index])
        return converted

    def shown(self, found: Sequence[Any]) -> Any:
        if not self.results:
            return self.row(found)
        values = list(found)
        for index, convert in self.results:
            values[index] = convert(values[index])
        return self.row(values)


class Prepared:
    """A statement of a hot path. Like `tx.execute`, whose way to SQLite takes ten times as long as SQLite itself.

    There the statement is compiled once and handed to the driver; PostgreSQL, where the way to the server counts,
    gets it by `tx.execute`. It holds no list (`expanding`), and every column whose default is not the database's own.
    """

    def __init__(self, statement: "Select[Any] | Insert | Update | Delete") -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def rows(self, tx: Connection, values: Values) -> Sequence[Any]:
        """Return what a query finds: tuples whose values have their columns' names."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._statement, values).all()
        compiled = self._of(tx, ())
        return [compiled.shown(found) for found in _driven(tx, compiled.sql, compiled.parameters(values)).fetchall()]

    def add(self, tx: Connection, values: Values) -> int:
        """Insert a row and return its id."""
        if tx.dialect.name != "sqlite":
            key = tx.execute(self._statement, values).inserted_primary_key
            assert key is not None
            return int(key[0])
        compiled = self._of(tx, tuple(values))
        return int(_driven(tx, compiled.sql, compiled.parameters(values)).lastrowid or 0)

    def run(self, tx: Connection, *rows: Values) -> None:
        """Do it with each of these values, which have the same names."""
        if tx.dialect.name != "sqlite":
            tx.execute(self._statement, rows)
            return
        compiled = self._of(tx, tuple(rows[0]))
        for values in rows:
            _driven(tx, compiled.sql, compiled.parameters(values))

    def change(self, tx: Connection, values: Values) -> int:
        """Do it once and return how many rows that changed."""
        if tx.dialect.name != "sqlite":
            return tx.execute(self._statement, values).rowcount
        compiled = self._of(tx, tuple(values))
        return _driven(tx, compiled.sql, compiled.parameters(values)).rowcount

    def _of(self, tx: Connection, names: tuple[str, ...]) -> _Compiled:
        found = self._compiled.get(names)
        if found is None:
            found = self._compiled[names] = _compiled(self._statement, tx.dialect, names)
        return found


def _compiled(statement: "Select[Any] | Insert | Update | Delete", dialect: Dialect, names: Sequence[str]) -> _Compiled:
    compiled = cast(Any, statement.compile(dialect=dialect, column_keys=list(names) or None))
    assert not compiled.insert_prefetch and not compiled.update_prefetch, "a default that is not the database's"
    parameters = {name: compiled.binds[name] for name in compiled.positiontup}
    constants = {name: each.value for name, each in parameters.items() if not each.required}
    names_in_order = tuple(compiled.positiontup)
    binders = [parameters[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names_in_order]
    converters = tuple((index, binder) for index, binder in enumerate(binders) if binder is not None)
    columns = tuple(statement.selected_columns) if isinstance(statement, Select) else ()
    readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    row = namedtuple("Row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
    results = tuple((index, reader) for index, reader in enumerate(readers) if reader is not None)
    return _Compiled(str(compiled), _taker(names_in_order), converters, constants, row._make, results)


def _taker(names: tuple[str, ...]) -> Callable[[Values], Sequence[Any]]:
    """Return what takes the values of these names, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


def say(tx: Connection, sql: str) -> None:
    """Do a statement without values, the short way where there is one."""
    if tx.dialect.name == "sqlite":
        _driven(tx, sql, ())
    else:
        tx.exec_driver_sql(sql)


def commit(tx: Connection) -> None:
    """Make durable what the transaction did, the short way where there is one."""
    if tx.dialect.name == "sqlite":
        _ended(tx, cast(sqlite3.Connection, tx.connection.dbapi_connection).commit)
    else:
        tx.commit()


def undo(tx: Connection) -> None:
    """Undo what a transaction of SQLite did, unless it is committed."""
    _ended(tx, cast(sqlite3.Connection, tx.connection.dbapi_connection).rollback)


def _ended(tx: Connection, end: Callable[[], None]) -> None:
    try:
        end()
    except sqlite3.Error as error:
        sql = end.__name__.upper()
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True, dialect=tx.dialect) from error


def _driven(tx: Connection, sql: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
    driver = cast(sqlite3.Connection, tx.connection.dbapi_connection)
    try:
        return driver.execute(sql, parameters)
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True, dialect=tx.dialect) from error


def counts(
    tx: Connection, name: Column[Any], state: Column[Any], states: Collection[str]
) -> dict[tuple[str, str], int]:
    """Return how many rows there are by name and state, of these states alone.

    Where an index begins with both, it is read for those rows only, however many there are of other states.
    """
    found: dict[tuple[str, str], int] = {}
    for each in _names(tx, name):
        query = select(state, func.count()).where(name == each, state.in_(states)).group_by(state)
        found.update({(each, value): int(count) for value, count in tx.execute(query)})
    return found


def _names(tx: Connection, name: Column[Any]) -> Iterator[str]:
    """Yield every value of a column, one look into its index each: DISTINCT would read all of it."""
    query = select(func.min(name))
    while (found := tx.execute(query).scalar()) is not None:
        yield found
        query = select(func.min(name)).where(name > found)


def upsert(tx: Connection, table: Table) -> Any:
    """Return the INSERT of this database's own dialect, which can say what to do `on_conflict`.

    The dialect is loaded when it is needed: PostgreSQL's would cost every start a twentieth of a second.
    """
    name = "postgresql" if tx.dialect.name == "postgresql" else "sqlite"
    return importlib.import_module(f"sqlalchemy.dialects.{name}").insert(table)
