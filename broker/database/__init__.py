"""The database: who may write when, and how instants are kept. The tables belong to the `store.py` of each stage.

`access` is what everybody opens: one writer's transaction, a shared one (`jobs`), a reader's, a glance. `sqlite` and
`postgresql` keep the same promises, each in its own way: the embedded file with `connections` that wait and its
`files` watched. No transaction is held across the network or a page.
"""

from broker.database.access import Database
from broker.database.instants import UtcDateTime
from broker.database.sqlite import sqlite_url
from broker.database.tables import METADATA, Transaction, table_of

__all__ = ["METADATA", "Database", "Transaction", "UtcDateTime", "sqlite_url", "table_of"]
