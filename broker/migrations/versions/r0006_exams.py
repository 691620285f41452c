"""Which item was offered to whom, what purge leaves of deliveries, and how far both were read."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "offered",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("first", UtcDateTime(), nullable=False),
        sa.Column("last", UtcDateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "device", name=op.f("pk_offered")),
    )
    op.create_table(
        "exam_delivered",
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("accession_number", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("last", UtcDateTime(), nullable=False),
        sa.Column("longest_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "study_instance_uid", "accession_number", "destination", name=op.f("pk_exam_delivered")
        ),
    )
    op.create_index("ix_exam_delivered_accession_number", "exam_delivered", ["accession_number"], unique=False)
    op.create_table(
        "exam_mark",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_exam_mark")),
    )
