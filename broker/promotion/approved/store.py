"""The approved_settings table: what was asked for, by whom, and who approved. Write under `settings`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, Row, Text, insert, inspect, select, update
from sqlmodel import Field, SQLModel

from broker.audit import store as audit
from broker.audit.model import Actor, AuditEntry
from broker.database import Transaction, UtcDateTime, table_of
from broker.errors import NotFound, Refused
from broker.people.model import Right, User, roles_with
from broker.promotion.settings import Settings, unpacked


class ApprovedSettingsRow(SQLModel, table=True):
    """Settings that somebody wants served, and who allowed it."""

    __tablename__ = "approved_settings"

    id: int | None = Field(default=None, primary_key=True)
    sha256: str = Field(max_length=64)
    content: bytes = Field(sa_type=LargeBinary)
    requested: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    why: str = Field(sa_type=Text)
    approved: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    approved_by: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Settings as they were asked for; approved or not yet."""

    id: int
    settings: Settings
    requested: datetime
    requested_by: str
    why: str
    approved: datetime | None
    approved_by: str


_TABLE = table_of(ApprovedSettingsRow)


def exists(tx: Transaction) -> bool:
    """Tell whether the table is there: a database that was never opened by this version has none."""
    return inspect(tx).has_table(ApprovedSettingsRow.__tablename__)


def active(tx: Transaction) -> Approval | None:
    """Return the settings that were approved last."""
    query = select(_TABLE).where(_TABLE.c.approved.is_not(None)).order_by(_TABLE.c.approved.desc(), _TABLE.c.id.desc())
    row = tx.execute(query.limit(1)).first()
    return None if row is None else _value(row)


def approvals(tx: Transaction) -> list[Approval]:
    """Return everything that was asked for, newest first."""
    return [_value(row) for row in tx.execute(select(_TABLE).order_by(_TABLE.c.id.desc()))]


def request(tx: Transaction, settings: Settings, actor: Actor, now: datetime, why: str) -> int:
    """Ask for settings to be served; return the number of the request."""
    return _add(tx, settings, actor, now, why, "settings.request")


def approve(tx: Transaction, number: int, approver: User, actor: Actor, now: datetime) -> Approval:
    """Allow what another person asked for. It is served from the next start on.

    Raises NotFound; Refused for whoever may not: an approver's account is older than the request and another's.
    """
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == number)).first()
    if row is None:
        raise NotFound(f"there is no request {number} for settings")
    asked = _value(row)
    if asked.approved is not None:
        raise Refused(f"request {number} was approved by {asked.approved_by} before")
    refuse_own(approver, asked.requested_by, asked.requested, actor)
    tx.execute(update(_TABLE).where(_TABLE.c.id == number).values(approved=now, approved_by=str(actor)))
    detail: dict[str, object] = {"settings": asked.settings.sha256}
    audit.record(tx, AuditEntry(now, actor, "settings.approve", str(number), detail))
    return asked


def refuse_own(approver: User, requested_by: str, requested: datetime, actor: Actor) -> None:
    """Raise Refused unless this is a second pair of eyes: another person, whose account is older than the request."""
    if not approver.may(Right.APPROVE):
        raise Refused(f"{approver.name} is {approver.role.value}; this needs {roles_with(Right.APPROVE)}")
    if requested_by == str(actor):
        raise Refused("whoever asked for it cannot approve it: another person has to")
    if approver.created >= requested:
        raise Refused(f"{approver.name}'s account is younger than the request: an approver is known before")


def adopt(tx: Transaction, settings: Settings, actor: Actor, now: datetime, why: str) -> int:
    """Serve settings without a second person: at the first start, or where the glass is broken."""
    number = _add(tx, settings, actor, now, why, "settings.adopt")
    tx.execute(update(_TABLE).where(_TABLE.c.id == number).values(approved=now, approved_by=str(actor)))
    return number


def _add(  # noqa: PLR0917 - the parts of one row
    tx: Transaction, settings: Settings, actor: Actor, now: datetime, why: str, action: str
) -> int:
    values = {
        "sha256": settings.sha256,
        "content": settings.packed(),
        "requested": now,
        "requested_by": str(actor),
        "why": why,
        "approved_by": "",
    }
    key = tx.execute(insert(_TABLE).values(values)).inserted_primary_key
    assert key is not None
    audit.record(tx, AuditEntry(now, actor, action, str(key[0]), {"settings": settings.sha256, "why": why}))
    return int(key[0])


def _value(row: Row[Any]) -> Approval:
    settings = unpacked(row.content)
    return Approval(row.id, settings, row.requested, row.requested_by, row.why, row.approved, row.approved_by)
