"""What every store has in common: where tables are declared, how their constraints are named, what a transaction is.

The tables themselves belong to the stores.
"""

from typing import cast

from sqlalchemy import Connection, MetaData, Table
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA: MetaData = SQLModel.metadata
METADATA.naming_convention = NAMING

Transaction = Connection
"""What a store's functions take: the caller's open transaction. Only the caller commits."""


def table_of(row: type[SQLModel]) -> Table:
    """Return the table behind a row class, for the Core statements of hot paths."""
    return cast(Table, vars(row)["__table__"])
