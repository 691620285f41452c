"""The row classes of deliveries and destinations, for the modules beside that hold SQL. Decides nothing."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel, UniqueConstraint

from broker.database import UtcDateTime
from broker.delivery.model import RANK
from broker.environments.model import Priority


class DeliveryRow(SQLModel, table=True):
    """One instance owed to one destination."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("instance_id", "destination"),
        Index("ix_delivery_queue", "destination", "state", "priority", "tries", "id"),
        Index(None, "state", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    instance_id: str = Field(max_length=26)
    destination: str
    state: str
    tries: int
    due: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    reason: str = Field(sa_type=Text)
    status: int | None = Field(default=None)
    lease: str
    lease_ends: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)
    priority: int = Field(default=RANK[Priority.ROUTINE], sa_column_kwargs={"server_default": "2"})
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    syntax: str = Field(default="", sa_column_kwargs={"server_default": ""})


class DestinationStateRow(SQLModel, table=True):
    """How a destination stands."""

    __tablename__ = "destination_state"

    name: str = Field(primary_key=True)
    failures: int
    due: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str = Field(sa_type=Text)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    told: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    told_of_instances: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    held: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": ""})
    held_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
