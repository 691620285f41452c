"""The tables of performed steps: as they stand, every request as it came, and what they are linked to. No decision.

Written under the label `orders`: a performed step and what it does to its order are one commit.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, Row, Text, UniqueConstraint, delete, func, insert, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.orders.model import Code, StepStatus
from broker.procedures.linking import Performance
from broker.procedures.model import (
    Link,
    Operation,
    PerformedInstance,
    PerformedPatient,
    PerformedSeries,
    PerformedStatus,
    PerformedStep,
    Received,
    Rule,
    ScheduledItem,
    StoredStep,
)


class PerformedStepRow(SQLModel, table=True):
    """One performed procedure step as it stands; `rest` is what nothing is found by."""

    __tablename__ = "performed_step"
    __table_args__ = (
        Index("ix_performed_step_status", "status", "updated"),
        Index("ix_performed_step_unlinked", "unlinked", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    sop_instance_uid: str = Field(unique=True)
    association_id: str = Field(foreign_key="association.id", index=True, max_length=26)
    calling_ae_title: str
    status: str
    modality: str
    performed_station_ae_title: str
    patient_id: str = Field(index=True)
    discontinuation_reason: str
    images: int
    unlinked: int  # items that belong to no scheduled step we know
    rest: str = Field(sa_type=Text)
    created: datetime = Field(sa_type=UtcDateTime, index=True)
    updated: datetime = Field(sa_type=UtcDateTime)
    stale_told: datetime | None = Field(default=None, sa_type=UtcDateTime)
    dismissed: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})
    dismissed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PerformedItemRow(SQLModel, table=True):
    """One item of ScheduledStepAttributesSequence."""

    __tablename__ = "performed_item"

    performed_step: int = Field(primary_key=True, foreign_key="performed_step.id")
    number: int = Field(primary_key=True)
    study_instance_uid: str = Field(index=True)
    accession_number: str = Field(index=True)
    requested_procedure_id: str
    scheduled_procedure_step_id: str


class PerformedSeriesRow(SQLModel, table=True):
    """One series of a performed step, with its instances as [class, UID] pairs."""

    __tablename__ = "performed_series"

    performed_step: int = Field(primary_key=True, foreign_key="performed_step.id")
    number: int = Field(primary_key=True)
    series_instance_uid: str = Field(index=True)
    rest: str = Field(sa_type=Text)
    instances: str = Field(sa_type=Text)


class PerformedLinkRow(SQLModel, table=True):
    """A scheduled step that a performed step belongs to."""

    __tablename__ = "performed_link"
    __table_args__ = (
        UniqueConstraint("performed_step", "item", "order_id", "step_id", name="uq_performed_link_step"),
        Index("ix_performed_link_order", "order_id", "step_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    performed_step: int = Field(foreign_key="performed_step.id")
    order_id: int
    step_id: str
    rule: str
    item: int
    before: str
    linked_by: str
    at: datetime = Field(sa_type=UtcDateTime)


class PerformedMessageRow(SQLModel, table=True):
    """One N-CREATE or N-SET as it came; forwarded unchanged, and never altered."""

    __tablename__ = "performed_message"
    __table_args__ = (Index("ix_performed_message_step", "performed_step", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    performed_step: int = Field(foreign_key="performed_step.id")
    operation: str
    association_id: str = Field(foreign_key="association.id", max_length=26)
    transfer_syntax: str
    data: bytes = Field(sa_type=LargeBinary)
    received: datetime = Field(sa_type=UtcDateTime)


_STEP = table_of(PerformedStepRow)
_ITEM = table_of(PerformedItemRow)
_SERIES = table_of(PerformedSeriesRow)
_LINK = table_of(PerformedLinkRow)
_MESSAGE = table_of(PerformedMessageRow)
_WAITS = _STEP.c.dismissed_at.is_(None)

_REST = (
    "performed_procedure_step_id",
    "performed_station_name",
    "performed_location",
    "study_id",
    "description",
    "start_date",
    "start_time",
    "end_date",
    "end_time",
    "notes",
)
_SERIES_REST = (
    "protocol_name",
    "series_description",
    "performing_physician_name",
    "operators_name",
    "retrieve_ae_title",
)


# --- what is received --------------------------------------------------------------------------------------------


def add(tx: Transaction, step: PerformedStep, association_id: str, calling_ae_title: str, now: datetime) -> int:
    """Add a step whose UID is new, without links; return its id."""
    values = {
        **_columns(step),
        "sop_instance_uid": step.sop_instance_uid,
        "association_id": association_id,
        "calling_ae_title": calling_ae_title,
        "unlinked": len(step.items),
        "created": now,
        "updated": now,
    }
    key = tx.execute(insert(_STEP).values(values)).inserted_primary_key
    assert key is not None
    step_id = int(key[0])
    items = [asdict(item) | {"performed_step": step_id, "number": n} for n, item in enumerate(step.items)]
    if items:
        tx.execute(insert(_ITEM), items)
    _add_series(tx, step_id, step.series)
    return step_id


def change(tx: Transaction, step_id: int, step: PerformedStep, now: datetime) -> None:
    """Store a step as it stands after an N-SET."""
    tx.execute(update(_STEP).where(_STEP.c.id == step_id).values(**_columns(step), updated=now, stale_told=None))
    tx.execute(delete(_SERIES).where(_SERIES.c.performed_step == step_id))
    _add_series(tx, step_id, step.series)


def keep(tx: Transaction, step_id: int, received: Received, association_id: str, now: datetime) -> int:
    """Keep a request as it came; return its id."""
    values = {
        "performed_step": step_id,
        "operation": received.operation.value,
        "association_id": association_id,
        "transfer_syntax": received.transfer_syntax,
        "data": received.data,
        "received": now,
    }
    key = tx.execute(insert(_MESSAGE).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def link(tx: Transaction, step_id: int, links: Iterable[Link], now: datetime) -> None:
    """Add links, and count what is left without one."""
    for one in links:
        values = asdict(one) | {"rule": one.rule.value, "before": one.before.value, "linked_by": one.by}
        values.pop("by")
        tx.execute(insert(_LINK).values(performed_step=step_id, at=now, **values))
    linked = select(func.count(_LINK.c.item.distinct())).where(_LINK.c.performed_step == step_id).scalar_subquery()
    stated = select(func.count()).where(_ITEM.c.performed_step == step_id).scalar_subquery()
    tx.execute(update(_STEP).where(_STEP.c.id == step_id).values(unlinked=stated - linked))


# --- what is known -----------------------------------------------------------------------------------------------


def find(tx: Transaction, sop_instance_uid: str) -> StoredStep | None:
    """Return a step by its UID."""
    row = tx.execute(select(_STEP).where(_STEP.c.sop_instance_uid == sop_instance_uid)).first()
    return None if row is None else _value(tx, row)


def steps(
    tx: Transaction,
    *,
    status: PerformedStatus | None = None,
    silent_since: datetime | None = None,
    unlinked: bool = False,
    limit: int = 1000,
) -> list[StoredStep]:
    """Return steps, newest first: of one status, unheard of since an instant, or with items that are not linked.

    What a person has dismissed is in neither of the last two.
    """
    query = select(_STEP).order_by(_STEP.c.id.desc()).limit(limit)
    if status is not None:
        query = query.where(_STEP.c.status == status.value)
    if silent_since is not None:
        query = query.where(_STEP.c.updated <= silent_since, _WAITS)
    if unlinked:
        query = query.where(_STEP.c.unlinked > 0, _WAITS)
    return [_value(tx, row) for row in tx.execute(query).all()]


def of_order(tx: Transaction, order_id: int) -> list[StoredStep]:
    """Return every performed step of an order, oldest first."""
    linked = select(_LINK.c.performed_step).where(_LINK.c.order_id == order_id)
    query = select(_STEP).where(_STEP.c.id.in_(linked)).order_by(_STEP.c.id)
    return [_value(tx, row) for row in tx.execute(query).all()]


def of_study(tx: Transaction, study_instance_uid: str) -> list[StoredStep]:
    """Return every performed step of a study as the modality names it, oldest first."""
    stated = select(_ITEM.c.performed_step).where(_ITEM.c.study_instance_uid == study_instance_uid)
    query = select(_STEP).where(_STEP.c.id.in_(stated)).order_by(_STEP.c.id)
    return [_value(tx, row) for row in tx.execute(query).all()]


def performances(tx: Transaction, order_id: int, step_id: str) -> tuple[list[Performance], StepStatus | None]:
    """Return all that was performed of a scheduled step, oldest first, and how it stood before any of it."""
    query = (
        select(_STEP.c.status, _STEP.c.discontinuation_reason, _STEP.c.images, _LINK.c.before)
        .join(_LINK, _LINK.c.performed_step == _STEP.c.id)
        .where(_LINK.c.order_id == order_id, _LINK.c.step_id == step_id)
        .order_by(_STEP.c.id)
    )
    rows = tx.execute(query).all()
    found = [Performance(PerformedStatus(row.status), row.discontinuation_reason, row.images) for row in rows]
    return found, StepStatus(rows[0].before) if rows else None


def messages(tx: Transaction, step_id: int) -> list[tuple[Operation, str, bytes]]:
    """Return every request of a step as it came, oldest first: operation, transfer syntax, data set."""
    query = select(_MESSAGE).where(_MESSAGE.c.performed_step == step_id).order_by(_MESSAGE.c.id)
    return [(Operation(row.operation), row.transfer_syntax, row.data) for row in tx.execute(query)]


def starters(tx: Transaction, order_ids: Sequence[int]) -> dict[tuple[int, str], tuple[frozenset[str], datetime]]:
    """Return by (order, step) the titles of who performs each of the orders' steps now, and since when."""
    query = (
        select(_LINK.c.order_id, _LINK.c.step_id, _STEP.c.performed_station_ae_title, _STEP.c.calling_ae_title)
        .add_columns(_STEP.c.created)
        .join(_STEP, _STEP.c.id == _LINK.c.performed_step)
        .where(_LINK.c.order_id.in_(order_ids), _STEP.c.status == PerformedStatus.IN_PROGRESS.value)
        .order_by(_STEP.c.id)
    )
    found: dict[tuple[int, str], tuple[frozenset[str], datetime]] = {}
    for row in tx.execute(query):
        titles, _ = found.get((row.order_id, row.step_id), (frozenset(), row.created))
        own = frozenset(filter(None, (row.performed_station_ae_title, row.calling_ae_title)))
        found[row.order_id, row.step_id] = (titles | own, row.created)
    return found


