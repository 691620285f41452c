"""What a person decided about a performed step that nobody is to look at any more, and when."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("performed_step", sa.Column("dismissed", sa.Text(), server_default="", nullable=False))
    op.add_column("performed_step", sa.Column("dismissed_at", UtcDateTime(), nullable=True))
