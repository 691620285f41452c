"""The inbox keeps acknowledgements and what people did; worklist items keep provenance and encoded elements."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INBOX = (
    sa.Column("payload_sha256", sa.String(length=64), nullable=False, server_default=""),
    sa.Column("source", sa.String(), nullable=False, server_default=""),
    sa.Column("acknowledgement", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
    sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
)
_WORKLIST = (
    sa.Column("provenance", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("encoded", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
)


def upgrade() -> None:
    """Apply. The defaults are for the rows that exist; new rows state every value."""
    for table, columns in (("inbox", _INBOX), ("worklist_item", _WORKLIST)):
        for column in columns:
            op.add_column(table, column)
