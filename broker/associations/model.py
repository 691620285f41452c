"""The values of an association, accepted or refused."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Result(StrEnum):
    """How an association stands."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"  # by either side, or the connection broke
    REJECTED = "rejected"  # never established


@dataclass(frozen=True, slots=True)
class Context:
    """One presentation context that was accepted."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Association:
    """What is known of one association. `device` and `revision` are empty where no modality claims the title."""

    id: str
    started: datetime
    calling_ae_title: str
    called_ae_title: str
    address: str
    implementation_class_uid: str
    implementation_version_name: str
    contexts: tuple[Context, ...]
    device: str
    revision: str
    software: str  # our version
    result: Result = Result.OPEN
    reason: str = ""  # in words, where rejected or aborted
    nearest: str = ""  # the nearest known title, where rejected for the title
    ended: datetime | None = None
