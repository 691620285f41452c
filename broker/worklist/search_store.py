"""The statements of a search: each reads one index, in its order or a range of it, and no more rows than asked for.

Text is compared by code point on both databases, and prefixes as ranges: no pattern of a peer ever reaches SQL's LIKE.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, bindparam, func, select, tuple_

from broker.database import Transaction
from broker.statements import Prepared
from broker.worklist import rows
from broker.worklist.model import WorklistItem
from broker.worklist.store import ITEM, PLACE

_LAST = "\U0010ffff"  # sorts behind every character of a day, name or number


class Place(NamedTuple):
    """An item's place among the answers: by start, then name (D.2.8), then id, which no two items share."""

    start_date: str
    start_time: str
    patient_name: str
    item_id: int
    modality: str = ""


_OF_ITEM = (ITEM.c.start_date, ITEM.c.start_time, ITEM.c.patient_name, ITEM.c.id.label("item_id"))
_OF_PLACE = (PLACE.c.start_date, PLACE.c.start_time, PLACE.c.patient_name, PLACE.c.item_id)
_OFFERED = ITEM.c.offered == 1
_OFFERED_OF_FOUND = ITEM.c.offered + 0 == 1  # an expression, so that no index which `offered` leads is preferred


class Walk:
    """Reads places by start, of all that has one value: a station's, a modality's, or whatever is offered."""

    def __init__(self, order: tuple[ColumnElement[Any], ...], modality: ColumnElement[str], *where: Any) -> None:
        after = tuple_(*(bindparam(name) for name in Place._fields[:4]))
        self.statement = (
            select(*order, modality)
            .where(*where, tuple_(*order) > after, order[0] <= bindparam("last_day"))
            .order_by(*order)
            .limit(bindparam("at_most"))
        )
        self._prepared = Prepared(self.statement)

    def places(self, tx: Transaction, value: str, after: Place, last_day: str, at_most: int) -> Sequence[Place]:
        """Return the next places behind one, until a day (empty: without end)."""
        values = {**after._asdict(), "value": value, "last_day": last_day or _LAST, "at_most": at_most}
        return cast(Sequence[Place], self._prepared.rows(tx, values))  # rows with a place's names


class Range:
    """Reads places, in no order, of all whose number or name lies in a range."""

    def __init__(self, column: ColumnElement[str], columns: tuple[ColumnElement[Any], ...], *where: Any) -> None:
        self.statement = (
            select(*columns)
            .where(*where, column >= bindparam("low"), column <= bindparam("high"))
            .limit(bindparam("at_most"))
        )
        self._prepared = Prepared(self.statement)

    def places(self, tx: Transaction, low: str, high: str, at_most: int, station: str = "") -> Sequence[Place]:
        """Return places of the values from `low` to `high`."""
        values = {"low": low, "high": high, "at_most": at_most, "value": station}
        return cast(Sequence[Place], self._prepared.rows(tx, values))


BY_STATION = Walk(_OF_PLACE, PLACE.c.modality, PLACE.c.offered_to == bindparam("value"))
BY_MODALITY = Walk(_OF_ITEM, ITEM.c.modality, _OFFERED, ITEM.c.modality == bindparam("value"))
BY_START = Walk(_OF_ITEM, ITEM.c.modality, _OFFERED)

BY_NAME = Range(PLACE.c.folded, (*_OF_PLACE, PLACE.c.modality))
BY_STATION_AND_NAME = Range(PLACE.c.folded, (*_OF_PLACE, PLACE.c.modality), PLACE.c.offered_to == bindparam("value"))
BY_NUMBER = {
    "StudyInstanceUID": Range(ITEM.c.study_instance_uid, (*_OF_ITEM, ITEM.c.modality), _OFFERED_OF_FOUND),
    "AccessionNumber": Range(ITEM.c.accession_number, (*_OF_ITEM, ITEM.c.modality), _OFFERED),
    "RequestedProcedureID": Range(ITEM.c.requested_procedure_id, (*_OF_ITEM, ITEM.c.modality), _OFFERED),
    "PatientID": Range(ITEM.c.patient_id, (*_OF_ITEM, ITEM.c.modality), _OFFERED),
    "ScheduledProcedureStepID": Range(ITEM.c.scheduled_procedure_step_id, (*_OF_ITEM, ITEM.c.modality), _OFFERED),
}
"""By keyword, the ones that name the fewest items first."""

_ANSWERED = tuple(column for column in ITEM.c if column.name != "provenance")  # no query reads it
# SQLite reads a page's items by one statement, whose ids are a JSON list; elsewhere SQLAlchemy has lists of its own.
_IDS = select(func.json_each(bindparam("ids")).table_valued("value").c.value)
_OF_PAGE = Prepared(select(*_ANSWERED).where(ITEM.c.id.in_(_IDS), _OFFERED_OF_FOUND))


_NEXT_ENTRY = Prepared(
    select(PLACE.c.offered_to).where(PLACE.c.offered_to > bindparam("after")).order_by(PLACE.c.offered_to).limit(1)
)


# An item that was read before, by everything that its row holds.
_item_of = lru_cache(maxsize=1024)(rows.item_of)


def exactly(value: str) -> tuple[str, str]:
    """Return the range of one value."""
    return value, value


def beginning(prefix: str) -> tuple[str, str]:
    """Return the range of all that begins with a prefix."""
    return prefix, prefix + _LAST


def entries(tx: Transaction, at_most: int) -> list[str]:
    """Return what there is of `offered_to`, so many at most. Each costs one look into an index, however many items."""
    found = [""]
    while len(found) <= at_most and (behind := _NEXT_ENTRY.rows(tx, {"after": found[-1]})):
        found.append(behind[0].offered_to)
    return found[1:]


def items(tx: Transaction, ids: Sequence[int], may_match: Callable[[Any], bool] | None) -> list[WorklistItem]:
    """Return those of the items that are offered now and whose row may match, in the order of their ids."""
    found: Iterable[Any]
    if tx.dialect.name == "sqlite":
        found = _OF_PAGE.rows(tx, {"ids": json.dumps(ids)})
    else:
        found = tx.execute(select(*_ANSWERED).where(ITEM.c.id.in_(ids), _OFFERED))
    by_id = {row.id: row for row in found if may_match is None or may_match(row)}
    return [_item_of(by_id[item_id]) for item_id in ids if item_id in by_id]
