"""The patient and imaging_order tables: what the hospital asked for, as it stands. Reads no message."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Row, Select, Text, UniqueConstraint, insert, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.orders import snapshot
from broker.orders.lookup import KEYS, UNKNOWN_KEY, Candidate, meant
from broker.orders.merge import merged
from broker.orders.model import Order, OrderChange, OrderControl, OrderKeys, Patient, Refusal


class PatientRow(SQLModel, table=True):
    """A patient by identifier and issuer."""

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("patient_id", "issuer_of_patient_id"),)

    id: int | None = Field(default=None, primary_key=True)
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    updated: datetime = Field(sa_type=UtcDateTime)


class ImagingOrderRow(SQLModel, table=True):
    """One requested procedure. `snapshot` is the whole order; the columns are what it is found by."""

    __tablename__ = "imaging_order"
    __table_args__ = (
        Index("ix_imaging_order_study_instance_uid", "study_instance_uid"),
        Index("ix_imaging_order_filler_order_number", "filler_order_number"),
        Index("ix_imaging_order_placer_order_number", "placer_order_number"),
        Index("ix_imaging_order_accession_number", "accession_number"),
    )

    id: int | None = Field(default=None, primary_key=True)
    patient: int = Field(foreign_key="patient.id", index=True)
    study_instance_uid: str
    filler_order_number: str
    filler_issuer: str
    placer_order_number: str
    placer_issuer: str
    accession_number: str
    requested_procedure_id: str
    canceled: bool
    snapshot: str = Field(sa_type=Text)
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)
    entry: int  # of the inbox: the message that changed it last


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change did. `order` is the order as it now stands, absent where it is canceled."""

    order_id: int
    order: Order | None
    canceled: bool
    created: bool
    changed: bool  # False where the message said nothing new


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as it stands, with its history's ends."""

    id: int
    order: Order
    canceled: bool
    created: datetime
    updated: datetime
    entry_id: int


_PATIENT = table_of(PatientRow)
_ORDER = table_of(ImagingOrderRow)


def apply(tx: Transaction, change: OrderChange, now: datetime, entry_id: int) -> Applied:
    """Do what a change asks for and return what it did; the same change again changes nothing.

    Raises Refusal AE 204 where its keys name no order to cancel, different orders or another patient's, AE 101 where
    it lacks what a new order needs, AE 205 for a canceled order: it is not revived under the same numbers.
    """
    order_id = meant(change, _candidates(tx, change.keys))
    if order_id is None:
        return _create(tx, change, now, entry_id)
    stored = _stored(tx, order_id)
    if change.order is None:
        return _cancel(tx, stored, now, entry_id)
    if stored.canceled:
        raise Refusal("AE", change.location, "205", "the order was canceled; a new one needs numbers of its own")
    return _change(tx, stored, change, now, entry_id)


def orders(tx: Transaction, limit: int = 100) -> list[StoredOrder]:
    """Return the newest orders, newest first."""
    return [_value(row) for row in tx.execute(select(_ORDER).order_by(_ORDER.c.id.desc()).limit(limit))]


def order_detail(tx: Transaction, key: str) -> list[StoredOrder]:
    """Return the orders that a key names: Study Instance UID, filler, placer or accession number, else our id."""
    found = _rows(tx, [select(_ORDER).where(_ORDER.c[name] == key).limit(100) for name in KEYS])
    if not found and key.isdecimal() and len(key) < 10:
        found = _rows(tx, [select(_ORDER).where(_ORDER.c.id == int(key))])
    return [_value(row) for row in found]


def _create(tx: Transaction, change: OrderChange, now: datetime, entry_id: int) -> Applied:
    if change.order is None:
        raise Refusal("AE", change.location, UNKNOWN_KEY, "no order has these keys")
    if change.missing:
        raise Refusal("AE", change.missing.location, "101", change.missing.text)
    patient = _keep_patient(tx, change.order.patient, now)
    columns = _columns(change.order, change.keys)
    inserted = tx.execute(
        insert(_ORDER).values(**columns, patient=patient, canceled=False, created=now, updated=now, entry=entry_id)
    )
    key = inserted.inserted_primary_key
    assert key is not None
    return Applied(int(key[0]), change.order, canceled=False, created=True, changed=True)


