"""What the machine did: one structured log line an event, and journal rows for what must be found later.

Events are named `noun.verb`; fields carry identifiers, counts and reasons, never patient data.
"""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, Protocol, cast

import structlog
from sqlalchemy import Text, insert
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.statements import Prepared


class Log(Protocol):
    """The part of a structured logger that the product uses."""

    def info(self, event: str, **fields: Any) -> Any:
        """Write an event that is as it should be."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Write an event that a person may want to look at."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Write an event that a person must look at."""
        ...


log = cast(Log, structlog.get_logger())


def configure(environment: str, colour: str = "", level: int = logging.INFO) -> None:
    """Write every event as one JSON line on stderr, with the environment's name on each."""
    structlog.contextvars.clear_contextvars()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _name_the_world(environment, colour),
            _name_the_error,
            structlog.processors.JSONRenderer(_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


_ENCODE = json.JSONEncoder(default=str).encode  # made once: `json.dumps` would make one for every line


def _line(event: dict[str, Any], **_: Any) -> str:
    return _ENCODE(event)


def _name_the_error(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of an error (`exc_info`) its kind and the places it came by: its text may hold what a patient is called."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else sys.exc_info()[1]
    if told and error is not None:
        event["error"] = type(error).__name__
        event["trace"] = [f"{place.filename}:{place.lineno} {place.name}" for place in _places(error)]
    return event


def _places(error: BaseException) -> traceback.StackSummary:
    """Return where an error came by, outermost first."""
    return traceback.extract_tb(error.__traceback__)


def _name_the_world(environment: str, colour: str) -> Any:
    world = {"environment": environment, **({"colour": colour} if colour else {})}

    def add(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {**world, **event}

    return add


class JournalRow(SQLModel, table=True):
    """One event of the machine."""

    __tablename__ = "journal"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    event: str = Field(index=True)
    fields: str = Field(sa_type=Text)


_TABLE = table_of(JournalRow)
_ADD = Prepared(insert(_TABLE).inline())


def record(tx: Transaction, at: datetime, event: str, **fields: Any) -> None:
    """Add a journal row in the caller's transaction."""
    _ADD.run(tx, {"at": at, "event": event, "fields": json.dumps(fields, default=str)})
