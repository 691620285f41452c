"""`broker order replay`, `dismiss` and `status`: what a person decides about messages and orders. Audited each."""

from collections.abc import Sequence
from dataclasses import replace as with_values
from functools import partial
from typing import Any

import click

from broker.audit import store as audit
from broker.cli.acting import flows_of, intake_of
from broker.cli.acts import act, answer_text
from broker.cli.context import Opened, env_option, json_option, listing, opened, titled
from broker.cli.order_copies import grouped, waiting_copies
from broker.cli.order_inbox import what_next
from broker.cli.order_values import state_of
from broker.cli.order_view import one
from broker.database import Transaction
from broker.errors import NotFound, Refused
from broker.inbox import store as inbox
from broker.inbox.model import FOR_PEOPLE, EntryState, InboxEntry
from broker.intake import Taken
from broker.orders import store as orders
from broker.orders.model import PERFORMED, StepStatus, StoredOrder
from broker.people.model import Right

_NOT_ACCEPTED = 3  # exit code: an acknowledgement other than AA
_TO_DECIDE = FOR_PEOPLE | {EntryState.REFUSED, EntryState.DISMISSED}
_ENTRY = "#"  # before a number that is an entry's, where a control identifier looks the same
_COLUMNS = (
    ("id", "id"),
    ("control_id", "control id"),
    ("stands", "stands"),
    ("did", "did"),
    ("orders", "orders"),
    ("why", "why, and what to do"),
)


@click.command("replay")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@env_option
@json_option
@click.option("--decided", is_flag=True, help="Apply it although patients' data contradict; needs --why.")
@click.option("--why", default="", metavar="TEXT", help="The reason; it is kept in the audit.")
@click.pass_context
def replay(context: click.Context, keys: tuple[str, ...], env: str, as_json: bool, *, decided: bool, why: str) -> None:
    """Process kept messages anew, oldest first, and print what became of each.

    KEY is the number of a message in the inbox (17 or '#17') or its control ID (MSH-10). Of copies that a sender tried
    again one is processed, and the others are dismissed once it is taken. The RIS is told nothing: it had its answer.
    Exit 3 when one is not taken.
    """
    if decided and not why.strip():
        raise Refused("--decided needs --why TEXT: the reason is kept in the audit")
    with opened(env, Right.WORK) as here:
        with here.database.read() as tx:
            entries = _all(tx, keys)
        rows = [_replayed(here, entry, decided, why) for entry in _without_copies(entries)]
        listing(rows if as_json else list(map(_line, rows)), _COLUMNS, as_json, titled(here.profile, "replayed"))
    if any(row["code"] != "AA" for row in rows):
        context.exit(_NOT_ACCEPTED)


@click.command("dismiss")
@click.argument("keys", metavar="ID...", nargs=-1, required=True)
@env_option
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept with the message and in the audit.")
def dismiss(keys: tuple[str, ...], env: str, why: str) -> None:
    """Decide that nothing is done with messages, and with copies of them; they are kept, and can still be replayed."""
    if not why.strip():
        raise Refused("--why TEXT is empty: say why nothing is to be done")
    with opened(env, Right.WORK) as here, here.database.write("inbox") as tx:
        stated = _all(tx, keys)
        found = {one.id: one for entry in stated for one in (entry, *waiting_copies(tx, entry))}
        for number in sorted(found):
            _dismiss(tx, here, found[number], why.strip())
    click.echo(f"dismissed: {', '.join(map(str, sorted(found)))}")


@click.command("status")
@click.argument("key")
@click.argument(
    "performed", metavar="started|completed|discontinued", type=click.Choice(sorted(map(str.lower, PERFORMED)))
)
@env_option
@click.option("--step", "steps", multiple=True, metavar="ID", help="Only this Scheduled Procedure Step; else all.")
@click.option("--why", required=True, metavar="TEXT", help="How you know; it is kept in the audit.")
def status(key: str, performed: str, env: str, steps: tuple[str, ...], why: str) -> None:
    """Say what was performed of an order, where the device cannot (no MPPS).

    KEY is as in `order show`. The worklist follows, and the receivers of the profile are told.
    """
    if not why.strip():
        raise Refused("--why TEXT is empty: say how you know")
    with opened(env, Right.WORK) as here:
        with here.database.read() as tx:
            stored = one(orders.order_detail(tx, key), key, here.profile)
        _refuse_unknown(stored, steps)
        entry = act(here, "order.status", f"order {stored.id}", status=performed, steps=list(steps), why=why.strip())
        flows_of(here).perform(stored.id, steps, StepStatus(performed.upper()), partial(audit.record, entry=entry))
        with here.database.read() as tx:
            stands = orders.order(tx, stored.id)
    lines = (f"{step.scheduled_procedure_step_id} {step.status.value}" for step in stands.order.steps)
    click.echo(f"order {stored.id} is {state_of(stands)}: {', '.join(lines)}")


