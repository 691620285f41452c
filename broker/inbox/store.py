"""The inbox table: every message as its bytes arrived, and what became of it. Nothing is parsed here."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, Row, Text, bindparam, func, insert, select, text, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.inbox.model import Arrival, EntryState, HeaderFacts, InboxEntry, Outcome
from broker.statements import Prepared

_KEY = 255  # of a header field that is stored and searched; HL7's own limits are 180 and 199


class InboxRow(SQLModel, table=True):
    """One message as it arrived."""

    __tablename__ = "inbox"
    __table_args__ = (Index("ix_inbox_control_id", "control_id"), Index("ix_inbox_state_id", "state", "id"))

    id: int | None = Field(default=None, primary_key=True)
    received: datetime = Field(sa_type=UtcDateTime)
    address: str
    port: int
    raw: bytes = Field(sa_type=LargeBinary)
    sha256: str = Field(max_length=64)
    sending_application: str
    sending_facility: str
    message_type: str
    control_id: str
    state: str
    acknowledgement_code: str
    error_location: str
    error_code: str
    error_text: str = Field(sa_type=Text)
    payload_sha256: str = Field(max_length=64, sa_column_kwargs={"server_default": ""})
    source: str = Field(sa_column_kwargs={"server_default": ""})
    acknowledgement: bytes = Field(sa_type=LargeBinary, sa_column_kwargs={"server_default": text("''")})
    repeats: int = Field(sa_column_kwargs={"server_default": "0"})
    note: str = Field(sa_type=Text, sa_column_kwargs={"server_default": ""})


_TABLE = table_of(InboxRow)
_INSERT = Prepared(insert(_TABLE))
_EARLIER = Prepared(
    select(_TABLE.c.id, _TABLE.c.payload_sha256, _TABLE.c.acknowledgement_code, _TABLE.c.acknowledgement)
    .where(_TABLE.c.control_id == bindparam("control"))
    .where(_TABLE.c.sending_application == bindparam("application"))
    .where(_TABLE.c.sending_facility == bindparam("facility"))
    .order_by(_TABLE.c.id)
    .limit(100)
)

_SENT_BY = Prepared(select(_TABLE.c.sending_application).where(_TABLE.c.id == bindparam("entry")))


def keep(
    tx: Transaction,
    arrival: Arrival,
    raw: bytes,
    header_facts: HeaderFacts,
    *,
    state: EntryState,
    outcome: Outcome,
    acknowledgement: bytes | None = None,
    source: str = "",
) -> int:
    """Add the raw message with what becomes of it and how it is answered; return its entry's number."""
    return _INSERT.add(
        tx,
        {
            "received": arrival.received,
            "address": arrival.address,
            "port": arrival.port,
            "raw": raw,
            "sha256": hashlib.sha256(raw).hexdigest(),
            "sending_application": _stored(header_facts.sending_application),
            "sending_facility": _stored(header_facts.sending_facility),
            "message_type": _stored(header_facts.message_type),
            "control_id": _stored(header_facts.control_id),
            "payload_sha256": header_facts.payload_sha256,
            "source": source,
            "repeats": 0,
            "note": "",
            **_outcome(state, outcome, acknowledgement),
        },
    )


def finish(tx: Transaction, entry_id: int, state: EntryState, outcome: Outcome, *, note: str = "") -> None:
    """Record what became of an entry later than when it came; its acknowledgement stays as it was sent."""
    values = _outcome(state, outcome, None) | {"note": note}
    del values["acknowledgement"]
    tx.execute(update(_TABLE).where(_TABLE.c.id == entry_id).values(**values))


def note_state(tx: Transaction, entry_id: int, state: EntryState, note: str) -> None:
    """Record what a person did with an entry; how it was answered stays."""
    tx.execute(update(_TABLE).where(_TABLE.c.id == entry_id).values(state=state.value, note=note))


def warn(tx: Transaction, entry_id: int, state: EntryState, warning: str, acknowledgement: bytes | None) -> None:
    """Record that an entry was taken with a warning, and the acknowledgement that says so."""
    values = _outcome(state, Outcome("AA", text=warning), acknowledgement)
    tx.execute(update(_TABLE).where(_TABLE.c.id == entry_id).values(**values))


def repeated(tx: Transaction, entry_id: int) -> None:
    """Count that the same message came again."""
    tx.execute(update(_TABLE).where(_TABLE.c.id == entry_id).values(repeats=_TABLE.c.repeats + 1))


