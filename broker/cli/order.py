"""`broker order`: be the RIS, see what arrived and what became of it. Decides nothing about an order."""

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.environments import bound
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import NotFound, Refused, Unavailable
from broker.inbox import store as inbox
from broker.inbox.model import EntryState, InboxEntry
from broker.orders import store
from broker.orders.store import StoredOrder
from hl7 import client
from hl7.errors import Hl7Error
from hl7.header import is_batch, read_header
from hl7.reply import read_acknowledgement

_NOT_ACCEPTED = 3  # exit code: an acknowledgement other than AA or CA
_ACCEPTED = ("AA", "CA")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
_MESSAGE_START = re.compile(rb"(?:^|(?<=[\r\n\x0b]))(?=MSH[^A-Za-z0-9\s])")
_FRAMING = b"\x0b\x1c\r\n"

_ANSWER_COLUMNS = tuple((key, key) for key in ("file", "message", "control_id", "code", "location", "error", "text"))
_ORDER_COLUMNS = tuple(
    (key, key.replace("_", " "))
    for key in (
        *("id", "accession_number", "placer_order_number", "filler_order_number"),
        *("patient_id", "patient_name", "description", "start", "canceled"),
    )
)
_INBOX_COLUMNS = tuple(
    (key, key.replace("_", " "))
    for key in ("id", "received", "sender", "message_type", "control_id", "state", "code", "location", "error", "text")
)


@click.group("order")
def group() -> None:
    """Orders: be the RIS, see what arrived and what became of it."""


@group.command("send")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@env_option
@json_option
@click.option("--host", help="Instead of the profile's.")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of the profile's.")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for each answer.")
@click.pass_context
def send(
    context: click.Context,
    *,
    files: tuple[Path, ...],
    env: str,
    as_json: bool,
    host: str | None,
    port: int | None,
    timeout: float,
) -> None:
    """Send HL7 files to the environment's listener and print the acknowledgements.

    A file may hold several messages. Exit 3 when one is not answered AA or CA.
    """
    profile = profiles.read(profiles.find(env))
    waiting = [(file.name, number, raw) for file in files for number, raw in enumerate(_messages(file), 1)]
    rows: list[dict[str, object]] = []
    try:
        answers = client.send(*_address(profile, host, port), [raw for _, _, raw in waiting], timeout)
        for (name, number, raw), answer in zip(waiting, answers, strict=False):
            rows.append({"file": name, "message": number, **_answer(raw, answer)})
    except OSError as error:
        where = ":".join(map(str, _address(profile, host, port)))
        raise Unavailable(f"message {len(rows) + 1} has no answer from {where}: {_cause(error)}") from error
    finally:
        if rows or as_json:
            listing(rows, _ANSWER_COLUMNS, as_json, titled(profile, "acknowledgements"))
    if any(row["code"] not in _ACCEPTED for row in rows):
        context.exit(_NOT_ACCEPTED)


@group.command("list")
@env_option
@json_option
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def list_(env: str, as_json: bool, limit: int) -> None:
    """List orders, newest first."""
    with opened(env) as here:
        with here.database.write("audit") as tx:
            found = store.orders(tx, limit)
            audit.record(tx, _read(here, f"{len(found)} orders"))
        listing([_order_row(order) for order in found], _ORDER_COLUMNS, as_json, titled(here.profile, "orders"))


@group.command("show")
@click.argument("key")
@env_option
@json_option
def show(key: str, env: str, as_json: bool) -> None:
    """Show one order with its steps.

    KEY is an accession number, placer or filler order number, Study Instance UID, or the order's id here.
    """
    with opened(env) as here:
        with here.database.write("audit") as tx:
            found = _one(store.order_detail(tx, key), key, here.profile)
            audit.record(tx, _read(here, f"order {found.id}"))
        detail(_whole(found), as_json, titled(here.profile, "order"))