def counts(tx: Transaction, silent_since: datetime) -> dict[str, int]:
    """Return how many steps are in progress, how many of them unheard of since an instant, and how many unscheduled."""
    in_progress = _STEP.c.status == PerformedStatus.IN_PROGRESS.value
    wanted = {
        "in-progress": (in_progress,),
        "stale": (in_progress, _STEP.c.updated <= silent_since, _WAITS),
        "unscheduled": (_STEP.c.unlinked > 0, _WAITS),
    }
    return {
        name: int(tx.execute(select(func.count(_STEP.c.id)).where(*where)).scalar_one())
        for name, where in wanted.items()
    }


def begun_in_all(tx: Transaction) -> int:
    """Return how many steps were ever begun: their numbers only grow."""
    return tx.execute(select(func.max(_STEP.c.id))).scalar() or 0


def untold_stale(tx: Transaction, silent_since: datetime, limit: int = 200) -> list[StoredStep]:
    """Return steps IN PROGRESS that nobody heard of since an instant and of which no person was told, oldest first."""
    stale = (_STEP.c.status == PerformedStatus.IN_PROGRESS.value, _STEP.c.updated <= silent_since)
    query = select(_STEP).where(*stale, _STEP.c.stale_told.is_(None), _WAITS).order_by(_STEP.c.updated).limit(limit)
    return [_value(tx, row) for row in tx.execute(query).all()]


