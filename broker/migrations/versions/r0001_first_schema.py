"""The first schema: what each stage keeps."""

import sqlalchemy as sa
from alembic import op

from broker.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first", UtcDateTime(), nullable=False),
        sa.Column("last", UtcDateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("acknowledged", UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_acknowledged"), "alert", ["acknowledged"], unique=False)
    op.create_index(op.f("ix_alert_event"), "alert", ["event"], unique=False)
    op.create_table(
        "association",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("started", UtcDateTime(), nullable=False),
        sa.Column("ended", UtcDateTime(), nullable=True),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("called_ae_title", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("implementation_class_uid", sa.String(), nullable=False),
        sa.Column("implementation_version_name", sa.String(), nullable=False),
        sa.Column("contexts", sa.Text(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("nearest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_association")),
    )
    op.create_index(op.f("ix_association_calling_ae_title"), "association", ["calling_ae_title"], unique=False)
    op.create_index(op.f("ix_association_device"), "association", ["device"], unique=False)
    op.create_index(op.f("ix_association_result"), "association", ["result"], unique=False)
    op.create_index(op.f("ix_association_started"), "association", ["started"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_action"), "audit", ["action"], unique=False)
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.String(length=26), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("lease", sa.String(), nullable=False),
        sa.Column("lease_ends", UtcDateTime(), nullable=True),
        sa.Column("finished", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("instance_id", "destination", name=op.f("uq_delivery_instance_id_destination")),
    )
    op.create_index(
        op.f("ix_delivery_destination_delivery_state_delivery_tries_delivery_id"),
        "delivery",
        ["destination", "state", "tries", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_delivery_state_delivery_id"), "delivery", ["state", "id"], unique=False)
    op.create_table(
        "destination_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("due", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_destination_state")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("received", UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sending_application", sa.String(), nullable=False),
        sa.Column("sending_facility", sa.String(), nullable=False),
        sa.Column("message_type", sa.String(), nullable=False),
        sa.Column("control_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("acknowledgement_code", sa.String(), nullable=False),
        sa.Column("error_location", sa.String(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=False),
        sa.Column("error_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index("ix_inbox_control_id", "inbox", ["control_id"], unique=False)
    op.create_index("ix_inbox_state_id", "inbox", ["state", "id"], unique=False)
    op.create_table(
        "instance",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("association_id", sa.String(), nullable=False),
        sa.Column("calling_ae_title", sa.String(), nullable=False),
        sa.Column("called_ae_title", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("sop_class_uid", sa.String(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(), nullable=False),
        sa.Column("transfer_syntax", sa.String(), nullable=False),
        sa.Column("received", UtcDateTime(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("data_offset", sa.Integer(), nullable=False),
        sa.Column("data_length", sa.BigInteger(), nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("series_instance_uid", sa.String(), nullable=False),
        sa.Column("patient_id", sa.String(), nullable=False),
        sa.Column("accession_number", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("conflicts_with", sa.String(), nullable=False),
        sa.Column("forgotten", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
    )
    op.create_index(op.f("ix_instance_accession_number"), "instance", ["accession_number"], unique=False)
    op.create_index(op.f("ix_instance_association_id"), "instance", ["association_id"], unique=False)
    op.create_index(op.f("ix_instance_device"), "instance", ["device"], unique=False)
    op.create_index(op.f("ix_instance_forgotten"), "instance", ["forgotten"], unique=False)
    op.create_index(op.f("ix_instance_received"), "instance", ["received"], unique=False)
    op.create_index(op.f("ix_instance_sop_instance_uid"), "instance", ["sop_instance_uid"], unique=False)
    op.create_index(op.f("ix_instance_study_instance_uid"), "instance", ["study_instance_uid"], unique=False)
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_at"), "journal", ["at"], unique=False)
    op.create_index(op.f("ix_journal_event"), "journal", ["event"], unique=False)
    op.create_table(
        "patient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.String(), nullable=False),
        sa.Column("issuer_of_patient_id", sa.String(), nullable=False),
        sa.Column("patient_name", sa.String(), nullable=False),
        sa.Column("patient_birth_date", sa.String(), nullable=False),
        sa.Column("patient_sex", sa.String(), nullable=False),
        sa.Column("updated", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint(
            "patient_id", "issuer_of_patient_id", name=op.f("uq_patient_patient_id_issuer_of_patient_id")
        ),
    )
    op.create_table(
        "registry_generation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_generation")),
    )
    op.create_table(
        "registry_revision",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("recorded", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_registry_revision")),
    )
    op.create_index(op.f("ix_registry_revision_name"), "registry_revision", ["name"], unique=False)
    op.create_table(
        "worklist_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("start_date", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("start_time", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("modality", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("patient_id", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("patient_name", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("accession_number", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column(
            "requested_procedure_id", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "study_instance_uid", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "scheduled_procedure_step_id",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("rest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worklist_item")),
        sa.UniqueConstraint("study_instance_uid", "scheduled_procedure_step_id", name="uq_worklist_item_step"),
    )
    op.create_index("ix_worklist_item_accession_number", "worklist_item", ["offered", "accession_number"], unique=False)
    op.create_index("ix_worklist_item_modality", "worklist_item", ["offered", "modality", "start_date"], unique=False)
    op.create_index(op.f("ix_worklist_item_order_id"), "worklist_item", ["order_id"], unique=False)
    op.create_index("ix_worklist_item_patient_id", "worklist_item", ["offered", "patient_id"], unique=False)
    op.create_index(
        "ix_worklist_item_requested_procedure_id", "worklist_item", ["offered", "requested_procedure_id"], unique=False
    )
    op.create_index("ix_worklist_item_start", "worklist_item", ["offered", "start_date", "start_time"], unique=False)
    op.create_index(
        "ix_worklist_item_step_id", "worklist_item", ["offered", "scheduled_procedure_step_id"], unique=False
    )
    op.create_index("ix_worklist_item_study", "worklist_item", ["offered", "study_instance_uid"], unique=False)
    op.create_table(
        "imaging_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(), nullable=False),
        sa.Column("filler_order_number", sa.String(), nullable=False),
        sa.Column("filler_issuer", sa.String(), nullable=False),
        sa.Column("placer_order_number", sa.String(), nullable=False),
        sa.Column("placer_issuer", sa.String(), nullable=False),
        sa.Column("accession_number", sa.String(), nullable=False),
        sa.Column("requested_procedure_id", sa.String(), nullable=False),
        sa.Column("canceled", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("updated", UtcDateTime(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["patient"], ["patient.id"], name=op.f("fk_imaging_order_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_order")),
    )
    op.create_index("ix_imaging_order_accession_number", "imaging_order", ["accession_number"], unique=False)
    op.create_index("ix_imaging_order_filler_order_number", "imaging_order", ["filler_order_number"], unique=False)
    op.create_index(op.f("ix_imaging_order_patient"), "imaging_order", ["patient"], unique=False)
    op.create_index("ix_imaging_order_placer_order_number", "imaging_order", ["placer_order_number"], unique=False)
    op.create_index("ix_imaging_order_study_instance_uid", "imaging_order", ["study_instance_uid"], unique=False)
    op.create_table(
        "registry_modality",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("active", sa.String(length=64), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("ae_title", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["active"], ["registry_revision.sha256"], name=op.f("fk_registry_modality_active")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_registry_modality")),
    )
    op.create_table(
        "worklist_name",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("folded", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["worklist_item.id"], name=op.f("fk_worklist_name_item_id")),
        sa.PrimaryKeyConstraint("item_id", "folded", name=op.f("pk_worklist_name")),
    )
    op.create_index("ix_worklist_name_folded", "worklist_name", ["folded"], unique=False)
    op.create_table(
        "worklist_query",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("association_id", sa.String(length=26), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["association_id"], ["association.id"], name=op.f("fk_worklist_query_association_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worklist_query")),
    )
    op.create_index(op.f("ix_worklist_query_association_id"), "worklist_query", ["association_id"], unique=False)
    op.create_index(op.f("ix_worklist_query_at"), "worklist_query", ["at"], unique=False)
    op.create_table(
        "worklist_station",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("offered_to", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("start_date", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["worklist_item.id"], name=op.f("fk_worklist_station_item_id")),
        sa.PrimaryKeyConstraint("item_id", "offered_to", name=op.f("pk_worklist_station")),
    )
    op.create_index("ix_worklist_station_offered_to", "worklist_station", ["offered_to", "start_date"], unique=False)
