"""The values of an alert."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How soon a person must look."""

    WARNING = "warning"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing a person must see. The same `event` and `subject` again raises the count, not a second alert."""

    id: int
    event: str  # e.g. "delivery.no-route"
    subject: str  # e.g. the device or destination
    severity: Severity
    text: str  # what happened and what to do, without patient data
    first: datetime
    last: datetime
    count: int
    acknowledged: datetime | None = None
    acknowledged_by: str = ""
