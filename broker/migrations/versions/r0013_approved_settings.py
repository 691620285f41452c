"""The settings that Production serves, and who approved them."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "approved_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("requested", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("approved", UtcDateTime(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approved_settings")),
    )
    op.create_index(op.f("ix_approved_settings_approved"), "approved_settings", ["approved"], unique=False)
