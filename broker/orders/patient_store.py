"""The patient table: patients by identifier and issuer, and which of them were merged. Decides nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from broker.database import Transaction
from broker.orders.model import Patient
from broker.orders.patients import StoredPatient
from broker.orders.snapshot import origins_from_json, origins_to_json, plain_json, texts
from broker.orders.tables import MERGE, ORDER, PATIENT
from broker.statements import Prepared

_FIND = Prepared(
    select(PATIENT).where(
        PATIENT.c.patient_id == bindparam("own"), PATIENT.c.issuer_of_patient_id == bindparam("issuer")
    )
)
_BY_ROW = Prepared(select(PATIENT).where(PATIENT.c.id == bindparam("row")))
_ADD = Prepared(insert(PATIENT))
_CHANGE = Prepared(update(PATIENT).where(PATIENT.c.id == bindparam("row")))
_DEEPEST = 64  # merges after each other


@dataclass(frozen=True, slots=True)
class Identified:
    """Whom an identifier means: `survivor` is `stated` itself unless that was merged."""

    stated: StoredPatient
    survivor: StoredPatient


def find(tx: Transaction, patient_id: str, issuer: str) -> Identified | None:
    """Return the patient of an identifier, followed through merges, or None where it is unknown."""
    found = _FIND.rows(tx, {"own": patient_id, "issuer": issuer})
    if not found:
        return None
    stated = patient_of(found[0])
    return Identified(stated, survivor_of(tx, stated))


def by_row(tx: Transaction, row_id: int) -> StoredPatient:
    """Return the patient of a row, merged or not."""
    return patient_of(_BY_ROW.rows(tx, {"row": row_id})[0])


def survivor_of(tx: Transaction, patient: StoredPatient) -> StoredPatient:
    """Return the patient at the end of the chain of merges."""
    return chain(tx, patient)[-1]


def chain(tx: Transaction, patient: StoredPatient) -> list[StoredPatient]:
    """Return the patient and, in turn, each into whom it was merged."""
    found = [patient]
    while found[-1].merged_into:
        if len(found) > _DEEPEST:
            raise RuntimeError(f"patient row {patient.id} is merged in a circle")
        found.append(by_row(tx, found[-1].merged_into))
    return found


def add(tx: Transaction, patient: StoredPatient, now: datetime) -> StoredPatient:
    """Add a patient and return it with its id."""
    identity = patient.patient
    names = {"patient_id": identity.patient_id, "issuer_of_patient_id": identity.issuer_of_patient_id}
    own = _ADD.add(tx, {**names, **_columns(patient, now)})
    return StoredPatient(own, identity, patient.visit, patient.origins, 0, patient.effective, now)


def change(tx: Transaction, patient: StoredPatient, now: datetime) -> StoredPatient:
    """Store what is known of a patient now."""
    _CHANGE.run(tx, {"row": patient.id, **_columns(patient, now)})
    return replace(patient, updated=now)


def remove(tx: Transaction, row_id: int) -> bool:
    """Remove a patient to whom no order, no merge and no former identifier refers; return whether it is gone."""
    references = (
        select(ORDER.c.id).where(ORDER.c.patient == row_id),
        select(PATIENT.c.id).where(PATIENT.c.merged_into == row_id),
        select(MERGE.c.id).where(or_(MERGE.c.old_patient == row_id, MERGE.c.surviving_patient == row_id)),
    )
    if any(tx.execute(query.limit(1)).first() for query in references):
        return False
    tx.execute(delete(PATIENT).where(PATIENT.c.id == row_id))
    return True


def patients(tx: Transaction, key: str, limit: int = 100) -> list[StoredPatient]:
    """Return the patients with this PatientID or this row id, former identifiers included; all without a key."""
    query = select(PATIENT).order_by(PATIENT.c.id.desc()).limit(limit)
    if not key:
        return [patient_of(row) for row in tx.execute(query)]
    found = [patient_of(row) for row in tx.execute(query.where(PATIENT.c.patient_id == key))]
    if not found and key.isdecimal() and len(key) < 10:
        found = [patient_of(row) for row in tx.execute(query.where(PATIENT.c.id == int(key)))]
    return found


def listed(tx: Transaction, *, merged: bool, limit: int = 100) -> list[StoredPatient]:
    """Return the newest patients in use, or with `merged` the newest identifiers that are no longer used."""
    wanted = PATIENT.c.merged_into.is_not(None) if merged else PATIENT.c.merged_into.is_(None)
    return [
        patient_of(row) for row in tx.execute(select(PATIENT).where(wanted).order_by(PATIENT.c.id.desc()).limit(limit))
    ]


def named(tx: Transaction, identifier: str) -> list[StoredPatient]:
    """Return the patients of `ID^^^AUTHORITY`, or of `ID` under every authority, former identifiers included."""
    patient_id, separator, issuer = identifier.partition("^^^")
    query = select(PATIENT).where(PATIENT.c.patient_id == patient_id).order_by(PATIENT.c.id)
    if separator:
        query = query.where(PATIENT.c.issuer_of_patient_id == issuer)
    return [patient_of(row) for row in tx.execute(query)]


def former(tx: Transaction, row_id: int) -> list[StoredPatient]:
    """Return the identifiers that were merged into a patient, also through others."""
    found: list[StoredPatient] = []
    waiting = [row_id]
    while waiting and len(waiting) <= _DEEPEST:
        rows = tx.execute(select(PATIENT).where(PATIENT.c.merged_into.in_(waiting)).order_by(PATIENT.c.id)).all()
        found += map(patient_of, rows)
        waiting = [row.id for row in rows]
    return found


def patient_of(row: Row[Any]) -> StoredPatient:
    """Return the patient of a row of the table."""
    return StoredPatient(
        id=row.id,
        patient=Patient(
            patient_id=row.patient_id,
            issuer_of_patient_id=row.issuer_of_patient_id,
            patient_name=row.patient_name,
            patient_birth_date=row.patient_birth_date,
            patient_sex=row.patient_sex,
            attributes=texts(row.attributes),
        ),
        visit=texts(row.visit),
        origins=origins_from_json(row.origins),
        merged_into=row.merged_into or 0,
        effective=row.effective,
        updated=row.updated,
    )


def _columns(patient: StoredPatient, now: datetime) -> dict[str, object]:
    return {
        "patient_name": patient.patient.patient_name,
        "patient_birth_date": patient.patient.patient_birth_date,
        "patient_sex": patient.patient.patient_sex,
        "updated": now,
        "attributes": plain_json(patient.patient.attributes),
        "visit": plain_json(patient.visit),
        "origins": origins_to_json(patient.origins),
        "merged_into": patient.merged_into or None,
        "effective": patient.effective,
    }