def _outcome(state: EntryState, outcome: Outcome, acknowledgement: bytes | None) -> dict[str, Any]:
    return {
        "state": state.value,
        "acknowledgement_code": outcome.code,
        "error_location": _stored(outcome.location),
        "error_code": outcome.error_code,
        "error_text": _stored(outcome.text),
        "acknowledgement": acknowledgement or b"",
    }


def entries(tx: Transaction, states: Collection[EntryState] | None = None, limit: int = 100) -> list[InboxEntry]:
    """Return the newest entries, newest first; of the given states only, where any are given."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if states is not None:
        query = query.where(_TABLE.c.state.in_([state.value for state in states]))
    return [_value(row) for row in tx.execute(query)]


def find(tx: Transaction, entry_id: int) -> InboxEntry | None:
    """Return one entry."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.id == entry_id)).first()
    return None if row is None else _value(row)


def sending_application(tx: Transaction, entry_id: int) -> str:
    """Return MSH-3.1 of an entry; empty where there is none."""
    found = _SENT_BY.rows(tx, {"entry": entry_id})
    return application_of(str(found[0].sending_application or "")) if found else ""


def application_of(field: str) -> str:
    """Return MSH-3.1 of the whole MSH-3, as it is kept."""
    return _stored(field).partition("^")[0]


def newest(tx: Transaction, last: int, before: int | None = None) -> list[InboxEntry]:
    """Return the last so many readable messages, oldest first: those with a number below `before`, where given.

    Those whose text was purged are none.
    """
    readable = (_TABLE.c.message_type != "", func.length(_TABLE.c.raw) > 0)
    query = select(_TABLE).where(*readable).order_by(_TABLE.c.id.desc()).limit(last)
    if before is not None:
        query = query.where(_TABLE.c.id < before)
    return [_value(row) for row in tx.execute(query)][::-1]


def oldest(tx: Transaction) -> InboxEntry | None:
    """Return the first message that there is."""
    row = tx.execute(select(_TABLE).order_by(_TABLE.c.id).limit(1)).first()
    return None if row is None else _value(row)


def by_control_id(tx: Transaction, control_id: str) -> list[InboxEntry]:
    """Return the entries with this MSH-10, newest first."""
    query = select(_TABLE).where(_TABLE.c.control_id == control_id).order_by(_TABLE.c.id.desc()).limit(100)
    return [_value(row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came before under the same sender and control identifier."""

    entry_id: int
    same_payload: bool
    accepted: bool  # it was acknowledged AA
    acknowledgement: bytes


def earlier(tx: Transaction, header_facts: HeaderFacts) -> list[Earlier]:
    """Return what the same MSH-3, MSH-4 and MSH-10 brought before, oldest first (A.4).

    Only an accepted message of the same payload is answered again without being processed: after AE or AR the
    mapping may have been mended, and a sender that uses a number for two messages means both.
    """
    found = _EARLIER.rows(
        tx,
        {
            "control": _stored(header_facts.control_id),
            "application": _stored(header_facts.sending_application),
            "facility": _stored(header_facts.sending_facility),
        },
    )
    return [
        Earlier(
            entry_id=row.id,
            same_payload=row.payload_sha256 == header_facts.payload_sha256,
            accepted=row.acknowledgement_code == "AA",
            acknowledgement=bytes(row.acknowledgement),
        )
        for row in found
    ]


def _stored(value: str) -> str:
    # PostgreSQL has no NUL in text, nor lone surrogates; the raw bytes keep what the sender wrote.
    if value.isascii() and "\0" not in value:
        return value[:_KEY]
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:_KEY]


def _value(row: Row[Any]) -> InboxEntry:
    return InboxEntry(
        id=row.id,
        arrival=Arrival(row.received, row.address, row.port),
        raw=bytes(row.raw),
        sha256=row.sha256,
        sending_application=row.sending_application,
        sending_facility=row.sending_facility,
        message_type=row.message_type,
        control_id=row.control_id,
        state=EntryState(row.state),
        acknowledgement_code=row.acknowledgement_code,
        error_location=row.error_location,
        error_code=row.error_code,
        error_text=row.error_text,
        source=row.source,
        acknowledgement=bytes(row.acknowledgement),
        repeats=row.repeats,
        note=row.note,
    )
