"""The worklist's tables: items as planned, and the places that find them. How they are searched is `search_store`'s.

`worklist_place` holds offered items only, so that what was done years ago costs nothing. Text is compared by code
point on both databases.
Write items under the label `orders`, which also keeps two messages from adding the same step.
"""

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.orders.model import PERFORMED, StepStatus
from broker.statements import Prepared
from broker.worklist import rows, wildcards
from broker.worklist.encoding import encoded_elements
from broker.worklist.model import PlannedStep, QueryResult, WorklistItem
from broker.worklist.narrowing import Narrowing, pool

OFFERED = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.STARTED})

_BY_CODE_POINT = String().with_variant(String(collation="C"), "postgresql")


def _text(**settings: Any) -> Any:
    return Field(sa_type=_BY_CODE_POINT, **settings)


class WorklistItemRow(SQLModel, table=True):
    """One Scheduled Procedure Step: columns that are matched or sorted by, and the rest as JSON."""

    __tablename__ = "worklist_item"
    __table_args__ = (
        # Finds a study's items too: so few are withheld that no index need leave them out.
        UniqueConstraint("study_instance_uid", "scheduled_procedure_step_id", name="uq_worklist_item_step"),
        # The order of answers: a search goes on in it from any place.
        Index("ix_worklist_item_start", "offered", "start_date", "start_time", "patient_name", "id"),
        Index("ix_worklist_item_modality", "offered", "modality", "start_date", "start_time", "patient_name", "id"),
        Index("ix_worklist_item_patient_id", "offered", "patient_id"),
        Index("ix_worklist_item_accession_number", "offered", "accession_number"),
        Index("ix_worklist_item_requested_procedure_id", "offered", "requested_procedure_id"),
        Index("ix_worklist_item_step_id", "offered", "scheduled_procedure_step_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(index=True)
    status: str
    offered: int  # 1 while its status is one that modalities are shown
    start_date: str = _text()
    start_time: str = _text()
    modality: str = _text()
    patient_id: str = _text()
    patient_name: str = _text()
    accession_number: str = _text()
    requested_procedure_id: str = _text()
    study_instance_uid: str = _text()
    scheduled_procedure_step_id: str = _text()
    rest: str = Field(sa_type=Text)
    provenance: str = Field(sa_type=Text, sa_column_kwargs={"server_default": "{}"})
    encoded: bytes = Field(sa_type=LargeBinary, sa_column_kwargs={"server_default": text("''")})


class WorklistPlaceRow(SQLModel, table=True):
    """An offered item for a station, or (`narrowing.pool`) for the modality whose devices may all have it, by a name.

    `folded` is one component group of the patient's name; an item of two stations and two groups has four rows.
    """

    __tablename__ = "worklist_place"
    __table_args__ = (
        # The order of answers; the modality, so that no row need be looked up.
        Index(
            "ix_worklist_place_start",
            *("offered_to", "start_date", "start_time", "patient_name", "item_id", "modality"),
        ),
        Index("ix_worklist_place_name", "offered_to", "folded"),
        Index("ix_worklist_place_folded", "folded"),
    )

    item_id: int = Field(primary_key=True, foreign_key="worklist_item.id")
    offered_to: str = _text(primary_key=True)
    folded: str = _text(primary_key=True)
    start_date: str = _text()
    start_time: str = _text()
    patient_name: str = _text()
    modality: str = _text()


class WorklistQueryRow(SQLModel, table=True):
    """One query that was answered: who asked follows from its association."""

    __tablename__ = "worklist_query"

    id: int | None = Field(default=None, primary_key=True)
    association_id: str = Field(foreign_key="association.id", index=True, max_length=26)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    status: int
    items: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)


ITEM = table_of(WorklistItemRow)
PLACE = table_of(WorklistPlaceRow)
_QUERY = table_of(WorklistQueryRow)

_INSERT = Prepared(insert(ITEM))
_CHANGE = Prepared(update(ITEM).where(ITEM.c.id == bindparam("row")))
_INSERT_PLACES = Prepared(insert(PLACE))
_KEYS = (ITEM.c.id, ITEM.c.order_id, ITEM.c.status, ITEM.c.study_instance_uid, ITEM.c.scheduled_procedure_step_id)
_OF_ORDER = Prepared(select(*_KEYS).where(ITEM.c.order_id == bindparam("order")))
_OF_STEP = Prepared(
    select(*_KEYS).where(
        ITEM.c.study_instance_uid == bindparam("study"), ITEM.c.scheduled_procedure_step_id == bindparam("step")
    )
)
_BY_ID = Prepared(select(ITEM).where(ITEM.c.id == bindparam("row")))
_RECORD = Prepared(insert(_QUERY))
_WITHDRAW = Prepared(delete(PLACE).where(PLACE.c.item_id == bindparam("item")))
# --- what orders do ----------------------------------------------------------------------------------------------


def replace(tx: Transaction, order_id: int, items: Sequence[WorklistItem], *, is_new: bool = False) -> None:
    """Make `items` the steps of an order: added or changed by study and step ID, those no longer in it canceled.

    A step that was started, completed or discontinued keeps its values, since they are what the modality took; only
    its status changes. An order that `is_new` has no steps here yet: only another's are looked for.
    """
    wanted = {(item.study_instance_uid, item.scheduled_procedure_step_id): item for item in items}
    stored = {
        (row.study_instance_uid, row.scheduled_procedure_step_id): row
        for row in _stored(tx, 0 if is_new else order_id, tuple(wanted))
    }
    for key, row in stored.items():
        if key in wanted:
            wanted[key] = _change(tx, row, order_id, wanted[key])
        else:
            _cancel(tx, row)
    if stored:
        _withdraw(tx, [row.id for row in stored.values()])
    offered = [(_row_id(tx, order_id, item, stored.get(key)), item) for key, item in wanted.items()]
    _offer(tx, [(item_id, item) for item_id, item in offered if item.status in OFFERED])


def _stored(tx: Transaction, order_id: int, wanted: Sequence[tuple[str, str]]) -> Sequence[Any]:
    # Two orders may share a study; only their own steps, and those now claimed, are this order's matter.
    found = list(_OF_ORDER.rows(tx, {"order": order_id})) if order_id else []
    own = {(row.study_instance_uid, row.scheduled_procedure_step_id) for row in found}
    for study, step in wanted:
        if (study, step) not in own:
            found += _OF_STEP.rows(tx, {"study": study, "step": step})
    return found


def _change(tx: Transaction, row: Any, order_id: int, item: WorklistItem) -> WorklistItem:
    """Write an item over its row; return it as it is shown from now on."""
    if StepStatus(row.status) in PERFORMED and row.order_id == order_id:
        _CHANGE.run(tx, {"row": row.id, "status": item.status.value, "offered": int(item.status in OFFERED)})
        return rows.item_of(_BY_ID.rows(tx, {"row": row.id})[0])
    _CHANGE.run(tx, {"row": row.id, **values_of(order_id, item)})
    return item


def _cancel(tx: Transaction, row: Any) -> None:
    if StepStatus(row.status) not in PERFORMED:
        _CHANGE.run(tx, {"row": row.id, "status": StepStatus.CANCELED.value, "offered": 0})


def _row_id(tx: Transaction, order_id: int, item: WorklistItem, stored: Any | None) -> int:
    """Return the row of an item, added where it has none."""
    if stored is not None:
        return int(stored.id)
    return _INSERT.add(tx, values_of(order_id, item))


def _withdraw(tx: Transaction, item_ids: Sequence[int]) -> None:
    _WITHDRAW.run(tx, *({"item": item_id} for item_id in item_ids))


def _offer(tx: Transaction, offered: Sequence[tuple[int, WorklistItem]]) -> None:
    """Write what finds the offered steps."""
    places = [place for item_id, item in offered for place in places_of(item_id, item)]
    if places:
        _INSERT_PLACES.run(tx, *places)


def places_of(item_id: int, item: WorklistItem) -> Iterator[dict[str, object]]:
    """Yield the rows of an offered item: one a station and a component group of the name, at least one."""
    groups = filter(None, wildcards.folded_name(item.patient_name).split("="))
    order = {
        "start_date": item.scheduled_procedure_step_start_date,
        "start_time": item.scheduled_procedure_step_start_time,
        "patient_name": item.patient_name,
        "modality": item.modality,
    }
    names = tuple(dict.fromkeys(groups)) or ("",)
    for title in dict.fromkeys(item.scheduled_station_ae_titles or (pool(item.modality),)):
        for name in names:
            yield {"item_id": item_id, "offered_to": title, "folded": name, **order}


def values_of(order_id: int, item: WorklistItem) -> dict[str, object]:
    """Return the columns of an item's row."""
    return {
        **rows.columns_of(item),
        "order_id": order_id,
        "status": item.status.value,
        "offered": int(item.status in OFFERED),
        "provenance": rows.provenance_to_json(item.provenance),
        "encoded": encoded_elements(item),
    }


# --- what people look at -----------------------------------------------------------------------------------------


def withheld(tx: Transaction, narrowing: Narrowing, statuses: Iterable[StepStatus], limit: int) -> list[WorklistItem]:
    """Return items that may match but stand so that they are offered to nobody, soonest first; `has_keys` decides."""
    found = select(ITEM).where(ITEM.c.offered == 0)
    if narrowing.first_day:
        found = found.where(ITEM.c.start_date >= narrowing.first_day)
    if narrowing.last_day:
        found = found.where(ITEM.c.start_date <= narrowing.last_day)
    found = found.where(ITEM.c.status.in_(sorted(status.value for status in statuses)))
    for keyword, values in narrowing.values.items():
        found = found.where(ITEM.c[rows.COLUMN_OF_KEYWORD[keyword]].in_(sorted(values)))
    return [rows.item_of(row) for row in tx.execute(found.order_by(ITEM.c.start_date, ITEM.c.id).limit(limit))]


def of_order(tx: Transaction, order_id: int) -> list[WorklistItem]:
    """Return every item of an order, whatever its status, soonest first, with its provenance."""
    query = select(ITEM).where(ITEM.c.order_id == order_id).order_by(ITEM.c.start_date, ITEM.c.start_time, ITEM.c.id)
    return [
        dataclasses.replace(rows.item_of(row), provenance=rows.provenance_from_json(row.provenance))
        for row in tx.execute(query)
    ]


def offered_to(tx: Transaction, stations: Collection[str]) -> int:
    """Return how many steps are offered to these stations."""
    found = select(func.count(PLACE.c.item_id.distinct())).where(PLACE.c.offered_to.in_(sorted(stations)))
    return tx.execute(found).scalar_one() if stations else 0


def steps_of(tx: Transaction, study_uids: Iterable[str], accessions: Iterable[str]) -> list[PlannedStep]:
    """Return every step of these studies and accession numbers, whatever its status; empty keys find nothing."""
    studies, numbers = sorted(set(study_uids) - {""}), sorted(set(accessions) - {""})
    by_accession = and_(ITEM.c.offered.in_((0, 1)), ITEM.c.accession_number.in_(numbers))  # `offered` leads its index
    found = or_(ITEM.c.study_instance_uid.in_(studies), by_accession)
    query = select(*(ITEM.c[field.name] for field in dataclasses.fields(PlannedStep))).where(found)
    steps = (PlannedStep(*row) for row in tx.execute(query.order_by(ITEM.c.id)))
    return [dataclasses.replace(step, status=StepStatus(step.status)) for step in steps]


def record_query(tx: Transaction, association_id: str, at: datetime, result: QueryResult) -> None:
    """Keep that a query was answered, and with which items; its association has a row already."""
    _RECORD.run(
        tx,
        {
            "association_id": association_id,
            "at": at,
            "status": result.status,
            "items": json.dumps(result.items),
            "facts": json.dumps(result.facts()),
        },
    )
