"""What destinations have proven that they keep, and what devices ask us to answer for."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "proof",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.String(length=26), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("sop_class_uid", sa.String(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_again", sa.Boolean(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.Column("delivered", UtcDateTime(), nullable=False),
        sa.Column("transaction_uid", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finished", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
        sa.UniqueConstraint("delivery_id", name="uq_proof_delivery_id"),
    )
    op.create_index("ix_proof_due", "proof", ["destination", "state", "due"], unique=False)
    op.create_index("ix_proof_instance", "proof", ["destination", "sop_instance_uid"], unique=False)
    op.create_index("ix_proof_instance_id", "proof", ["instance_id"], unique=False)
    op.create_index("ix_proof_open", "proof", ["state", "delivered", "destination"], unique=False)
    op.create_index("ix_proof_transaction_uid", "proof", ["transaction_uid"], unique=False)
    op.create_table(
        "proof_asking",
        sa.Column("transaction_uid", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reported", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_proof_asking")),
    )
    op.create_table(
        "prover",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("unable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_prover")),
    )
    op.create_table(
        "commitment_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(), nullable=False),
        sa.Column("association_id", sa.String(length=26), nullable=False),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("called_ae_title", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received", UtcDateTime(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided", UtcDateTime(), nullable=True),
        sa.Column("finished", UtcDateTime(), nullable=True),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("lease_ends", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["association_id"], ["association.id"], name=op.f("fk_commitment_request_association_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_request")),
        sa.UniqueConstraint("calling_ae_title", "transaction_uid", name="uq_commitment_request_transaction"),
    )
    op.create_index("ix_commitment_request_due", "commitment_request", ["state", "due"], unique=False)
    op.create_table(
        "commitment_reference",
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.String(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("decided", sa.Boolean(), nullable=False),
        sa.Column("failure", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["commitment_request.id"], name=op.f("fk_commitment_reference_request_id")
        ),
        sa.PrimaryKeyConstraint("request_id", "number", name=op.f("pk_commitment_reference")),
    )
    op.create_index("ix_commitment_reference_instance", "commitment_reference", ["sop_instance_uid"], unique=False)