def _change(tx: Transaction, stored: StoredOrder, change: OrderChange, now: datetime, entry_id: int) -> Applied:
    order = merged(stored.order, change)
    is_new = change.control is OrderControl.NEW
    whose = {"patient": _keep_patient(tx, order.patient, now)} if is_new else {}
    if order == stored.order:
        return Applied(stored.id, order, canceled=False, created=False, changed=False)
    columns = {key: value for key, value in _columns(order, change.keys).items() if value != ""}
    stated = update(_ORDER).where(_ORDER.c.id == stored.id).values(**columns, **whose)
    tx.execute(stated.values(updated=now, entry=entry_id))
    return Applied(stored.id, order, canceled=False, created=False, changed=True)


def _cancel(tx: Transaction, stored: StoredOrder, now: datetime, entry_id: int) -> Applied:
    if not stored.canceled:
        tx.execute(update(_ORDER).where(_ORDER.c.id == stored.id).values(canceled=True, updated=now, entry=entry_id))
    return Applied(stored.id, None, canceled=True, created=False, changed=not stored.canceled)


def _keep_patient(tx: Transaction, patient: Patient, now: datetime) -> int:
    """Add or refresh the patient and return the row's id; what is not stated stays."""
    row = tx.execute(
        select(_PATIENT)
        .where(_PATIENT.c.patient_id == patient.patient_id)
        .where(_PATIENT.c.issuer_of_patient_id == patient.issuer_of_patient_id)
    ).first()
    demographics = {
        "patient_name": patient.patient_name,
        "patient_birth_date": patient.patient_birth_date,
        "patient_sex": patient.patient_sex,
    }
    if row is None:
        names = {"patient_id": patient.patient_id, "issuer_of_patient_id": patient.issuer_of_patient_id}
        key = tx.execute(insert(_PATIENT).values(**names, **demographics, updated=now)).inserted_primary_key
        assert key is not None
        return int(key[0])
    stated = {name: value for name, value in demographics.items() if value and value != getattr(row, name)}
    if stated:
        tx.execute(update(_PATIENT).where(_PATIENT.c.id == row.id).values(**stated, updated=now))
    return int(row.id)


def _columns(order: Order, keys: OrderKeys) -> dict[str, str]:
    return {
        "study_instance_uid": order.study_instance_uid,
        "filler_order_number": order.filler_order_number,
        "filler_issuer": keys.filler_issuer,
        "placer_order_number": order.placer_order_number,
        "placer_issuer": keys.placer_issuer,
        "accession_number": order.accession_number,
        "requested_procedure_id": order.requested_procedure_id,
        "snapshot": snapshot.to_json(order),
    }


def _candidates(tx: Transaction, keys: OrderKeys) -> list[Candidate]:
    """Return every order that shares a key, found by one index each."""
    stated = [(name, getattr(keys, name)) for name in KEYS if getattr(keys, name)]
    joined = select(_ORDER, _PATIENT.c.patient_id, _PATIENT.c.issuer_of_patient_id).join(
        _PATIENT, _PATIENT.c.id == _ORDER.c.patient
    )
    found = _rows(tx, [joined.where(_ORDER.c[name] == value) for name, value in stated])
    return [Candidate(row.id, _keys(row), row.patient_id, row.issuer_of_patient_id) for row in found]


def _rows(tx: Transaction, queries: Iterable[Select[Any]]) -> list[Row[Any]]:
    """Return the rows of all queries, each once."""
    return list({row.id: row for query in queries for row in tx.execute(query)}.values())


def _stored(tx: Transaction, order_id: int) -> StoredOrder:
    return _value(tx.execute(select(_ORDER).where(_ORDER.c.id == order_id)).one())


def _keys(row: Row[Any]) -> OrderKeys:
    return OrderKeys(
        study_instance_uid=row.study_instance_uid,
        filler_order_number=row.filler_order_number,
        placer_order_number=row.placer_order_number,
        accession_number=row.accession_number,
        requested_procedure_id=row.requested_procedure_id,
        filler_issuer=row.filler_issuer,
        placer_issuer=row.placer_issuer,
    )


def _value(row: Row[Any]) -> StoredOrder:
    return StoredOrder(row.id, snapshot.from_json(row.snapshot), row.canceled, row.created, row.updated, row.entry)
