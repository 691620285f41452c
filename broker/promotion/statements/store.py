"""The promotion_statement table: what people said of checks. Added, never changed. Write under `promotion`."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, insert, select
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of
from broker.identifiers import AETitle
from broker.promotion.model import Fingerprint
from broker.promotion.statements.model import Kind, Statement
from broker.registry.model import Binding


class PromotionStatementRow(SQLModel, table=True):
    """What a person said of one check of one device."""

    __tablename__ = "promotion_statement"

    id: int | None = Field(default=None, primary_key=True)
    device: str = Field(index=True, max_length=64)
    check: str = Field(max_length=64)
    kind: str
    text: str = Field(sa_type=Text)
    by: str
    at: datetime = Field(sa_type=UtcDateTime)
    revision: str = Field(max_length=64)
    binding: str = Field(sa_type=Text)
    software: str
    fingerprint: str = Field(sa_type=Text)


_TABLE = table_of(PromotionStatementRow)


def add(tx: Transaction, statement: Statement, actor: Actor) -> int:
    """Keep what a person says; return its number. The audit has it under his name."""
    values = asdict(statement) | {
        "kind": statement.kind.value,
        "binding": json.dumps(asdict(statement.binding)),
        "fingerprint": json.dumps(asdict(statement.fingerprint)),
    }
    values.pop("id")
    key = tx.execute(insert(_TABLE).values(values)).inserted_primary_key
    assert key is not None
    detail: dict[str, object] = {"check": statement.check, "text": statement.text, "revision": statement.revision}
    audit.record(tx, AuditEntry(statement.at, actor, f"promotion.{statement.kind.value}", statement.device, detail))
    return int(key[0])


def statements(tx: Transaction, device: str) -> list[Statement]:
    """Return what was said of a device, newest first."""
    query = select(_TABLE).where(_TABLE.c.device == device).order_by(_TABLE.c.id.desc())
    return [_value(row) for row in tx.execute(query)]


def _value(row: Row[Any]) -> Statement:
    return Statement(
        device=row.device,
        check=row.check,
        kind=Kind(row.kind),
        text=row.text,
        by=row.by,
        at=row.at,
        revision=row.revision,
        binding=_binding(json.loads(row.binding)),
        software=row.software,
        fingerprint=Fingerprint(**json.loads(row.fingerprint)),
        id=row.id,
    )


def _binding(found: dict[str, Any]) -> Binding:
    titles = {key: AETitle(found[key]) if found[key] else None for key in ("ae_title", "station")}
    return Binding(found["host"], found["port"], **titles)
