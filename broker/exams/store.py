"""What the ledger reads of other stages' tables, and its own: who was offered what, and what purge leaves.

Nothing is copied that another stage keeps: `offered` is folded from the answered queries, since no index leads from an
item to them; `exam_delivered` counts deliveries whose rows were purged.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Select, bindparam, func, insert, or_, select, update
from sqlmodel import Field, SQLModel

from broker.associations.store import AssociationRow
from broker.database import Transaction, UtcDateTime, table_of
from broker.delivery.model import DeliveryState
from broker.delivery.tables import DeliveryRow
from broker.exams.model import Expected, Image, Kept, Offered, Sent
from broker.orders.tables import ImagingOrderRow
from broker.spool.store import InstanceRow
from broker.statements import Prepared, upsert
from broker.worklist.find import CANCELLED, SUCCESS
from broker.worklist.store import WorklistItemRow, WorklistQueryRow

_BATCH = 500  # identifiers in one statement
FOLDED = "queries"
"""The mark up to which answered queries were folded."""
QUERIES = ("answered", "empty", "truncated", "failed")
"""What is counted of queries when they are folded: the marks `queries-<what>`."""


class OfferedRow(SQLModel, table=True):
    """One item as it was answered to one device."""

    __tablename__ = "offered"

    item_id: int = Field(primary_key=True)
    device: str = Field(primary_key=True)
    first: datetime = Field(sa_type=UtcDateTime)
    last: datetime = Field(sa_type=UtcDateTime)
    times: int


class ExamDeliveredRow(SQLModel, table=True):
    """Delivered instances of one study and accession number whose deliveries were purged."""

    __tablename__ = "exam_delivered"
    __table_args__ = (Index("ix_exam_delivered_accession_number", "accession_number"),)

    study_instance_uid: str = Field(primary_key=True)
    accession_number: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    instances: int
    last: datetime = Field(sa_type=UtcDateTime)
    longest_seconds: int


class ExamMarkRow(SQLModel, table=True):
    """Up to where something was read, or since when something was told."""

    __tablename__ = "exam_mark"

    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


_OFFERED = table_of(OfferedRow)
KEPT = table_of(ExamDeliveredRow)
_MARK = table_of(ExamMarkRow)
_ASSOCIATION = table_of(AssociationRow)
_ORDER = table_of(ImagingOrderRow)
DELIVERY = table_of(DeliveryRow)
INSTANCE = table_of(InstanceRow)
ITEM = table_of(WorklistItemRow)
QUERY = table_of(WorklistQueryRow)


_CARRIED = select(ITEM.c.order_id, ITEM.c.patient_id, ITEM.c.accession_number, ITEM.c.study_instance_uid)
_BY_STUDY = Prepared(_CARRIED.where(ITEM.c.study_instance_uid == bindparam("value")))
# `offered` leads the index.
_BY_ACCESSION = Prepared(
    _CARRIED.where(or_(ITEM.c.offered == 0, ITEM.c.offered == 1), ITEM.c.accession_number == bindparam("value"))
)


# --- who was offered what ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unfolded:
    """What the next answered queries come to. They are read, and worked out, before anybody has to wait for it."""

    count: int
    after: int  # the mark at which they begin
    last: int
    offered: tuple[Offered, ...]
    kinds: Counter[str]


def unfolded(tx: Transaction, limit: int = 500) -> Unfolded:
    """Return up to `limit` answered queries that are not in the ledger.

    Queries are recorded one transaction after the other (their label), so none with a lower number is yet to come.
    """
    after = mark(tx, FOLDED)
    rows = tx.execute(_queries_after(after).limit(limit)).all()
    kinds = Counter(what for row in rows for what in _kinds(row))
    return Unfolded(len(rows), after, rows[-1].id if rows else after, tuple(_offered_by(rows).values()), kinds)


def fold(tx: Transaction, queries: Unfolded) -> int:
    """Take answered queries into `offered`; return how many, none where somebody else has folded them meanwhile."""
    if not queries.count or mark(tx, FOLDED) != queries.after:
        return 0
    if queries.offered:
        tx.execute(_upsert_offered(tx), [_offered_columns(one) for one in queries.offered])
    set_mark(tx, FOLDED, queries.last)
    for what, count in queries.kinds.items():
        set_mark(tx, f"queries-{what}", mark(tx, f"queries-{what}") + count)
    return queries.count


def queries(tx: Transaction) -> dict[str, int]:
    """Return how many queries were answered, with nothing, with less than matched, and with a failure, ever."""
    return {what: mark(tx, f"queries-{what}") for what in QUERIES}


def _kinds(row: Any) -> Iterator[str]:
    yield "answered"
    if row.status not in (SUCCESS, CANCELLED):  # who cancels or leaves has enough
        yield "failed"
    elif row.status == SUCCESS and not json.loads(row[2]):
        yield "empty"
    if json.loads(row.facts).get("truncated"):
        yield "truncated"


def offered(tx: Transaction, item_ids: Collection[int]) -> list[Offered]:
    """Return to whom items were offered, first offered first; queries that are not folded yet count too."""
    if not item_ids:
        return []
    query = select(_OFFERED).where(_OFFERED.c.item_id.in_(item_ids))
    found = {(row.item_id, row.device): Offered(*row) for row in tx.execute(query)}
    fresh = _offered_by(tx.execute(_queries_after(mark(tx, FOLDED))))
    for key in (key for key in fresh if key[0] in item_ids):
        found[key] = _together(found[key], fresh[key]) if key in found else fresh[key]
    return sorted(found.values(), key=lambda one: (one.first, one.item_id))


def _queries_after(last: int) -> Select[Any]:
    asked = select(QUERY.c.id, QUERY.c.at, QUERY.c["items"], _ASSOCIATION.c.device, _ASSOCIATION.c.calling_ae_title)
    asked = asked.add_columns(QUERY.c.status, QUERY.c.facts)
    asked = asked.join(_ASSOCIATION, _ASSOCIATION.c.id == QUERY.c.association_id)
    return asked.where(QUERY.c.id > last).order_by(QUERY.c.id)


def _offered_by(rows: Iterable[Any]) -> dict[tuple[int, str], Offered]:
    found: dict[tuple[int, str], Offered] = {}
    for row in rows:
        device = row.device or row.calling_ae_title
        for item_id in json.loads(row[2]):
            one = Offered(item_id, device, row.at, row.at, 1)
            known = found.get((item_id, device))
            found[item_id, device] = _together(known, one) if known else one
    return found


def _together(one: Offered, other: Offered) -> Offered:
    first, last = min(one.first, other.first), max(one.last, other.last)
    return Offered(one.item_id, one.device, first, last, one.times + other.times)


def _offered_columns(one: Offered) -> dict[str, object]:
    names = ("item_id", "device", "first", "last", "times")
    return {name: getattr(one, name) for name in names}


def _upsert_offered(tx: Transaction) -> Any:
    statement = upsert(tx, _OFFERED)
    more = {"last": statement.excluded.last, "times": _OFFERED.c.times + statement.excluded.times}
    return statement.on_conflict_do_update(index_elements=["item_id", "device"], set_=more)


# --- what came, and where it went --------------------------------------------------------------------------------


def images(
    tx: Transaction, study_uids: Collection[str], accessions: Collection[str], sop_uids: Sequence[str] = ()
) -> list[Image]:
    """Return the instances of these studies or accession numbers, or that are named, oldest first."""
    found = {row.id: _image(row) for row in tx.execute(_images().where(_of(INSTANCE, study_uids, accessions)))}
    for start in range(0, len(sop_uids), _BATCH):
        named = INSTANCE.c.sop_instance_uid.in_(sop_uids[start : start + _BATCH])
        found.update((row.id, _image(row)) for row in tx.execute(_images().where(named)))
    return sorted(found.values(), key=lambda image: image.id)


def _images() -> Select[Any]:
    own = ("id", "sop_instance_uid", "study_instance_uid", "series_instance_uid", "patient_id", "accession_number")
    return select(*(INSTANCE.c[name] for name in (*own, "device", "calling_ae_title", "received")))


def _of(table: Any, study_uids: Collection[str], accessions: Collection[str]) -> Any:
    studies_, numbers = sorted(set(study_uids) - {""}), sorted(set(accessions) - {""})
    return or_(table.c.study_instance_uid.in_(studies_), table.c.accession_number.in_(numbers))


def _image(row: Any) -> Image:
    return Image(
        id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        patient_id=row.patient_id,
        accession_number=row.accession_number,
        device=row.device or row.calling_ae_title,
        received=row.received,
    )


def sent(tx: Transaction, images_: Sequence[Image]) -> list[Sent]:
    """Return every delivery of these instances, in the order in which they were owed."""
    received = {image.id: image.received for image in images_}
    ids = sorted(received)
    found: list[Any] = []
    for start in range(0, len(ids), _BATCH):
        query = select(DELIVERY).where(DELIVERY.c.instance_id.in_(ids[start : start + _BATCH]))
        found += tx.execute(query.order_by(DELIVERY.c.id)).all()
    return [
        Sent(
            row.destination,
            DeliveryState(row.state),
            received[row.instance_id],
            row.finished,
            row.reason,
            row.instance_id,
        )
        for row in found
    ]


def kept(tx: Transaction, images_: Sequence[Image], sent_: Iterable[Sent]) -> list[Kept]:
    """Return what purge has left of the deliveries of these instances, by destination.

    It counts by study and accession number, which other exams may have too: of each no more is theirs than they are
    instances without a delivery of its own (`sent_`).
    """
    keys = {image.id: (image.study_instance_uid, image.accession_number) for image in images_}
    own = Counter(keys.values())
    unpurged = Counter((one.destination, keys[one.instance_id]) for one in sent_)
    together: dict[str, Kept] = {}
    query = select(KEPT).where(_of(KEPT, [study for study, _ in own], [number for _, number in own]))
    for row in tx.execute(query.order_by(KEPT.c.destination)):
        key = (row.study_instance_uid, row.accession_number)
        count = min(row.instances, own[key] - unpurged[row.destination, key])
        if count > 0:
            one = Kept(row.destination, count, row.last, row.longest_seconds)
            known = together.get(row.destination)
            together[row.destination] = _summed(known, one) if known else one
    return list(together.values())


def _summed(one: Kept, other: Kept) -> Kept:
    longest = max(one.longest_seconds, other.longest_seconds)
    return Kept(one.destination, one.instances + other.instances, max(one.last, other.last), longest)


def items_carried(tx: Transaction, study_instance_uid: str, accession_number: str) -> list[Expected]:
    """Return what the items of a study say, else those of an accession number: asked for each image that comes."""
    rows = _BY_STUDY.rows(tx, {"value": study_instance_uid}) if study_instance_uid else ()
    if not rows and accession_number:
        rows = _BY_ACCESSION.rows(tx, {"value": accession_number})
    return [Expected(order_id, *(frozenset({one} if one else ()) for one in values)) for order_id, *values in rows]


# --- which exams -------------------------------------------------------------------------------------------------


def newest_orders(tx: Transaction, limit: int, skipped: int = 0) -> list[int]:
    """Return orders, the newest first, without the first `skipped`."""
    query = select(_ORDER.c.id).order_by(_ORDER.c.id.desc()).limit(limit).offset(skipped)
    return list(tx.execute(query).scalars())


def orders_of_day(tx: Transaction, day: str, limit: int, skipped: int = 0) -> list[int]:
    """Return the orders that have a step on a day (DA), soonest first, whatever its status; as `newest_orders`."""
    both = ITEM.c.offered.in_((0, 1))  # `offered` leads the index
    query = select(ITEM.c.order_id, func.min(ITEM.c.start_time)).where(both, ITEM.c.start_date == day)
    query = query.group_by(ITEM.c.order_id).order_by(func.min(ITEM.c.start_time), ITEM.c.order_id)
    return [row.order_id for row in tx.execute(query.limit(limit).offset(skipped))]


def withdrawn(tx: Transaction, order_id: int) -> frozenset[int]:
    """Return the items of an order that no query finds any more."""
    query = select(ITEM.c.id).where(ITEM.c.order_id == order_id, ITEM.c.offered == 0)
    return frozenset(tx.execute(query).scalars())


# --- marks -------------------------------------------------------------------------------------------------------


def mark(tx: Transaction, name: str) -> int:
    """Return a mark; 0 before the first."""
    return tx.execute(select(_MARK.c.value).where(_MARK.c.name == name)).scalar() or 0


def set_mark(tx: Transaction, name: str, value: int) -> None:
    """Move a mark."""
    if tx.execute(update(_MARK).where(_MARK.c.name == name).values(value=value)).rowcount == 0:
        tx.execute(insert(_MARK).values(name=name, value=value))
