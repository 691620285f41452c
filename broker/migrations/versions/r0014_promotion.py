"""Requests for promotion, what was served of each device when, and where each stands."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "promotion_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("plan_checksum", sa.String(length=64), nullable=False),
        sa.Column("source_environment", sa.String(), nullable=False),
        sa.Column("source_file", sa.String(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("requested", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("decided", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_why", sa.Text(), nullable=False),
        sa.Column("apply_at", UtcDateTime(), nullable=True),
        sa.Column("applied", UtcDateTime(), nullable=True),
        sa.Column("applied_by", sa.String(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion_request")),
    )
    op.create_index(op.f("ix_promotion_request_name"), "promotion_request", ["name"], unique=False)
    op.create_index(op.f("ix_promotion_request_state"), "promotion_request", ["state"], unique=False)
    op.create_table(
        "promotion_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("life", sa.String(), nullable=False),
        sa.Column("request", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion_history")),
    )
    op.create_index(op.f("ix_promotion_history_name"), "promotion_history", ["name"], unique=False)
    op.create_table(
        "modality_life",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("life", sa.String(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_modality_life")),
    )
    op.add_column("registry_modality", sa.Column("suspended", sa.Boolean(), nullable=False, server_default=sa.false()))
