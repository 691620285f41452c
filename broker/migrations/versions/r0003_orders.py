"""Patients and visits apart from orders, where each value comes from, what was done to each order, merges."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_VISIT = (
    "AdmissionID",
    "CurrentPatientLocation",
    "ReferringPhysicianName",
    "RouteOfAdmissions",
    "AdmittingDate",
    "AdmittingTime",
)
_STATUS = "ScheduledProcedureStepStatus"
_STATUSES = ("SCHEDULED", "ARRIVED", "READY", "STARTED", "COMPLETED", "DISCONTINUED", "CANCELED")
_PERFORMED = ("STARTED", "COMPLETED", "DISCONTINUED")


def upgrade() -> None:
    """Apply."""
    _widen_patient()
    _widen_order()
    _new_tables()
    _move_patients()
    op.create_index(
        "uq_imaging_order_procedure",
        "imaging_order",
        ["study_instance_uid", "requested_procedure_id"],
        unique=True,
        sqlite_where=sa.text("study_instance_uid <> ''"),
        postgresql_where=sa.text("study_instance_uid <> ''"),
    )


def _widen_patient() -> None:
    for name in ("attributes", "visit", "origins"):
        op.add_column("patient", sa.Column(name, sa.Text(), server_default="{}", nullable=False))
    op.add_column("patient", sa.Column("merged_into", sa.Integer(), nullable=True))
    op.add_column("patient", sa.Column("effective", UtcDateTime(), nullable=True))
    op.create_index(op.f("ix_patient_merged_into"), "patient", ["merged_into"], unique=False)


def _widen_order() -> None:
    with op.batch_alter_table("imaging_order") as batch:  # SQLite cannot lift a NOT NULL in place
        batch.alter_column("patient", existing_type=sa.Integer(), nullable=True)
        batch.add_column(sa.Column("created_entry", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("origins", sa.Text(), server_default="{}", nullable=False))
        batch.add_column(sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("parent", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("canceled_sent", UtcDateTime(), nullable=True))
        batch.add_column(sa.Column("effective", UtcDateTime(), nullable=True))


def _new_tables() -> None:
    op.create_table(
        "order_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("did", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_history")),
    )
    op.create_index(op.f("ix_order_history_order_id"), "order_history", ["order_id"], unique=False)
    op.create_table(
        "patient_merge",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("old_patient", sa.Integer(), nullable=False),
        sa.Column("surviving_patient", sa.Integer(), nullable=False),
        sa.Column("moved_orders", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("undone", UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["old_patient"], ["patient.id"], name=op.f("fk_patient_merge_old_patient")),
        sa.ForeignKeyConstraint(["surviving_patient"], ["patient.id"], name=op.f("fk_patient_merge_surviving_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_merge")),
    )
    op.create_index(op.f("ix_patient_merge_old_patient"), "patient_merge", ["old_patient"], unique=False)
    op.create_index(op.f("ix_patient_merge_surviving_patient"), "patient_merge", ["surviving_patient"], unique=False)


def _move_patients() -> None:
    """Take the patient out of every order's snapshot; what its newest order says of a patient is what is known."""
    tx = op.get_bind()
    change = sa.text("UPDATE imaging_order SET snapshot = :snapshot WHERE id = :id")
    known: dict[int, tuple[Any, dict[str, str], dict[str, str]]] = {}
    for row in _orders(tx):
        order, patient = _split(json.loads(row.snapshot), canceled=bool(row.canceled))
        attributes = {k: v for k, v in patient["attributes"].items() if k not in _VISIT}
        if row.patient not in known or known[row.patient][0] <= row.updated:
            known[row.patient] = (row.updated, attributes, order["visit"])
        tx.execute(change, {"snapshot": _text(order), "id": row.id})
    # Of an earlier cancel only the instant when it was applied is known: an older order does not revive its order.
    tx.execute(sa.text("UPDATE imaging_order SET canceled_sent = updated WHERE canceled"))
    change = sa.text("UPDATE patient SET attributes = :attributes, visit = :visit WHERE id = :id")
    for own, (_, attributes, visit) in known.items():
        # Who refers stays each order's own (PS3.4 table K.6-1).
        seen = {keyword: value for keyword, value in visit.items() if keyword != "ReferringPhysicianName"}
        tx.execute(change, {"attributes": _text(attributes), "visit": _text(seen), "id": own})


def _orders(tx: sa.Connection) -> Iterator[sa.Row[Any]]:
    """Return every order, some at a time: a database may hold years of them."""
    some = sa.text(
        "SELECT id, patient, canceled, updated, snapshot FROM imaging_order WHERE id > :last ORDER BY id LIMIT 500"
    )
    last = 0
    while rows := tx.execute(some, {"last": last}).all():
        yield from rows
        last = rows[-1].id


def _split(order: dict[str, Any], *, canceled: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the order as it is kept now, and the patient that it held."""
    patient: dict[str, Any] = order.pop("patient")
    order["visit"] = {k: v for k, v in patient["attributes"].items() if k in _VISIT}
    order["requested_procedure_code"] = _code(order.get("requested_procedure_code"))
    order["steps"] = [_step(step, canceled=canceled) for step in order["steps"]]
    return order, patient


def _step(step: dict[str, Any], *, canceled: bool) -> dict[str, Any]:
    stated = step["attributes"].pop(_STATUS, "")
    status = stated if stated in _STATUSES else "SCHEDULED"
    if canceled and status not in _PERFORMED:
        status = "CANCELED"
    codes = [_code(code) for code in step["scheduled_protocol_codes"]]
    return {**step, "scheduled_protocol_codes": codes, "status": status}


def _code(code: dict[str, str] | None) -> list[str] | None:
    return None if code is None else [code["value"], code["scheme"], code["meaning"]]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