@group.command("inbox")
@env_option
@json_option
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in EntryState]))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def inbox_(env: str, as_json: bool, states: tuple[str, ...], limit: int) -> None:
    """List the messages as they arrived, newest first, and how each was answered."""
    with opened(env) as here, here.database.read() as tx:
        found = inbox.entries(tx, [EntryState(state) for state in states] or None, limit)
    listing([_inbox_row(entry) for entry in found], _INBOX_COLUMNS, as_json, titled(here.profile, "inbox"))


def _messages(file: Path) -> Iterator[bytes]:
    """Yield a file's messages: each begins with a line MSH; a batch is one. MLLP's own bytes are left out."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
    pieces = [content] if is_batch(content.lstrip(_FRAMING)) else _MESSAGE_START.split(content)
    found = [stripped + b"\r" for piece in pieces if (stripped := piece.strip(_FRAMING))]
    if not found:
        raise NotFound(f"{file}: no message in it")
    yield from found


def _address(profile: Profile, host: str | None, port: int | None) -> tuple[str, int]:
    wanted = port or bound.ports(profile).get("hl7") or profile.hl7.port
    if not wanted:
        raise Refused(
            f"{profile.name} takes any free HL7 port, and no `broker serve` runs here: start it, or say --port"
        )
    return host or _ANY_ADDRESS.get(profile.hl7.host, profile.hl7.host), wanted


def _cause(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    return error.strerror or str(error) or type(error).__name__


def _answer(raw: bytes, answer: bytes) -> dict[str, object]:
    """Return what an answer says; one that answers another message, or cannot be read, is none."""
    header = read_header(raw)
    try:
        found = read_acknowledgement(answer)
    except Hl7Error as error:
        return {"control_id": "", "code": "", "location": "", "error": "", "text": f"unreadable answer: {error.text}"}
    code = found.code
    text = found.text
    if header is not None and found.control_id != header.control_id:
        code, text = "", "the answer is to another message"
    first = found.errors[0] if found.errors else None
    return {
        "control_id": found.control_id,
        "code": code,
        "location": first.location if first else "",
        "error": first.code if first else "",
        "text": text,
    }


def _read(here: Opened, subject: str) -> AuditEntry:
    return AuditEntry(here.clock.now(), here.actor, "order.read", subject, {})


def _one(found: Iterable[StoredOrder], key: str, profile: Profile) -> StoredOrder:
    orders = list(found)
    if not orders:
        raise NotFound(f"{profile.name} has no order {key}; `broker order list` shows the orders")
    if len(orders) > 1:
        ids = ", ".join(str(order.id) for order in orders)
        raise Refused(f"{key} names several orders; show one by its id: {ids}")
    return orders[0]


def _order_row(stored: StoredOrder) -> dict[str, object]:
    order = stored.order
    starts = sorted(
        f"{s.scheduled_procedure_step_start_date} {s.scheduled_procedure_step_start_time}" for s in order.steps
    )
    return {
        "id": stored.id,
        "accession_number": order.accession_number,
        "placer_order_number": order.placer_order_number,
        "filler_order_number": order.filler_order_number,
        "patient_id": order.patient.patient_id,
        "patient_name": order.patient.patient_name,
        "study_instance_uid": order.study_instance_uid,
        "description": order.requested_procedure_description,
        "start": starts[0] if starts else "",
        "steps": len(order.steps),
        "canceled": stored.canceled,
    }


def _whole(stored: StoredOrder) -> dict[str, object]:
    facts = {"id": stored.id, "canceled": stored.canceled, "created": stored.created, "updated": stored.updated}
    return {**facts, "inbox_entry": stored.entry_id, **asdict(stored.order)}


def _inbox_row(entry: InboxEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "received": entry.arrival.received,
        "address": entry.arrival.address,
        "sender": f"{entry.sending_application} {entry.sending_facility}".strip(),
        "message_type": entry.message_type,
        "control_id": entry.control_id,
        "state": entry.state.value,
        "code": entry.acknowledgement_code,
        "location": entry.error_location,
        "error": entry.error_code,
        "text": entry.error_text,
        "sha256": entry.sha256,
        "length": len(entry.raw),
    }
