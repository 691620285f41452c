"""What evidence rests on: answered echoes, the settings in force, and what people say of checks."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "verification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("association_id", sa.String(length=26), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
    )
    op.create_index(op.f("ix_verification_device"), "verification", ["device"], unique=False)
    op.create_table(
        "settings_in_force",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("destinations", sa.String(length=64), nullable=False),
        sa.Column("routes", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("mapping", sa.String(length=64), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings_in_force")),
    )
    op.create_table(
        "promotion_statement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("check", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion_statement")),
    )
    op.create_index(op.f("ix_promotion_statement_device"), "promotion_statement", ["device"], unique=False)
