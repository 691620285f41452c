"""Deliveries have a priority and remember since when they fail; destinations are held, and how far people were told."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("delivery", sa.Column("priority", sa.Integer(), server_default="2", nullable=False))
    op.add_column("delivery", sa.Column("since", UtcDateTime(), nullable=True))
    op.drop_index(op.f("ix_delivery_destination_delivery_state_delivery_tries_delivery_id"), "delivery")
    op.create_index("ix_delivery_queue", "delivery", ["destination", "state", "priority", "tries", "id"], unique=False)
    for column in (
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.Column("told_of_instances", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held", sa.Text(), server_default="", nullable=False),
        sa.Column("held_since", UtcDateTime(), nullable=True),
    ):
        op.add_column("destination_state", column)