def told_stale(tx: Transaction, step_ids: Sequence[int], now: datetime) -> None:
    """Take note that a person was told of stale steps."""
    tx.execute(update(_STEP).where(_STEP.c.id.in_(step_ids)).values(stale_told=now))


# --- rows and values ---------------------------------------------------------------------------------------------


def _columns(step: PerformedStep) -> dict[str, object]:
    rest = {name: getattr(step, name) for name in _REST}
    rest |= {"patient": asdict(step.patient)}
    reason = step.discontinuation_reason
    rest |= {"reason": asdict(reason) if reason else None}
    return {
        "status": step.status.value,
        "modality": step.modality,
        "performed_station_ae_title": step.performed_station_ae_title,
        "patient_id": step.patient.patient_id,
        "discontinuation_reason": reason.value if reason else "",
        "images": step.images,
        "rest": json.dumps(rest, ensure_ascii=False),
    }


def _add_series(tx: Transaction, step_id: int, series: Sequence[PerformedSeries]) -> None:
    rows = [
        {
            "performed_step": step_id,
            "number": number,
            "series_instance_uid": one.series_instance_uid,
            "rest": json.dumps({name: getattr(one, name) for name in _SERIES_REST}, ensure_ascii=False),
            "instances": json.dumps([[i.sop_class_uid, i.sop_instance_uid] for i in one.instances]),
        }
        for number, one in enumerate(series)
    ]
    if rows:
        tx.execute(insert(_SERIES), rows)


