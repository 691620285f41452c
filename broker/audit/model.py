"""The values of the audit: an actor, and what he did."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ActorKind(StrEnum):
    """How an actor is known."""

    PERSON = "person"  # by token
    OS_USER = "os-user"  # by the operating system
    DEVICE = "device"  # by calling AE title
    RIS = "ris"  # by MSH-3 and MSH-4
    CLOCK = "clock"  # a chore of ours


@dataclass(frozen=True, slots=True)
class Actor:
    """Who causes a change."""

    kind: ActorKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


CLOCK = Actor(ActorKind.CLOCK, "broker")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act: `action` is `noun.verb`, `subject` the thing's name, `detail` JSON-able facts without patient data."""

    at: datetime
    actor: Actor
    action: str
    subject: str
    detail: dict[str, object]
