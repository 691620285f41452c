"""The alert table. The same open event about the same subject is one alert, counted."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, bindparam, insert, select, update
from sqlmodel import Field, SQLModel

from broker.alerts.model import Alert, Severity
from broker.database import Transaction, UtcDateTime, table_of
from broker.statements import Prepared


class AlertRow(SQLModel, table=True):
    """One thing a person must see."""

    __tablename__ = "alert"

    id: int | None = Field(default=None, primary_key=True)
    event: str = Field(index=True)
    subject: str
    severity: str
    text: str = Field(sa_type=Text)
    first: datetime = Field(sa_type=UtcDateTime)
    last: datetime = Field(sa_type=UtcDateTime)
    times: int
    acknowledged: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    acknowledged_by: str


_TABLE = table_of(AlertRow)

_SAME = (_TABLE.c.event == bindparam("the_event"), _TABLE.c.subject == bindparam("the_subject"))
_OPEN = Prepared(select(_TABLE.c.id).where(*_SAME, _TABLE.c.acknowledged.is_(None)).order_by(_TABLE.c.id))
_AGAIN = Prepared(
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("the_id"))
    .values(times=_TABLE.c.times + 1, last=bindparam("new_last"))
    .values(text=bindparam("new_text"), severity=bindparam("new_severity"))
)


def raise_alert(  # noqa: PLR0917 - the parts of one value
    tx: Transaction, event: str, subject: str, severity: Severity, text: str, now: datetime
) -> None:
    """Raise an alert, or count an open one of the same event and subject up; its text becomes the newest."""
    if open_already := _OPEN.rows(tx, {"the_event": event, "the_subject": subject}):
        again = {"new_last": now, "new_text": text, "new_severity": severity.value}
        _AGAIN.run(tx, {"the_id": open_already[0].id, **again})
        return
    fresh = {"event": event, "subject": subject, "severity": severity.value, "text": text}
    tx.execute(insert(_TABLE).values(**fresh, first=now, last=now, times=1, acknowledged_by=""))


def open_alerts(tx: Transaction) -> list[Alert]:
    """Return the alerts that nobody has acknowledged, oldest first."""
    query = select(_TABLE).where(_TABLE.c.acknowledged.is_(None)).order_by(_TABLE.c.id)
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, alert_id: int) -> Alert | None:
    """Return one alert."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == alert_id)).first()
    return None if row is None else _value(row)


def acknowledge(tx: Transaction, alert_id: int, actor: str, now: datetime) -> bool:
    """Close an open alert in the name of `actor`; tell whether it was open."""
    still_open = (_TABLE.c.id == alert_id, _TABLE.c.acknowledged.is_(None))
    statement = update(_TABLE).where(*still_open).values(acknowledged=now, acknowledged_by=actor)
    return tx.execute(statement).rowcount == 1


def _value(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        event=row.event,
        subject=row.subject,
        severity=Severity(row.severity),
        text=row.text,
        first=row.first,
        last=row.last,
        count=row.times,
        acknowledged=row.acknowledged,
        acknowledged_by=row.acknowledged_by,
    )