def _value(tx: Transaction, row: Row[Any]) -> StoredStep:
    rest = json.loads(row.rest)
    patient, reason = rest.pop("patient"), rest.pop("reason")
    step = PerformedStep(
        sop_instance_uid=row.sop_instance_uid,
        status=PerformedStatus(row.status),
        items=_items(tx, row.id),
        modality=row.modality,
        performed_station_ae_title=row.performed_station_ae_title,
        patient=PerformedPatient(**patient),
        discontinuation_reason=Code(**reason) if reason else None,
        series=_series(tx, row.id),
        notes=tuple(rest.pop("notes")),
        **rest,
    )
    links = _links(tx, row.id)
    return StoredStep(
        row.id, step, links, row.association_id, row.calling_ae_title, row.created, row.updated, row.dismissed
    )


def _items(tx: Transaction, step_id: int) -> tuple[ScheduledItem, ...]:
    rows = tx.execute(select(_ITEM).where(_ITEM.c.performed_step == step_id).order_by(_ITEM.c.number))
    return tuple(
        ScheduledItem(
            row.study_instance_uid, row.accession_number, row.requested_procedure_id, row.scheduled_procedure_step_id
        )
        for row in rows
    )


def _series(tx: Transaction, step_id: int) -> tuple[PerformedSeries, ...]:
    rows = tx.execute(select(_SERIES).where(_SERIES.c.performed_step == step_id).order_by(_SERIES.c.number))
    return tuple(
        PerformedSeries(
            row.series_instance_uid,
            **json.loads(row.rest),
            instances=tuple(PerformedInstance(*pair) for pair in json.loads(row.instances)),
        )
        for row in rows
    )


def _links(tx: Transaction, step_id: int) -> tuple[Link, ...]:
    rows = tx.execute(select(_LINK).where(_LINK.c.performed_step == step_id).order_by(_LINK.c.id))
    return tuple(
        Link(row.order_id, row.step_id, Rule(row.rule), row.item, StepStatus(row.before), row.linked_by) for row in rows
    )
