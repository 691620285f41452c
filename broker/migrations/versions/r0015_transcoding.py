"""A delivery may be sent in another transfer syntax than its instance was received in."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("delivery", sa.Column("syntax", sa.String(), server_default="", nullable=False))
