"""`broker outbox`: messages owed to receivers, and how they stand. Decides nothing; what people do is audited."""

import click

from broker.audit import store as audit
from broker.audit.model import AuditEntry
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.outbox import store
from broker.outbox.messages import readable
from broker.outbox.model import OutboxMessage
from broker.owed import OwedState
from broker.people.model import Right

_COLUMNS = (
    ("id", "id"),
    ("state", "state"),
    ("receiver", "receiver"),
    ("event", "event"),
    ("order", "order"),
    ("steps", "steps"),
    ("control_id", "control id"),
    ("tries", "tries"),
    ("due", "due"),
    ("why", "why"),
)


@click.group("outbox")
def group() -> None:
    """Messages owed to the systems that are told how orders stand."""


@group.command("list")
@click.option("--state", type=click.Choice([s.value for s in OwedState]), help="Only those in this state.")
@env_option
@json_option
def list_(env: str, state: str | None, as_json: bool) -> None:
    """List messages, newest first; they name orders by their number here, and no patient."""
    with opened(env) as here, here.database.read() as tx:
        found = store.messages_of(tx, OwedState(state) if state else None)
    listing([_row(message) for message in found], _COLUMNS, as_json, titled(here.profile, "messages to receivers"))


@group.command("show")
@click.argument("message_id", metavar="ID", type=int)
@env_option
@json_option
def show(env: str, message_id: int, as_json: bool) -> None:
    """Show one message with its text."""
    with opened(env) as here:
        with here.database.write("audit") as tx:
            message = _found(tx, message_id)
            audit.record(tx, _entry(here, "outbox.read", message, {}))
        shown = _row(message) | {"turn": message.turn, "text": readable(message.body)}
        detail(shown, as_json, titled(here.profile, "message"))


@group.command("retry")
@click.argument("message_ids", metavar="ID...", type=int, nargs=-1, required=True)
@env_option
def retry(env: str, message_ids: tuple[int, ...]) -> None:
    """Send again now: parked and waiting messages."""
    ids = tuple(dict.fromkeys(message_ids))
    with opened(env, Right.WORK) as here, here.database.write("outbox") as tx:
        for message_id in ids:
            _retry(tx, here, _found(tx, message_id))
    click.echo(f"to be sent: {', '.join(map(str, ids))}")


@group.command("discard")
@click.argument("message_ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--why", required=True, help="Kept with the message, and audited.")
@env_option
def discard(env: str, message_ids: tuple[int, ...], why: str) -> None:
    """Do not send parked or waiting messages: their receivers are never told."""
    if not why.strip():
        raise Refused("--why TEXT is empty: say why")
    ids = tuple(dict.fromkeys(message_ids))
    with opened(env, Right.WORK) as here, here.database.write("outbox") as tx:
        for message_id in ids:
            _discard(tx, here, _found(tx, message_id), why.strip())
    click.echo(f"discarded: {', '.join(map(str, ids))}")


def _retry(tx: Transaction, here: Opened, message: OutboxMessage) -> None:
    later = store.overtaken_by(tx, message)
    if later is not None:
        raise Refused(
            f"message {message.id} is older than message {later}, which its receiver has: sent now, it would put the"
            f" order back; `broker outbox discard {message.id} --why ...` ends it"
        )
    now = here.clock.now()
    if not store.retry(tx, message.id, now):
        raise Refused(f"message {message.id} is {message.state}; nothing was retried")
    audit.record(tx, _entry(here, "outbox.retried", message, {}))


def _discard(tx: Transaction, here: Opened, message: OutboxMessage, why: str) -> None:
    if not store.discard(tx, message.id, f"discarded by {here.actor}: {why}", here.clock.now()):
        raise Refused(f"message {message.id} is {message.state}; nothing was discarded")
    audit.record(tx, _entry(here, "outbox.discarded", message, {"why": why}))


def _entry(here: Opened, action: str, message: OutboxMessage, more: dict[str, object]) -> AuditEntry:
    facts: dict[str, object] = {"receiver": message.receiver, "order": message.order_id, **more}
    return AuditEntry(here.clock.now(), here.actor, action, str(message.id), facts)


def _found(tx: Transaction, message_id: int) -> OutboxMessage:
    message = store.find(tx, message_id)
    if message is None:
        raise NotFound(f"there is no message {message_id}; see `broker outbox list`")
    return message


def _row(message: OutboxMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "state": message.state.value,
        "receiver": message.receiver,
        "event": message.event.value,
        "order": message.order_id,
        "steps": list(message.step_ids),
        "control_id": message.control_id,
        "tries": message.tries,
        "code": message.code,
        "due": message.due if message.state is OwedState.WAITING else None,
        "created": message.created,
        "finished": message.finished,
        "why": message.reason,
    }
