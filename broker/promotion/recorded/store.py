"""The tables of what nobody else records: answered echoes, and the settings a serve began with.

Echoes of devices are written under `associations`, ours and the settings under `promotion`.
"""

from datetime import datetime

from sqlalchemy import Text, insert, select
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.promotion.model import Hashes
from broker.promotion.recorded.model import Echo, InForce, Way

_MOST = 1000


class VerificationRow(SQLModel, table=True):
    """One C-ECHO, in either direction."""

    __tablename__ = "verification"

    id: int | None = Field(default=None, primary_key=True)
    device: str = Field(index=True, max_length=64)
    at: datetime = Field(sa_type=UtcDateTime)
    way: str
    association_id: str = Field(max_length=26)
    revision: str = Field(max_length=64)
    host: str
    port: int
    software: str
    failure: str = Field(sa_type=Text)


class SettingsInForceRow(SQLModel, table=True):
    """The settings that a serve began with, where they differ from those before."""

    __tablename__ = "settings_in_force"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    destinations: str = Field(max_length=64)
    routes: str = Field(max_length=64)
    policy: str = Field(max_length=64)
    mapping: str = Field(max_length=64)
    software: str


_ECHO = table_of(VerificationRow)
_SETTINGS = table_of(SettingsInForceRow)


def add_echo(tx: Transaction, echo: Echo) -> int:
    """Keep that a C-ECHO was answered, or that ours was not; return its number."""
    values = {
        "device": echo.device,
        "at": echo.at,
        "way": echo.way.value,
        "association_id": echo.association_id,
        "revision": echo.revision,
        "host": echo.host,
        "port": echo.port,
        "software": echo.software,
        "failure": echo.failure,
    }
    key = tx.execute(insert(_ECHO).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def echoes(tx: Transaction, device: str) -> list[Echo]:
    """Return the newest echoes of a device, newest first."""
    query = select(_ECHO).where(_ECHO.c.device == device).order_by(_ECHO.c.id.desc()).limit(_MOST)
    return [
        Echo(
            device=row.device,
            at=row.at,
            way=Way(row.way),
            association_id=row.association_id,
            revision=row.revision,
            host=row.host,
            port=row.port,
            software=row.software,
            failure=row.failure,
            id=row.id,
        )
        for row in tx.execute(query)
    ]


def take_note(tx: Transaction, in_force: InForce) -> bool:
    """Keep the settings that are in force from now on; False where they are those of before."""
    row = tx.execute(select(_SETTINGS).order_by(_SETTINGS.c.id.desc()).limit(1)).first()
    if row is not None and (Hashes(row.destinations, row.routes, row.policy, row.mapping), row.software) == (
        in_force.hashes,
        in_force.software,
    ):
        return False
    found = in_force.hashes
    tx.execute(
        insert(_SETTINGS).values(
            at=in_force.at,
            destinations=found.destinations,
            routes=found.routes,
            policy=found.policy,
            mapping=found.mapping,
            software=in_force.software,
        )
    )
    return True


def in_force(tx: Transaction) -> list[InForce]:
    """Return every change of the settings in force, oldest first."""
    return [
        InForce(row.at, Hashes(row.destinations, row.routes, row.policy, row.mapping), row.software)
        for row in tx.execute(select(_SETTINGS).order_by(_SETTINGS.c.id))
    ]
