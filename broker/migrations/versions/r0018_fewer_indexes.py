"""Fewer indexes for a new order to write: an item's study is found by its steps, and no living patient was merged."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_MERGED = sa.text("merged_into IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_worklist_item_study", table_name="worklist_item")
    op.drop_index("ix_patient_merged_into", table_name="patient")
    op.create_index(
        "ix_patient_merged_into",
        "patient",
        ["merged_into"],
        unique=False,
        sqlite_where=_MERGED,
        postgresql_where=_MERGED,
    )
