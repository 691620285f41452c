"""What a person took back: which performed step does not belong to which order, and why."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "performed_unlink",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("performed_step", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["performed_step"], ["performed_step.id"], name=op.f("fk_performed_unlink_performed_step")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_unlink")),
    )
    op.create_index("ix_performed_unlink_step", "performed_unlink", ["performed_step"], unique=False)
    op.create_index("ix_performed_unlink_order", "performed_unlink", ["order_id"], unique=False)
