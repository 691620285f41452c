"""Performed procedure steps, what they are linked to, and their forwarding."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "performed_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("association_id", sa.String(length=26), nullable=False),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("performed_station_ae_title", sa.String(), nullable=False),
        sa.Column("patient_id", sa.String(), nullable=False),
        sa.Column("discontinuation_reason", sa.String(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("unlinked", sa.Integer(), nullable=False),
        sa.Column("rest", sa.Text(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("updated", UtcDateTime(), nullable=False),
        sa.Column("stale_told", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["association_id"], ["association.id"], name=op.f("fk_performed_step_association_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_step")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_performed_step_sop_instance_uid")),
    )
    op.create_index(op.f("ix_performed_step_association_id"), "performed_step", ["association_id"], unique=False)
    op.create_index(op.f("ix_performed_step_created"), "performed_step", ["created"], unique=False)
    op.create_index(op.f("ix_performed_step_patient_id"), "performed_step", ["patient_id"], unique=False)
    op.create_index("ix_performed_step_status", "performed_step", ["status", "updated"], unique=False)
    op.create_index("ix_performed_step_unlinked", "performed_step", ["unlinked", "id"], unique=False)
    op.create_table(
        "performed_item",
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("accession_number", sa.String(), nullable=False),
        sa.Column("requested_procedure_id", sa.String(), nullable=False),
        sa.Column("scheduled_procedure_step_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_performed_item_performed_step")
        ),
        sa.PrimaryKeyConstraint("performed_step", "number", name=op.f("pk_performed_item")),
    )
    op.create_index(op.f("ix_performed_item_accession_number"), "performed_item", ["accession_number"], unique=False)
    op.create_index(
        op.f("ix_performed_item_study_instance_uid"), "performed_item", ["study_instance_uid"], unique=False
    )
    op.create_table(
        "performed_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("linked_by", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_performed_link_performed_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_link")),
        sa.UniqueConstraint("performed_step", "item", "order_id", "step_id", name="uq_performed_link_step"),
    )
    op.create_index("ix_performed_link_order", "performed_link", ["order_id", "step_id"], unique=False)
    op.create_table(
        "performed_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("association_id", sa.String(length=26), nullable=False),
        sa.Column("transfer_syntax", sa.String(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("received", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["association_id"], ["association.id"], name=op.f("fk_performed_message_association_id")
        ),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_performed_message_performed_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_message")),
    )
    op.create_index("ix_performed_message_step", "performed_message", ["performed_step", "id"], unique=False)
    op.create_table(
        "performed_series",
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("series_instance_uid", sa.String(), nullable=False),
        sa.Column("rest", sa.Text(), nullable=False),
        sa.Column("instances", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_performed_series_performed_step")
        ),
        sa.PrimaryKeyConstraint("performed_step", "number", name=op.f("pk_performed_series")),
    )
    op.create_index(
        op.f("ix_performed_series_series_instance_uid"), "performed_series", ["series_instance_uid"], unique=False
    )
    op.create_table(
        "mpps_delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("unanswered", sa.Boolean(), nullable=False),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("lease_ends", UtcDateTime(), nullable=True),
        sa.Column("finished", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["message"], ["performed_message.id"], name=op.f("fk_mpps_delivery_message")),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_mpps_delivery_performed_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mpps_delivery")),
        sa.UniqueConstraint("message", "destination", name="uq_mpps_delivery_message"),
    )
    op.create_index("ix_mpps_delivery_destination", "mpps_delivery", ["destination", "state", "id"], unique=False)
    op.create_index("ix_mpps_delivery_step", "mpps_delivery", ["performed_step", "destination"], unique=False)
