"""Leases: rows that one process works on until a time, with a token by which it is known. Knows no table of its own.

Whoever lost a lease no longer holds the row: every change of it is guarded by the token (fencing). What a lease is for,
and the states around it, are its users'.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Table, Update, update

FREE: dict[str, object] = {"lease": "", "lease_ends": None}
"""The columns of a row that nobody works on."""

_NODE_ENDS = "."


def new_token(node: str = "") -> str:
    """Return a token that nobody had before; `node` names the process, where several share a database."""
    return f"{_of(node)}{secrets.token_hex(16)}"


def is_free(row: Row[Any], leased: str, now: datetime) -> bool:
    """Tell whether a row that waits or is leased may be leased: it is due, or the time of who leased it is over."""
    return bool((row.lease_ends if row.state == leased else row.due) <= now)


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases on the rows of a table, which has `state`, `lease` and `lease_ends`."""

    table: Table
    leased: str  # the state of a row that somebody works on
    released: str  # the state it has when it is given back

    def take(self, tx: Connection, token: str, until: datetime, *guard: ColumnElement[bool]) -> int:
        """Lease the rows that the guard names; return how many those are."""
        values = {"state": self.leased, "lease": token, "lease_ends": until}
        return tx.execute(update(self.table).where(*guard).values(values)).rowcount

    def held_by(self, token: str | BindParameter[str]) -> tuple[ColumnElement[bool], ...]:
        """Return the guard of who works on a row under this token."""
        return self.table.c.lease == token, self.table.c.state == self.leased

    def ended(self, now: datetime) -> tuple[ColumnElement[bool], ...]:
        """Return the guard of rows whose worker's time is over."""
        return self.table.c.state == self.leased, self.table.c.lease_ends <= now

    def renew(self, tx: Connection, token: str, until: datetime) -> None:
        """Extend the lease on all that is still held under this token."""
        tx.execute(update(self.table).where(*self.held_by(token)).values(lease_ends=until))

    def give_back(self, tx: Connection, *guard: ColumnElement[bool], **values: object) -> int:
        """Give back what is leased and guarded so, whosever it is; return how many rows. `values` are set beside."""
        return tx.execute(self._given_back().where(*guard).values(values)).rowcount

    def give_back_of(self, tx: Connection, node: str, **values: object) -> int:
        """Give back every lease of a node that starts, or of all without `node`; return how many there were."""
        return self.give_back(tx, self.table.c.lease.startswith(_of(node)), **values)

    def _given_back(self) -> Update:
        return update(self.table).where(self.table.c.state == self.leased).values(state=self.released, **FREE)


def _of(node: str) -> str:
    return f"{node}{_NODE_ENDS}" if node else ""
