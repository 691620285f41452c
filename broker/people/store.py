"""The person table: users with the hash of their token. Every change is audited with it. Write under `people`."""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, inspect, select, update
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of
from broker.errors import NotFound, Refused
from broker.people.model import Role, User

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOKEN_BYTES = 24  # 192 bits: nobody guesses it, so that a plain hash is enough


class PersonRow(SQLModel, table=True):
    """One user."""

    __tablename__ = "person"

    name: str = Field(primary_key=True, max_length=64)
    role: str
    token_sha256: str = Field(unique=True, max_length=64)
    created: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    disabled: datetime | None = Field(default=None, sa_type=UtcDateTime)


_TABLE = table_of(PersonRow)


def add(tx: Transaction, name: str, role: Role, actor: Actor, now: datetime) -> str:
    """Add a user and return the token, which is kept nowhere. Raises Refused for a bad name or one that is taken."""
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r}: a user's name is 1 to 64 of a-z, 0-9, '.', '_', '-', and begins with a letter or digit"
        )
    if find(tx, name) is not None:
        raise Refused(f"there is a user {name!r}: names are never given twice, the audit refers to them")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"name": name, "role": role.value, "token_sha256": _hash(token), "created": now, "created_by": str(actor)}
    tx.execute(insert(_TABLE).values(values))
    audit.record(tx, AuditEntry(now, actor, "user.add", name, {"role": role.value}))
    return token


def disable(tx: Transaction, name: str, actor: Actor, now: datetime) -> bool:
    """Take a user's rights away for good; False where that was done before.

    Raises NotFound, and Refused for the last administrator in use: nobody could add another.
    """
    user = find(tx, name)
    if user is None:
        raise NotFound(f"there is no user {name!r}: see broker user list")
    if user.disabled is not None:
        return False
    others = [one for one in users(tx) if one.role is Role.ADMINISTRATOR and not one.disabled and one.name != name]
    if user.role is Role.ADMINISTRATOR and not others:
        raise Refused(f"{name} is the last administrator: add another first")
    tx.execute(update(_TABLE).where(_TABLE.c.name == name).values(disabled=now))
    audit.record(tx, AuditEntry(now, actor, "user.disable", name, {"role": user.role.value}))
    return True


def by_token(tx: Transaction, token: str) -> User | None:
    """Return whose token it is, disabled or not."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.token_sha256 == _hash(token))).first()
    return None if row is None else _value(row)


def find(tx: Transaction, name: str) -> User | None:
    """Return one user, disabled or not."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.name == name)).first()
    return None if row is None else _value(row)


def users(tx: Transaction) -> list[User]:
    """Return every user, disabled ones too, by name."""
    return [_value(row) for row in tx.execute(select(_TABLE).order_by(_TABLE.c.name))]


def has_any(tx: Transaction) -> bool:
    """Tell whether there is a user: before the first, nobody has a token to show."""
    there = inspect(tx).has_table(PersonRow.__tablename__)
    return there and bool(tx.execute(select(func.count()).select_from(_TABLE)).scalar())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _value(row: Row[Any]) -> User:
    return User(row.name, Role(row.role), row.created, row.created_by, row.disabled)
