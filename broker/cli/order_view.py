"""`broker order list` and `show`: orders as they stand, and why. Decides nothing; that they were read is audited."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.cli.order_raw import text_of
from broker.cli.order_values import (
    CANCELED,
    ORDER_COLUMNS,
    VALUE_COLUMNS,
    civil,
    order_line,
    order_row,
    order_rows,
    state_of,
)
from broker.database import Transaction
from broker.environments.model import Profile
from broker.errors import NotFound, Refused
from broker.inbox import store as inbox
from broker.inbox.model import InboxEntry
from broker.orders import order_store, patient_store, store
from broker.orders.model import StepStatus, StoredOrder
from broker.orders.store import HistoryEntry

_STATES = (*(status.value.lower() for status in StepStatus if status is not StepStatus.CANCELED), CANCELED)
_MOST_SEARCHED = 20_000  # orders, where the newest are searched for those asked for

_STEP_COLUMNS = (
    ("step", "step"),
    ("status", "status"),
    ("start", "start"),
    ("modality", "modality"),
    ("stations", "stations"),
    ("description", "description"),
)
_HISTORY_COLUMNS = (("when", "when"), ("what", "what"), ("from", "message"), ("acknowledged", "acknowledged"))


@dataclass(frozen=True, slots=True)
class _Shown:
    """An order with what there is to say about it."""

    stored: StoredOrder
    history: list[HistoryEntry]
    entries: dict[int, InboxEntry]


@click.command("list")
@env_option
@json_option
@click.option(
    "--patient", metavar="ID", help="Only of this patient: PatientID or PatientID^^^AUTHORITY, also a former one."
)
@click.option("--state", type=click.Choice(_STATES), help="Only those with a step in this state.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d", "%Y%m%d"]), help="Only those with a step on this day.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def list_(env: str, as_json: bool, *, patient: str | None, state: str | None, day: date | None, limit: int) -> None:
    """List orders, newest first."""
    wanted = f"{day:%Y%m%d}" if day else ""
    searched = _MOST_SEARCHED if state or day else limit
    with opened(env) as here:
        with here.database.write("audit") as tx:
            newest = _of_patient(tx, patient) if patient else store.orders(tx, searched)
            found = [stored for stored in newest if _fits(stored, state, wanted)]
            audit.record(tx, act(here, "order.read", f"{min(len(found), limit)} orders"))
        row = order_row if as_json else order_line
        rows = [row(stored) for stored in found[:limit]]
        listing(rows, ORDER_COLUMNS, as_json, titled(here.profile, "orders"))
    _say_what_is_left(len(found) - limit, not patient and len(newest) == _MOST_SEARCHED)


@click.command("show")
@click.argument("key")
@env_option
@json_option
@click.option("--raw", "with_raw", is_flag=True, help="With the messages that it comes from, as they came.")
def show(key: str, env: str, as_json: bool, with_raw: bool) -> None:
    """Show one order whole: steps, history, and where every value comes from.

    KEY is an accession number, placer or filler order number, Study Instance UID, or the order's id here.
    """
    with opened(env) as here:
        with here.database.write("audit") as tx:
            shown = _shown(tx, one(store.order_detail(tx, key), key, here.profile))
            audit.record(tx, act(here, "order.read", f"order {shown.stored.id}"))
        if as_json:
            detail(_document(shown, with_raw, here), as_json)
        else:
            _write(shown, with_raw, here)


def one(found: Iterable[StoredOrder], key: str, profile: Profile) -> StoredOrder:
    """Return the only order of a key. Raises NotFound for none, Refused for several."""
    orders = list(found)
    if not orders:
        raise NotFound(f"{profile.name} has no order {key}; `broker order list` shows the orders")
    if len(orders) > 1:
        ids = ", ".join(str(order.id) for order in orders)
        raise Refused(f"{key} names several orders; take one by its id: {ids}")
    return orders[0]


def _of_patient(tx: Transaction, identifier: str) -> list[StoredOrder]:
    """Return the orders of the patient whom an identifier means, newest first; without an authority, of each such."""
    patients = patient_store.named(tx, identifier)
    rows = dict.fromkeys(patient_store.survivor_of(tx, patient).id for patient in patients)
    found = [order_store.with_patient(tx, kept) for row in rows for kept in order_store.of_patient(tx, row)]
    return sorted(found, key=lambda stored: stored.id, reverse=True)


def _fits(stored: StoredOrder, state: str | None, day: str) -> bool:
    states = {CANCELED} if stored.canceled else {step.status.value.lower() for step in stored.order.steps}
    days = {step.scheduled_procedure_step_start_date for step in stored.order.steps}
    return (state is None or state in states) and (not day or day in days)


def _say_what_is_left(left: int, is_partial: bool) -> None:
    if left > 0:
        click.echo(f"{left} more; --limit shows them", err=True)
    if is_partial:
        click.echo(f"only the newest {_MOST_SEARCHED} orders were searched", err=True)


def _shown(tx: Transaction, stored: StoredOrder) -> _Shown:
    history = store.history(tx, stored.id)
    wanted = {entry.entry_id for entry in history} | {origin.entry_id for origin in stored.origins.values()}
    found = {number: inbox.find(tx, number) for number in sorted(wanted - {0})}
    return _Shown(stored, history, {number: entry for number, entry in found.items() if entry is not None})


def _document(shown: _Shown, with_raw: bool, here: Opened) -> dict[str, object]:
    stored = shown.stored
    facts = {"id": stored.id, "canceled": stored.canceled, "created": stored.created, "updated": stored.updated}
    return {
        **facts,
        "inbox_entry": stored.entry_id,
        "state": state_of(stored),
        "generation": stored.generation,
        **asdict(stored.order),
        "provenance": order_rows(stored),
        "history": _history_rows(shown),
        **({"messages": _messages(shown, here)} if with_raw else {}),
    }


def _write(shown: _Shown, with_raw: bool, here: Opened) -> None:
    stored, profile = shown.stored, here.profile
    facts = {
        "order": stored.id,
        "state": state_of(stored),
        "generation": stored.generation or None,
        "created": stored.created,
        "updated": stored.updated,
        "last message": stored.entry_id,
        "times are of": stored.order.timezone,
    }
    detail({key: value for key, value in facts.items() if value is not None}, False, titled(profile, "order"))
    listing(_step_rows(stored), _STEP_COLUMNS, False, titled(profile, "steps"))
    listing([_history_line(row) for row in _history_rows(shown)], _HISTORY_COLUMNS, False, titled(profile, "history"))
    listing(order_rows(stored), VALUE_COLUMNS, False, titled(profile, "values, and where each comes from"))
    for message in _messages(shown, here) if with_raw else ():
        received = local(message["received"], profile.timezone)
        click.echo(f"\nmessage {message['id']}, received {received}:\n{message['text']}")


def _step_rows(stored: StoredOrder) -> list[dict[str, object]]:
    return [
        {
            "step": step.scheduled_procedure_step_id,
            "status": step.status.value,
            "start": civil(f"{step.scheduled_procedure_step_start_date} {step.scheduled_procedure_step_start_time}"),
            "modality": step.modality,
            "stations": step.scheduled_station_ae_titles or "any of the modality",
            "description": step.scheduled_procedure_step_description,
        }
        for step in stored.order.steps
    ]


def _history_rows(shown: _Shown) -> list[dict[str, Any]]:
    return [_history_row(line, shown.entries.get(line.entry_id)) for line in shown.history]


def _history_row(line: HistoryEntry, entry: InboxEntry | None) -> dict[str, Any]:
    return {
        "at": line.at,
        "did": line.did.value,
        "text": line.text,
        "message": line.entry_id or None,
        "control_id": entry.control_id if entry else "",
        "message_type": entry.message_type if entry else "",
        "source": entry.source if entry else "",
        "acknowledged": _acknowledged(entry) if entry else "",
    }


def _history_line(row: dict[str, Any]) -> dict[str, object]:
    message = f"{row['message']}: {row['message_type']} {row['control_id']} of {row['source']}"
    return {
        **row,
        "when": row["at"],
        "what": f"{row['did']} {row['text']}".strip(),
        "from": message if row["message"] else "",
    }


def _acknowledged(entry: InboxEntry) -> str:
    answer = f"{entry.acknowledgement_code}: {entry.error_text}" if entry.error_text else entry.acknowledgement_code
    return f"{answer} ({entry.note})" if entry.note else answer


def _messages(shown: _Shown, here: Opened) -> list[dict[str, Any]]:
    sets = {source.name: source.character_sets for source in (here.profile.hl7.default, *here.profile.hl7.sources)}
    return [
        {
            "id": entry.id,
            "received": entry.arrival.received,
            "control_id": entry.control_id,
            "text": text_of(entry.raw, sets.get(entry.source, ())),
        }
        for entry in shown.entries.values()
    ]
