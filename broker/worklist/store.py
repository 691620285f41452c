"""The worklist's tables: items as planned, and what finds them. Which items match is decided by `query`.

`worklist_station` and `worklist_name` hold offered items only, so that what was done years ago costs nothing. Text is
compared by code point on both databases, and prefixes as ranges: no pattern of a peer ever reaches SQL's LIKE.
Write items under the label `orders`, which also keeps two messages from adding the same step.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Index,
    LargeBinary,
    Select,
    String,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.orders.model import PERFORMED, Origin, StepStatus
from broker.statements import Prepared
from broker.worklist import rows, wildcards
from broker.worklist.encoding import encoded_elements
from broker.worklist.model import PlannedStep, QueryResult, Viewer, WorklistItem
from broker.worklist.narrowing import Narrowing, narrow, pool
from broker.worklist.query import Query
from broker.worklist.stations import Stations, resolved

OFFERED = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.STARTED})

_BY_CODE_POINT = String().with_variant(String(collation="C"), "postgresql")
_LAST = "\U0010ffff"  # sorts behind every character of a name or number
_FETCH = 500
_encode = json.JSONEncoder(ensure_ascii=False).encode


def _text(**settings: Any) -> Any:
    return Field(sa_type=_BY_CODE_POINT, **settings)


class WorklistItemRow(SQLModel, table=True):
    """One Scheduled Procedure Step: columns that are matched or sorted by, and the rest as JSON."""

    __tablename__ = "worklist_item"
    __table_args__ = (
        UniqueConstraint("study_instance_uid", "scheduled_procedure_step_id", name="uq_worklist_item_step"),
        Index("ix_worklist_item_start", "offered", "start_date", "start_time"),
        Index("ix_worklist_item_modality", "offered", "modality", "start_date"),
        Index("ix_worklist_item_patient_id", "offered", "patient_id"),
        Index("ix_worklist_item_accession_number", "offered", "accession_number"),
        Index("ix_worklist_item_requested_procedure_id", "offered", "requested_procedure_id"),
        Index("ix_worklist_item_step_id", "offered", "scheduled_procedure_step_id"),
        Index("ix_worklist_item_study", "offered", "study_instance_uid"),
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


class WorklistStationRow(SQLModel, table=True):
    """An offered item and a station it is for, or (`narrowing.pool`) the modality whose devices may all have it."""

    __tablename__ = "worklist_station"
    __table_args__ = (Index("ix_worklist_station_offered_to", "offered_to", "start_date"),)

    item_id: int = Field(primary_key=True, foreign_key="worklist_item.id")
    offered_to: str = _text(primary_key=True)
    start_date: str = _text()


class WorklistNameRow(SQLModel, table=True):
    """An offered item and one component group of its patient's name, folded."""

    __tablename__ = "worklist_name"
    __table_args__ = (Index("ix_worklist_name_folded", "folded"),)

    item_id: int = Field(primary_key=True, foreign_key="worklist_item.id")
    folded: str = _text(primary_key=True)


class WorklistQueryRow(SQLModel, table=True):
    """One query that was answered: who asked follows from its association."""

    __tablename__ = "worklist_query"

    id: int | None = Field(default=None, primary_key=True)
    association_id: str = Field(foreign_key="association.id", index=True, max_length=26)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    status: int
    items: str = Field(sa_type=Text)
    facts: str = Field(sa_type=Text)


_ITEM = table_of(WorklistItemRow)
_STATION = table_of(WorklistStationRow)
_NAME = table_of(WorklistNameRow)
_QUERY = table_of(WorklistQueryRow)

_INSERT = Prepared(insert(_ITEM))
_CHANGE = Prepared(update(_ITEM).where(_ITEM.c.id == bindparam("row")))
_INSERT_STATIONS = Prepared(insert(_STATION))
_INSERT_NAMES = Prepared(insert(_NAME))
_KEYS = (_ITEM.c.id, _ITEM.c.order_id, _ITEM.c.status, _ITEM.c.study_instance_uid, _ITEM.c.scheduled_procedure_step_id)
_OF_ORDER = Prepared(select(*_KEYS).where(_ITEM.c.order_id == bindparam("order")))
_OF_STEP = Prepared(
    select(*_KEYS).where(
        _ITEM.c.study_instance_uid == bindparam("study"), _ITEM.c.scheduled_procedure_step_id == bindparam("step")
    )
)
_BY_ID = Prepared(select(_ITEM).where(_ITEM.c.id == bindparam("row")))
_WITHDRAWALS = tuple(Prepared(delete(table).where(table.c.item_id == bindparam("item"))) for table in (_STATION, _NAME))
_ANSWERED = tuple(column for column in _ITEM.c if column.name != "provenance")  # no query reads it

