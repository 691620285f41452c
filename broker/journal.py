"""What the machine did: one structured log line an event, and journal rows for what must be found later.

Events are named `noun.verb`; fields carry identifiers, counts and reasons, never patient data.
"""

import json
import logging
import sys
from datetime import datetime
from typing import Any, Protocol, cast

import structlog
from sqlalchemy import Text, insert
from sqlmodel import Field, SQLModel
from structlog.tracebacks import ExceptionDictTransformer

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
            # Local variables hold patients: a trace names places only.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


_ENCODE = json.JSONEncoder(default=str).encode  # made once: `json.dumps` would make one for every line


def _line(event: dict[str, Any], **_: Any) -> str:
    return _ENCODE(event)


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
