"""The instance table: the index of the spool. A forgotten instance keeps its row; its file is gone."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Row, Text, bindparam, func, insert, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.spool.files import Known
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.statements import Prepared

_BATCH = 500  # identifiers in one statement


class InstanceRow(SQLModel, table=True):
    """One received instance."""

    __tablename__ = "instance"

    id: str = Field(primary_key=True, max_length=26)
    association_id: str = Field(index=True)
    calling_ae_title: str
    called_ae_title: str
    device: str = Field(index=True)
    sop_class_uid: str
    sop_instance_uid: str = Field(index=True)
    transfer_syntax: str
    received: datetime = Field(sa_type=UtcDateTime, index=True)
    sha256: str
    path: str
    data_offset: int
    data_length: int = Field(sa_type=BigInteger)
    study_instance_uid: str = Field(index=True)
    series_instance_uid: str
    patient_id: str
    accession_number: str = Field(index=True)
    modality: str
    attributes: str = Field(sa_type=Text)
    conflicts_with: str
    forgotten: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class SpoolCounts:
    """What the spool holds now."""

    instances: int
    octets: int


_TABLE = table_of(InstanceRow)

_ADD = Prepared(insert(_TABLE))
_FORGET = Prepared(
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("the_id"), _TABLE.c.forgotten.is_(None))
    .values(forgotten=bindparam("now"))
)
_BY_SOP = Prepared(select(_TABLE).where(_TABLE.c.sop_instance_uid == bindparam("uid")).order_by(_TABLE.c.id))


def add(tx: Transaction, instance: SpooledInstance) -> None:
    """Add the row of an instance whose file is durable."""
    facts = instance.facts
    values = {
        "id": instance.id,
        "association_id": facts.association_id,
        "calling_ae_title": facts.calling_ae_title,
        "called_ae_title": facts.called_ae_title,
        "device": facts.device,
        "sop_class_uid": facts.sop_class_uid,
        "sop_instance_uid": facts.sop_instance_uid,
        "transfer_syntax": facts.transfer_syntax,
        "received": facts.received,
        "sha256": instance.sha256,
        "path": instance.path,
        "data_offset": instance.offset,
        "data_length": instance.length,
        "study_instance_uid": instance.study_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "patient_id": instance.patient_id,
        "accession_number": instance.accession_number,
        "modality": instance.modality,
        "attributes": json.dumps(instance.attributes),
        "conflicts_with": instance.conflicts_with,
    }
    _ADD.run(tx, values)


def find(tx: Transaction, instance_id: str) -> SpooledInstance | None:
    """Return one instance, forgotten or not."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == instance_id)).first()
    return None if row is None else _value(row)


def find_all(tx: Transaction, instance_ids: Collection[str]) -> dict[str, SpooledInstance]:
    """Return the instances of these identifiers that there are."""
    found: dict[str, SpooledInstance] = {}
    for ids in _batches(sorted(set(instance_ids))):
        found.update((row.id, _value(row)) for row in tx.execute(select(_TABLE).where(_TABLE.c.id.in_(ids))))
    return found


def values_of(rows: Iterable[Row[Any]]) -> list[SpooledInstance]:
    """Return what rows of the index tell, for who has asked for them by a query of its own."""
    return [_value(row) for row in rows]


def find_by_sop(tx: Transaction, sop_instance_uid: str) -> list[SpooledInstance]:
    """Return every version of an instance, oldest first, forgotten ones too."""
    return [_value(row) for row in _BY_SOP.rows(tx, {"uid": sop_instance_uid})]


def same(tx: Transaction, facts: ReceiptFacts, sha256: str) -> SpooledInstance | None:
    """Return the instance that was received before with equal content: a resend, which owes nothing new."""
    versions = find_by_sop(tx, facts.sop_instance_uid)
    return next(
        (v for v in versions if v.sha256 == sha256 and v.facts.transfer_syntax == facts.transfer_syntax),
        None,
    )


def device_of(tx: Transaction, study_instance_uid: str) -> str:
    """Return the device that sent the newest image of a study, or nothing."""
    own = (_TABLE.c.study_instance_uid == study_instance_uid, _TABLE.c.device != "")
    found = tx.execute(select(_TABLE.c.device).where(*own).order_by(_TABLE.c.id.desc()).limit(1)).scalar()
    return found or "" if study_instance_uid else ""


def conflicting(tx: Transaction, facts: ReceiptFacts, sha256: str) -> SpooledInstance | None:
    """Return the newest instance of this SOP Instance UID with other content; both are kept, neither replaces."""
    versions = find_by_sop(tx, facts.sop_instance_uid)
    return next((v for v in reversed(versions) if v.sha256 != sha256), None)


def forget(tx: Transaction, instance_id: str, now: datetime) -> bool:
    """Mark an instance whose file may go; tell whether it was still held."""
    return _FORGET.change(tx, {"the_id": instance_id, "now": now}) == 1


def known(tx: Transaction, instance_ids: Sequence[str]) -> Known:
    """Return which identifiers the index holds and which it has let go, for `FileSpool.recover`."""
    held: set[str] = set()
    forgotten: set[str] = set()
    for ids in _batches(instance_ids):
        for row in tx.execute(select(_TABLE.c.id, _TABLE.c.forgotten).where(_TABLE.c.id.in_(ids))):
            (held if row.forgotten is None else forgotten).add(row.id)
    return Known(held, forgotten)


def held_paths(tx: Transaction) -> set[str]:
    """Return where the instances that are held lie."""
    return set(tx.execute(select(_TABLE.c.path).where(_TABLE.c.forgotten.is_(None)).distinct()).scalars())


def held_in(tx: Transaction, path: str) -> list[SpooledInstance]:
    """Return the instances that are held in one file."""
    query = select(_TABLE).where(_TABLE.c.forgotten.is_(None), _TABLE.c.path == path).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def held(tx: Transaction, after: str, limit: int) -> list[SpooledInstance]:
    """Return instances that are held, by identifier, from the one after `after` on."""
    query = select(_TABLE).where(_TABLE.c.forgotten.is_(None), _TABLE.c.id > after).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query.limit(limit))]


def moved(tx: Transaction, instance: SpooledInstance) -> bool:
    """Record where an instance lies now; tell whether it is still held."""
    mine = (_TABLE.c.id == instance.id, _TABLE.c.forgotten.is_(None))
    values = {"path": instance.path, "data_offset": instance.offset}
    return tx.execute(update(_TABLE).where(*mine).values(values)).rowcount == 1


def counts(tx: Transaction) -> SpoolCounts:
    """Return how many instances are held, and how many bytes of data set."""
    query = select(func.count(), func.coalesce(func.sum(_TABLE.c.data_length), 0)).where(_TABLE.c.forgotten.is_(None))
    instances, octets = tx.execute(query).one()
    return SpoolCounts(int(instances), int(octets))


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _value(row: Row[Any]) -> SpooledInstance:
    return SpooledInstance(
        id=row.id,
        facts=ReceiptFacts(
            association_id=row.association_id,
            calling_ae_title=row.calling_ae_title,
            called_ae_title=row.called_ae_title,
            device=row.device,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            transfer_syntax=row.transfer_syntax,
            received=row.received,
        ),
        sha256=row.sha256,
        path=row.path,
        offset=row.data_offset,
        length=row.data_length,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        patient_id=row.patient_id,
        accession_number=row.accession_number,
        modality=row.modality,
        attributes=json.loads(row.attributes),
        conflicts_with=row.conflicts_with,
    )