def _dismiss(tx: Transaction, here: Opened, entry: InboxEntry, why: str) -> None:
    note = "; ".join(filter(None, (entry.note, f"dismissed by {here.actor}: {why}")))
    inbox.note_state(tx, entry.id, EntryState.DISMISSED, note)
    audit.record(tx, act(here, "message.dismissed", str(entry.id), why=why, was=entry.state.value))


def _refuse_unknown(stored: StoredOrder, steps: Sequence[str]) -> None:
    known = [step.scheduled_procedure_step_id for step in stored.order.steps]
    for step in steps:
        if step not in known:
            raise NotFound(f"order {stored.id} has no step {step}; its steps are {', '.join(known) or 'none'}")


def _replayed(here: Opened, entry: InboxEntry, decided: bool, why: str) -> dict[str, Any]:
    by = f"{here.actor}: {why.strip()}" if why.strip() else str(here.actor)
    written = act(here, "message.replayed", str(entry.id), decided=decided, why=why.strip(), was=entry.state.value)
    taken = intake_of(here).replay(entry.id, by, decided=decided, beside=partial(audit.record, entry=written))
    if taken.outcome.code == "AA":
        with here.database.write("inbox") as tx:
            for copy in waiting_copies(tx, entry):
                _dismiss(tx, here, copy, f"the same as message {entry.id}, which was replayed")
    return _row(entry, taken)


def _row(entry: InboxEntry, taken: Taken) -> dict[str, Any]:
    outcome = taken.outcome
    now = with_values(entry, state=taken.state, error_code=outcome.error_code)
    return {
        "id": entry.id,
        "control_id": entry.control_id,
        "state": taken.state.value,
        "code": outcome.code,
        "location": outcome.location,
        "error": outcome.error_code,
        "text": outcome.text,
        "did": [applied.did.value for applied in taken.applied],
        "orders": sorted({stored.id for applied in taken.applied for stored in applied.orders}),
        "next": what_next(now),
    }


def _line(row: dict[str, Any]) -> dict[str, object]:
    return {
        **row,
        "stands": f"{row['state']}\n{answer_text(row['code'], row['error'], row['location'])}",
        "why": "\n".join(filter(None, (row["text"], row["next"]))),
    }


# --- which messages ----------------------------------------------------------------------------------------------


def _all(tx: Transaction, keys: Sequence[str]) -> list[InboxEntry]:
    """Return the entries that the keys name, oldest first, each once. Raises NotFound and Refused."""
    found = {entry.id: entry for entry in (_named(tx, key) for key in keys)}
    for entry in found.values():
        if entry.state not in _TO_DECIDE:
            raise Refused(f"message {entry.id} is {entry.state.value}: there is nothing to decide; nothing was done")
    return [found[number] for number in sorted(found)]


def _without_copies(entries: Sequence[InboxEntry]) -> list[InboxEntry]:
    """Return each message once, by its newest copy, oldest first."""
    return [entry for entry, _ in grouped(entries[::-1])][::-1]


def _named(tx: Transaction, key: str) -> InboxEntry:
    number = key.removeprefix(_ENTRY)
    entry = inbox.find(tx, int(number)) if number.isdecimal() and len(number) < 10 else None
    named = [] if key.startswith(_ENTRY) else inbox.by_control_id(tx, key)
    waiting = [each for each, _ in grouped(each for each in named if each.state in _TO_DECIDE)]
    found = {each.id: each for each in (*([entry] if entry else []), *(waiting or named[:1]))}
    if not found:
        raise NotFound(f"no message has the number or the control ID {key}; see `broker order inbox --all`")
    if len(found) > 1:
        numbers = ", ".join(f"'{_ENTRY}{number}'" for number in sorted(found))
        raise Refused(f"{key} names several messages; say which: {numbers}")
    return next(iter(found.values()))
