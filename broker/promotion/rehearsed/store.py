"""The promotion_rehearsal table: what was rehearsed, by whom, and how it went. Added, never changed.

Write under `promotion`.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, insert, select
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of
from broker.promotion import store
from broker.promotion.model import CheckResult, Life


class PromotionRehearsalRow(SQLModel, table=True):
    """One rehearsal."""

    __tablename__ = "promotion_rehearsal"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
    by: str
    plan_checksum: str = Field(max_length=64)
    revision: str = Field(max_length=64)
    titles: str = Field(sa_type=Text)
    is_good: bool
    results: str = Field(sa_type=Text)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One rehearsal of a plan, and what came of each step."""

    name: str
    at: datetime
    by: str
    plan_checksum: str
    revision: str
    titles: tuple[str, ...]  # under which the device would call
    results: tuple[CheckResult, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing stood in the way."""
        return not any(each.is_open for each in self.results)


_TABLE = table_of(PromotionRehearsalRow)


def add(tx: Transaction, rehearsal: Rehearsal, actor: Actor) -> None:
    """Keep that a plan was rehearsed; the audit has it too."""
    values = {
        "name": rehearsal.name,
        "at": rehearsal.at,
        "by": rehearsal.by,
        "plan_checksum": rehearsal.plan_checksum,
        "revision": rehearsal.revision,
        "titles": json.dumps(rehearsal.titles),
        "is_good": rehearsal.is_good,
        "results": store.packed_checks(rehearsal.results),
    }
    tx.execute(insert(_TABLE).values(values))
    detail: dict[str, object] = {"plan": rehearsal.plan_checksum, "good": rehearsal.is_good}
    audit.record(tx, AuditEntry(rehearsal.at, actor, "promotion.rehearse", rehearsal.name, detail))


def newest(tx: Transaction, name: str) -> Rehearsal | None:
    """Return the last rehearsal of a device."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.name == name).order_by(_TABLE.c.id.desc()).limit(1)).first()
    return None if row is None else _value(row)


def rehearsing(tx: Transaction, calling: str) -> str:
    """Return the device that is being rehearsed under this title; empty where none is."""
    for name in store.in_life(tx, Life.REHEARSING):
        found = newest(tx, name)
        if found is not None and calling in found.titles:
            return name
    return ""


def _value(row: Row[Any]) -> Rehearsal:
    return Rehearsal(
        name=row.name,
        at=row.at,
        by=row.by,
        plan_checksum=row.plan_checksum,
        revision=row.revision,
        titles=tuple(json.loads(row.titles)),
        results=store.unpacked_checks(row.results),
    )