_COLUMNS = {
    "AccessionNumber": _ITEM.c.accession_number,
    "Modality": _ITEM.c.modality,
    "PatientID": _ITEM.c.patient_id,
    "RequestedProcedureID": _ITEM.c.requested_procedure_id,
    "ScheduledProcedureStepID": _ITEM.c.scheduled_procedure_step_id,
    "StudyInstanceUID": _ITEM.c.study_instance_uid,
}


# --- what orders do ----------------------------------------------------------------------------------------------


def replace(tx: Transaction, order_id: int, items: Sequence[WorklistItem]) -> None:
    """Make `items` the steps of an order: added or changed by study and step ID, those no longer in it canceled.

    A step that was started, completed or discontinued keeps its values, since they are what the modality took; only
    its status changes.
    """
    wanted = {(item.study_instance_uid, item.scheduled_procedure_step_id): item for item in items}
    stored = {
        (row.study_instance_uid, row.scheduled_procedure_step_id): row for row in _stored(tx, order_id, tuple(wanted))
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
    found = list(_OF_ORDER.rows(tx, {"order": order_id}))
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
    _CHANGE.run(tx, {"row": row.id, **_values(order_id, item)})
    return item


def _cancel(tx: Transaction, row: Any) -> None:
    if StepStatus(row.status) not in PERFORMED:
        _CHANGE.run(tx, {"row": row.id, "status": StepStatus.CANCELED.value, "offered": 0})


def _row_id(tx: Transaction, order_id: int, item: WorklistItem, stored: Any | None) -> int:
    """Return the row of an item, added where it has none."""
    if stored is not None:
        return int(stored.id)
    return _INSERT.add(tx, _values(order_id, item))


def _withdraw(tx: Transaction, item_ids: Sequence[int]) -> None:
    for statement in _WITHDRAWALS:
        statement.run(tx, *({"item": item_id} for item_id in item_ids))


def _offer(tx: Transaction, offered: Sequence[tuple[int, WorklistItem]]) -> None:
    """Write what finds the offered steps."""
    stations = [entry for item_id, item in offered for entry in _station_entries(item_id, item)]
    names = [entry for item_id, item in offered for entry in _name_entries(item_id, item)]
    if stations:
        _INSERT_STATIONS.run(tx, *stations)
    if names:
        _INSERT_NAMES.run(tx, *names)


def _station_entries(item_id: int, item: WorklistItem) -> Iterator[dict[str, object]]:
    for title in dict.fromkeys(item.scheduled_station_ae_titles or (pool(item.modality),)):
        yield {"item_id": item_id, "offered_to": title, "start_date": item.scheduled_procedure_step_start_date}


def _name_entries(item_id: int, item: WorklistItem) -> Iterator[dict[str, object]]:
    for group in dict.fromkeys(filter(None, wildcards.folded_name(item.patient_name).split("="))):
        yield {"item_id": item_id, "folded": group}


def _values(order_id: int, item: WorklistItem) -> dict[str, object]:
    return {
        **rows.columns_of(item),
        "order_id": order_id,
        "status": item.status.value,
        "offered": int(item.status in OFFERED),
        "provenance": _provenance_text(item),
        "encoded": encoded_elements(item),
    }


def _provenance_text(item: WorklistItem) -> str:
    entries = {key: (origin.source, origin.rule, origin.entry_id) for key, origin in item.provenance.items()}
    return _encode(entries)


# --- what queries find -------------------------------------------------------------------------------------------


def candidates(
    tx: Transaction,
    query: Query,
    viewer: Viewer,
    registry_stations: Stations,
    after: WorklistItem | None = None,
) -> Iterator[WorklistItem]:
    """Yield the offered items that may match, with their stations resolved, in the order of answers.

    An index narrows by every key that can have one; `query.matches` decides. `after` is the last item of a list that
    goes on.
    """
    last = 0
    statement = statement_for(narrow(query, viewer, registry_stations), after).execution_options(yield_per=_FETCH)
    with tx.execute(statement) as result:
        for row in result:
            if row.id != last:  # found by two of its stations or names: the rows follow each other
                last = row.id
                yield resolved(rows.item_of(row), viewer, registry_stations)


def statement_for(narrowing: Narrowing, after: WorklistItem | None = None) -> Select[Any]:
    """Return the statement that finds the candidates, soonest first (D.2.8), all or those behind `after`."""
    found = select(*_ANSWERED).where(_offered(narrowing) == 1)
    if narrowing.offered_to is not None:
        found = found.join(_STATION, _STATION.c.item_id == _ITEM.c.id)
        found = found.where(_STATION.c.offered_to.in_(sorted(narrowing.offered_to)))
        found = found.where(*_days(_STATION.c.start_date, narrowing))
    if narrowing.name_prefixes:
        found = found.join(_NAME, _NAME.c.item_id == _ITEM.c.id)
        found = found.where(_begins(_NAME.c.folded, narrowing.name_prefixes))
    for keyword, values in narrowing.values.items():
        found = found.where(_COLUMNS[keyword].in_(sorted(values)))
    for keyword, prefixes in narrowing.prefixes.items():
        found = found.where(_begins(_COLUMNS[keyword], prefixes))
    found = found.where(*_days(_ITEM.c.start_date, narrowing))
    if after is not None:
        found = found.where(*_behind(after))
    return found.order_by(*_order(narrowing), _ITEM.c.patient_name, _ITEM.c.id)


def _offered(narrowing: Narrowing) -> ColumnElement[int]:
    if narrowing.identifies or not narrowing.joins:
        return _ITEM.c.offered  # leads every index of this table
    return _ITEM.c.offered + 0  # an expression, so that the station's or the name's index leads instead


def _order(narrowing: Narrowing) -> tuple[ColumnElement[str], ...]:
    start = (_ITEM.c.start_date, _ITEM.c.start_time)
    if narrowing.is_open:
        return start  # the index on the start gives the order, and the search ends at the most that may be answered
    # An expression, not the column: else SQLite reads every offered item by that index, only to save a small sort.
    return tuple(column.concat("") for column in start)


def _behind(item: WorklistItem) -> Iterator[ColumnElement[bool]]:
    """Yield what is met by all that an answer lists behind an item; the first condition alone leads an index."""
    place = (
        (_ITEM.c.start_date, item.scheduled_procedure_step_start_date),
        (_ITEM.c.start_time, item.scheduled_procedure_step_start_time),
        (_ITEM.c.patient_name, item.patient_name),
    )
    yield _ITEM.c.start_date >= item.scheduled_procedure_step_start_date
    behind: ColumnElement[bool] = _ITEM.c.id > item.id
    for column, value in reversed(place):
        behind = or_(column > value, and_(column == value, behind))
    yield behind


def _days(column: ColumnElement[str], narrowing: Narrowing) -> Iterator[ColumnElement[bool]]:
    if narrowing.first_day:
        yield column >= narrowing.first_day
    if narrowing.last_day:
        yield column <= narrowing.last_day


def _begins(column: ColumnElement[str], prefixes: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(and_(column >= prefix, column < prefix + _LAST) for prefix in sorted(prefixes)))


def withheld(tx: Transaction, query: Query, statuses: Iterable[StepStatus], limit: int) -> list[WorklistItem]:
    """Return items that may match but stand so that they are offered to nobody, soonest first; `has_keys` decides."""
    narrowing = narrow(query, Viewer(), Stations())
    found = select(*_ANSWERED).where(_ITEM.c.offered == 0, *_days(_ITEM.c.start_date, narrowing))
    found = found.where(_ITEM.c.status.in_(sorted(status.value for status in statuses)))
    for keyword, values in narrowing.values.items():
        found = found.where(_COLUMNS[keyword].in_(sorted(values)))
    return [rows.item_of(row) for row in tx.execute(found.order_by(_ITEM.c.start_date, _ITEM.c.id).limit(limit))]


def of_order(tx: Transaction, order_id: int) -> list[WorklistItem]:
    """Return every item of an order, whatever its status, soonest first, with its provenance."""
    query = (
        select(_ITEM).where(_ITEM.c.order_id == order_id).order_by(_ITEM.c.start_date, _ITEM.c.start_time, _ITEM.c.id)
    )
    return [dataclasses.replace(rows.item_of(row), provenance=_origins(row.provenance)) for row in tx.execute(query)]


def steps_of(tx: Transaction, study_uids: Iterable[str], accessions: Iterable[str]) -> list[PlannedStep]:
    """Return every step of these studies and accession numbers, whatever its status; empty keys find nothing."""
    studies, numbers = sorted(set(study_uids) - {""}), sorted(set(accessions) - {""})
    by_accession = and_(_ITEM.c.offered.in_((0, 1)), _ITEM.c.accession_number.in_(numbers))  # `offered` leads its index
    found = or_(_ITEM.c.study_instance_uid.in_(studies), by_accession)
    query = select(*(_ITEM.c[field.name] for field in dataclasses.fields(PlannedStep))).where(found)
    steps = (PlannedStep(*row) for row in tx.execute(query.order_by(_ITEM.c.id)))
    return [dataclasses.replace(step, status=StepStatus(step.status)) for step in steps]


def _origins(stored: str) -> dict[str, Origin]:
    return {keyword: Origin(*parts) for keyword, parts in json.loads(stored).items()}


def record_query(tx: Transaction, association_id: str, at: datetime, result: QueryResult) -> None:
    """Keep that a query was answered, and with which items; its association has a row already."""
    tx.execute(
        insert(_QUERY).values(
            association_id=association_id,
            at=at,
            status=result.status,
            items=json.dumps(result.items),
            facts=json.dumps(result.facts()),
        )
    )
