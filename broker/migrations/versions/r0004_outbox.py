"""Messages owed to receivers, and the studies of which they are to be told."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("steps", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("control_id", sa.String(length=20), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("lease_ends", UtcDateTime(), nullable=True),
        sa.Column("finished", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint("control_id", name=op.f("uq_outbox_message_control_id")),
        sa.UniqueConstraint(
            "receiver", "order_id", "event", "steps", "generation", "turn", name="uq_outbox_message_told"
        ),
    )
    op.create_index(op.f("ix_outbox_message_order_id"), "outbox_message", ["order_id"], unique=False)
    op.create_index("ix_outbox_message_receiver", "outbox_message", ["receiver", "state", "id"], unique=False)
    op.create_index("ix_outbox_message_state", "outbox_message", ["state", "id"], unique=False)
    op.create_table(
        "outbox_study",
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("newest", UtcDateTime(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("receiver", "study_instance_uid", name=op.f("pk_outbox_study")),
    )
    op.create_index("ix_outbox_study_newest", "outbox_study", ["receiver", "newest"], unique=False)
    op.create_table(
        "outbox_mark",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_outbox_mark")),
    )
    # Nobody is told of the studies that were delivered before this version.
    op.execute("INSERT INTO outbox_mark (name, value) SELECT 'deliveries', COALESCE(MAX(id), 0) FROM delivery")
