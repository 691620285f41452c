"""What became of instances on their way to a destination that gets attributes from the order."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "delivery_correction",
        sa.Column("instance_id", sa.String(length=26), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "destination", name=op.f("pk_delivery_correction")),
    )
