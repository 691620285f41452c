"""The row classes of orders and patients, for the modules beside that hold SQL. Decides nothing."""

from datetime import datetime

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from broker.database import UtcDateTime, table_of

_EMPTY = {"server_default": "{}"}  # a column that joins a table with rows needs one


class PatientRow(SQLModel, table=True):
    """A patient by identifier and issuer, or, where `merged_into` is set, an identifier that is no longer used."""

    __tablename__ = "patient"
    __table_args__ = (
        UniqueConstraint("patient_id", "issuer_of_patient_id"),
        # Of those alone that were merged: no new patient is among them.
        Index(
            "ix_patient_merged_into",
            "merged_into",
            sqlite_where=text("merged_into IS NOT NULL"),
            info={"where": "merged_into IS NOT NULL"},  # for PostgreSQL too: see `database`
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    updated: datetime = Field(sa_type=UtcDateTime)
    attributes: str = Field(sa_type=Text, sa_column_kwargs=_EMPTY)  # further ones by keyword, JSON
    visit: str = Field(sa_type=Text, sa_column_kwargs=_EMPTY)  # the visit that is known now, JSON
    origins: str = Field(sa_type=Text, sa_column_kwargs=_EMPTY)  # JSON
    merged_into: int | None = Field(default=None)  # a patient's id
    effective: datetime | None = Field(default=None, sa_type=UtcDateTime)  # the newest EVN-2 or MSH-7 applied


class ImagingOrderRow(SQLModel, table=True):
    """One requested procedure. `snapshot` is the order without the patient; the columns are what it is found by."""

    __tablename__ = "imaging_order"
    __table_args__ = (
        Index("ix_imaging_order_study_instance_uid", "study_instance_uid"),
        Index("ix_imaging_order_filler_order_number", "filler_order_number"),
        Index("ix_imaging_order_placer_order_number", "placer_order_number"),
        Index("ix_imaging_order_accession_number", "accession_number"),
        # The last guard of two writers. Procedures may share a study where the sender says so (B.1).
        Index(
            "uq_imaging_order_procedure",
            "study_instance_uid",
            "requested_procedure_id",
            unique=True,
            sqlite_where=text("study_instance_uid <> ''"),
            info={"where": "study_instance_uid <> ''"},  # for PostgreSQL too: see `database`
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    patient: int | None = Field(foreign_key="patient.id", index=True)  # absent where a cancel came before its order
    study_instance_uid: str
    filler_order_number: str
    filler_issuer: str
    placer_order_number: str
    placer_issuer: str
    accession_number: str
    requested_procedure_id: str
    canceled: bool
    snapshot: str = Field(sa_type=Text)
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)
    entry: int  # of the inbox: the message that changed it last
    created_entry: int | None = Field(default=None)  # the message that ordered it: its history begins with that
    origins: str = Field(sa_type=Text, sa_column_kwargs=_EMPTY)  # JSON
    generation: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    parent: int | None = Field(default=None)  # an order's id
    canceled_sent: datetime | None = Field(default=None, sa_type=UtcDateTime)  # MSH-7 of the newest cancel
    effective: datetime | None = Field(default=None, sa_type=UtcDateTime)  # the newest ORC-9 or MSH-7 applied


class OrderHistoryRow(SQLModel, table=True):
    """What was done to an order, when and by which message. `text` holds no patient data."""

    __tablename__ = "order_history"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    entry_id: int  # of the inbox; 0: no message
    did: str
    text: str = Field(sa_type=Text)


class PatientMergeRow(SQLModel, table=True):
    """One merge, with what it takes to undo it."""

    __tablename__ = "patient_merge"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    entry_id: int
    kind: str
    old_patient: int = Field(foreign_key="patient.id", index=True)
    surviving_patient: int = Field(foreign_key="patient.id", index=True)
    moved_orders: str = Field(sa_type=Text)  # ids, JSON
    state: str = Field(sa_type=Text)  # both patients and the orders' AdmissionID before and after, JSON
    undone: datetime | None = Field(default=None, sa_type=UtcDateTime)
    undone_by: str


PATIENT = table_of(PatientRow)
ORDER = table_of(ImagingOrderRow)
HISTORY = table_of(OrderHistoryRow)
MERGE = table_of(PatientMergeRow)
