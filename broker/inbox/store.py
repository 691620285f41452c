"""The inbox table: every message as its bytes arrived, and what became of it. Nothing is parsed here."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, Row, Text, insert, select, update
from sqlmodel import Field, SQLModel

from broker.database import Transaction, UtcDateTime, table_of
from broker.inbox.model import Arrival, EntryState, HeaderFacts, InboxEntry, Outcome

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


_TABLE = table_of(InboxRow)


def keep(tx: Transaction, arrival: Arrival, raw: bytes, header_facts: HeaderFacts) -> int:
    """Add the raw message, as KEPT, and return its entry's number."""
    inserted = tx.execute(
        insert(_TABLE).values(
            received=arrival.received,
            address=arrival.address,
            port=arrival.port,
            raw=raw,
            sha256=hashlib.sha256(raw).hexdigest(),
            sending_application=_stored(header_facts.sending_application),
            sending_facility=_stored(header_facts.sending_facility),
            message_type=_stored(header_facts.message_type),
            control_id=_stored(header_facts.control_id),
            state=EntryState.KEPT.value,
            acknowledgement_code="",
            error_location="",
            error_code="",
            error_text="",
        )
    )
    key = inserted.inserted_primary_key
    assert key is not None
    return int(key[0])


def finish(tx: Transaction, entry_id: int, state: EntryState, outcome: Outcome) -> None:
    """Record what became of an entry and how it is answered."""
    tx.execute(
        update(_TABLE)
        .where(_TABLE.c.id == entry_id)
        .values(
            state=state.value,
            acknowledgement_code=outcome.code,
            error_location=_stored(outcome.location),
            error_code=outcome.error_code,
            error_text=_stored(outcome.text),
        )
    )


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


def applied_before(tx: Transaction, header_facts: HeaderFacts, raw: bytes) -> InboxEntry | None:
    """Return the entry of this very message (MSH-3, MSH-4, MSH-10 and every byte) that was already applied.

    A message that was refused or left by a crash is none: sent again, it is processed again.
    """
    row = tx.execute(
        select(_TABLE)
        .where(_TABLE.c.control_id == _stored(header_facts.control_id))
        .where(_TABLE.c.sending_application == _stored(header_facts.sending_application))
        .where(_TABLE.c.sending_facility == _stored(header_facts.sending_facility))
        .where(_TABLE.c.sha256 == hashlib.sha256(raw).hexdigest())
        .where(_TABLE.c.state == EntryState.APPLIED.value)
        .order_by(_TABLE.c.id)
        .limit(1)
    ).first()
    return None if row is None else _value(row)


def _stored(text: str) -> str:
    # PostgreSQL has no NUL in text, nor lone surrogates; the raw bytes keep what the sender wrote.
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:_KEY]


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
    )
