"""What consoles have asked of the worklist and were answered, for people. Written by `store.record_query`."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from broker.associations.store import AssociationRow
from broker.database import Transaction, table_of
from broker.worklist.store import WorklistQueryRow

_QUERY = table_of(WorklistQueryRow)
_ASSOCIATION = table_of(AssociationRow)
_ITEMS = _QUERY.c["items"]  # as an attribute it is the method
_COLUMNS: tuple[Any, ...] = (
    *(_QUERY.c.at, _QUERY.c.status, _ITEMS.label("shown"), _QUERY.c.facts),
    *(_ASSOCIATION.c.calling_ae_title, _ASSOCIATION.c.device, _ASSOCIATION.c.address),
)


@dataclass(frozen=True, slots=True)
class Remaining:
    """How many items remained after one key of a query that found nothing, as it was then."""

    key: str  # its keyword; `offered`, `device` and `suspended` are the steps without one
    count: int
    is_all: bool = True  # False: at least so many
    nearest: str = ""  # the station title that was probably meant


@dataclass(frozen=True, slots=True)
class Answered:
    """One query: who asked, by which keys, and what it was answered. Values of keys are kept nowhere."""

    at: datetime
    calling_ae_title: str
    device: str
    address: str
    status: int  # of the final answer
    answers: int
    keys: tuple[str, ...]
    comment: str = ""  # of the final answer: what was wrong with it
    explanation: tuple[Remaining, ...] = ()  # where nothing was found


def answered(tx: Transaction, limit: int, calling: str = "", *, only_without: bool = False) -> list[Answered]:
    """Return the newest queries, newest first: of this calling AE title or of all, or those without answers alone."""
    query = select(*_COLUMNS).join_from(_QUERY, _ASSOCIATION, _ASSOCIATION.c.id == _QUERY.c.association_id)
    if calling:
        query = query.where(_ASSOCIATION.c.calling_ae_title == calling)
    if only_without:
        query = query.where(_ITEMS == "[]")
    return [_value(row) for row in tx.execute(query.order_by(_QUERY.c.id.desc()).limit(limit))]


def _value(row: Row[Any]) -> Answered:
    facts = json.loads(row.facts)
    return Answered(
        at=row.at,
        calling_ae_title=row.calling_ae_title,
        device=row.device,
        address=row.address,
        status=row.status,
        answers=len(json.loads(row.shown)),
        keys=tuple(facts.get("keys", ())),
        comment=facts.get("why", ""),
        explanation=tuple(
            Remaining(step["key"], step["remain"], not step.get("at_least", False), step.get("nearest", ""))
            for step in facts.get("explanation", ())
        ),
    )
