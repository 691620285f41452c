"""Places of worklist items: what finds them by station, start and name in one table, in the order of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_PLACE = (
    ("offered_to", "offered_to"),
    ("folded", "coalesce(n.folded, '')"),
    ("start_date", "i.start_date"),
    ("start_time", "i.start_time"),
    ("patient_name", "i.patient_name"),
    ("modality", "i.modality"),
)
_START = ("start_date", "start_time", "patient_name")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "worklist_place",
        sa.Column("item_id", sa.Integer(), nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name, _ in _PLACE),
        sa.ForeignKeyConstraint(["item_id"], ["worklist_item.id"], name=op.f("fk_worklist_place_item_id")),
        sa.PrimaryKeyConstraint("item_id", "offered_to", "folded", name=op.f("pk_worklist_place")),
    )
    op.execute(
        f"INSERT INTO worklist_place (item_id, {', '.join(name for name, _ in _PLACE)}) "
        f"SELECT i.id, {', '.join(value for _, value in _PLACE)} FROM worklist_item i "
        "JOIN worklist_station s ON s.item_id = i.id LEFT JOIN worklist_name n ON n.item_id = i.id"
    )
    op.create_index(
        "ix_worklist_place_start", "worklist_place", ["offered_to", *_START, "item_id", "modality"], unique=False
    )
    op.create_index("ix_worklist_place_name", "worklist_place", ["offered_to", "folded"], unique=False)
    op.create_index("ix_worklist_place_folded", "worklist_place", ["folded"], unique=False)
    op.drop_table("worklist_station")
    op.drop_table("worklist_name")
    for name, columns in (("start", ()), ("modality", ("modality",))):
        op.drop_index(f"ix_worklist_item_{name}", table_name="worklist_item")
        op.create_index(f"ix_worklist_item_{name}", "worklist_item", ["offered", *columns, *_START, "id"], unique=False)
