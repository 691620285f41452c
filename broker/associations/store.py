"""The association table. A refused association is a row like any other, with its reason."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Text, bindparam, select, update
from sqlmodel import Field, SQLModel

from broker.associations.model import Association, Context, Result
from broker.database import Transaction, UtcDateTime, table_of
from broker.statements import Prepared, upsert


class AssociationRow(SQLModel, table=True):
    """One association."""

    __tablename__ = "association"

    id: str = Field(primary_key=True, max_length=26)
    started: datetime = Field(sa_type=UtcDateTime, index=True)
    ended: datetime | None = Field(default=None, sa_type=UtcDateTime)
    calling_ae_title: str = Field(index=True)
    called_ae_title: str
    address: str
    implementation_class_uid: str
    implementation_version_name: str
    contexts: str = Field(sa_type=Text)
    device: str = Field(index=True)
    revision: str
    software: str
    result: str = Field(index=True)
    reason: str
    nearest: str


_TABLE = table_of(AssociationRow)
_ADDING: dict[tuple[str, str], Prepared] = {}
_END = Prepared(update(_TABLE).where(_TABLE.c.id == bindparam("row")))


def add(tx: Transaction, association: Association) -> None:
    """Add the row; where another process has written one from what the spool knows, this one is fuller."""
    _prepared(tx, _fill).run(tx, _values(association))


def ensure(tx: Transaction, association: Association) -> None:
    """Add the row unless there is one."""
    _prepared(tx, _leave).run(tx, _values(association))


def _fill(insert: Any) -> Any:
    rest = {column.name: insert.excluded[column.name] for column in _TABLE.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=["id"], set_=rest)


def _leave(insert: Any) -> Any:
    return insert.on_conflict_do_nothing(index_elements=["id"])


def _prepared(tx: Transaction, on_conflict: Callable[[Any], Any]) -> Prepared:
    """Return the statement of this database's dialect, which is loaded with the first."""
    key = (tx.dialect.name, on_conflict.__name__)
    if key not in _ADDING:
        _ADDING[key] = Prepared(on_conflict(upsert(tx, _TABLE)))
    return _ADDING[key]


def _values(association: Association) -> dict[str, object]:
    return {
        "id": association.id,
        "started": association.started,
        "ended": association.ended,
        "calling_ae_title": association.calling_ae_title,
        "called_ae_title": association.called_ae_title,
        "address": association.address,
        "implementation_class_uid": association.implementation_class_uid,
        "implementation_version_name": association.implementation_version_name,
        "contexts": _contexts_text(association.contexts),
        "device": association.device,
        "revision": association.revision,
        "software": association.software,
        "result": association.result.value,
        "reason": association.reason,
        "nearest": association.nearest,
    }


@lru_cache(maxsize=256)
def _contexts_text(contexts: tuple[Context, ...]) -> str:
    """Return the accepted contexts as JSON: a device's are always the same."""
    return json.dumps([[context.abstract_syntax, context.transfer_syntax] for context in contexts])


def end(tx: Transaction, association_id: str, result: Result, reason: str, at: datetime) -> None:
    """Record how an association ended."""
    _END.run(tx, {"row": association_id, "result": result.value, "reason": reason, "ended": at})


def rejections(tx: Transaction, limit: int = 100) -> Iterable[Association]:
    """Return the refused associations, newest first."""
    query = select(_TABLE).where(_TABLE.c.result == Result.REJECTED.value).order_by(_TABLE.c.id.desc()).limit(limit)
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, association_id: str) -> Association | None:
    """Return one association."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == association_id)).first()
    return None if row is None else _value(row)


def _value(row: Row[Any]) -> Association:
    return Association(
        id=row.id,
        started=row.started,
        calling_ae_title=row.calling_ae_title,
        called_ae_title=row.called_ae_title,
        address=row.address,
        implementation_class_uid=row.implementation_class_uid,
        implementation_version_name=row.implementation_version_name,
        contexts=tuple(Context(*pair) for pair in json.loads(row.contexts)),
        device=row.device,
        revision=row.revision,
        software=row.software,
        result=Result(row.result),
        reason=row.reason,
        nearest=row.nearest,
        ended=row.ended,
    )
