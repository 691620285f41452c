"""The audit table: rows are added, never changed."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Text, insert, select
from sqlmodel import Field, SQLModel

from broker.audit.model import Actor, ActorKind, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of


class AuditRow(SQLModel, table=True):
    """One act."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    actor_kind: str
    actor_name: str
    action: str = Field(index=True)
    subject: str = Field(index=True)
    detail: str = Field(sa_type=Text)


_TABLE = table_of(AuditRow)


def record(tx: Transaction, entry: AuditEntry) -> None:
    """Add the entry in the caller's transaction, the one that makes the change."""
    tx.execute(
        insert(_TABLE).values(
            at=entry.at,
            actor_kind=entry.actor.kind.value,
            actor_name=entry.actor.name,
            action=entry.action,
            subject=entry.subject,
            detail=json.dumps(entry.detail, default=str),
        )
    )


def entries(tx: Transaction) -> Iterable[AuditEntry]:
    """Return every entry, oldest first."""
    for row in tx.execute(select(_TABLE).order_by(_TABLE.c.id)):
        actor = Actor(ActorKind(row.actor_kind), row.actor_name)
        yield AuditEntry(row.at, actor, row.action, row.subject, json.loads(row.detail))
