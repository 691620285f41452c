"""`broker order inbox` and `message`: what arrived, how it was answered, and who acts next. Changes nothing."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import click

from broker.audit import store as audit
from broker.cli.acts import act, answer_text
from broker.cli.context import Opened, detail, env_option, json_option, listing, local, opened, titled
from broker.cli.order_copies import grouped
from broker.cli.order_raw import text_of
from broker.errors import NotFound
from broker.inbox import store
from broker.inbox.model import FOR_PEOPLE, EntryState, InboxEntry

_COLUMNS = (("id", "id"), ("message", "message"), ("stands", "stands"), ("why", "why, and what to do"))
_MOST_WAITING = 5000  # a RIS may have tried the same message all night

_MEND_OR_DISMISS = "mend what it names, then `broker order replay {id}`; or `broker order dismiss {id} --why TEXT`"
_ASK_RIS = "the RIS: it mends the message and sends it again; where our mapping is wrong, mend that and replay {id}"
_NEXT: dict[tuple[EntryState, str], str] = {
    (
        EntryState.KEPT,
        "",
    ): "it was not answered, so the RIS may have sent it again: look at the log of that time, update, "
    "then `broker order replay {id}`; or `broker order dismiss {id} --why TEXT`",
    (EntryState.PERSON, ""): _MEND_OR_DISMISS,
    (
        EntryState.PERSON,
        "103",
    ): "add a row to the source's order control file, restart, then `broker order replay {id}`; "
    "or `broker order dismiss {id} --why TEXT`",
    (EntryState.PERSON, "204"): "ask whose data these are: `broker order replay {id} --decided --why TEXT` applies the "
    "message, `broker order dismiss {id} --why TEXT` does not",
    (EntryState.UNREADABLE, ""): "find out what sends this to the port, then `broker order dismiss {id} --why TEXT`",
    (EntryState.REFUSED, ""): _ASK_RIS,
}
"""What to do with an entry, by its state and table 0357's code; an empty code is any. What is not here is done."""


_WHY = {
    EntryState.KEPT: "processing failed for a reason that is ours",
    EntryState.UNREADABLE: "it does not begin with an MSH segment",
    EntryState.IGNORED: "it is an acknowledgement",
    EntryState.LATE: "older than what is known",
}
"""Why an entry stands as it does where it was not answered with a reason."""


def what_next(entry: InboxEntry) -> str:
    """Return what a person, or the RIS, has to do with an entry; empty where nothing is left to do."""
    text = _NEXT.get((entry.state, entry.error_code)) or _NEXT.get((entry.state, ""), "")
    return text.format(id=entry.id)


@click.group("inbox", invoke_without_command=True)
@env_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Every message, not only those that wait for a person.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([s.value for s in EntryState]),
    help="Only those in this state.",
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@click.pass_context
def inbox_(
    context: click.Context, env: str, as_json: bool, *, everything: bool, states: tuple[str, ...], limit: int
) -> None:
    """List the messages that wait for a person, newest first, and what to do about each."""
    if context.invoked_subcommand:
        context.obj = env
        return
    wanted = [EntryState(state) for state in states] or (None if everything else FOR_PEOPLE)
    with opened(env) as here, here.database.read() as tx:
        found = store.entries(tx, wanted, _MOST_WAITING if wanted is FOR_PEOPLE else limit)
    title = "inbox" if wanted is None or states else "messages that wait for a person"
    copies = grouped(found)[:limit] if wanted is FOR_PEOPLE else [(entry, []) for entry in found]
    rows = [
        (row(entry) if as_json else _line(entry, others, here.profile.timezone)) | {"copies": others}
        for entry, others in copies
    ]
    listing(rows, _COLUMNS, as_json, titled(here.profile, title))
    if not rows and wanted is FOR_PEOPLE and not as_json:
        click.echo("no message waits for a person; --all lists every one")


@click.command("message")
@click.argument("entry_id", metavar="ID", type=click.IntRange(1))
@env_option
@json_option
def message(env: str, entry_id: int, as_json: bool) -> None:
    """Show one message: how it came, how it was answered, what to do, and its text."""
    _show(env, entry_id, as_json)


@inbox_.command("show")
@click.argument("entry_id", metavar="ID", type=click.IntRange(1))
@click.option("--env", metavar="E", help="The environment, unless it is said before.")
@json_option
@click.pass_obj
def show(before: str, entry_id: int, env: str | None, as_json: bool) -> None:
    """Show one message, as `broker order message` does."""
    _show(env or before, entry_id, as_json)


def row(entry: InboxEntry) -> dict[str, object]:
    """Return one entry as a line of a list."""
    return {
        "id": entry.id,
        "received": entry.arrival.received,
        "address": entry.arrival.address,
        "source": entry.source or f"{entry.sending_application} {entry.sending_facility}".strip(),
        "sender": f"{entry.sending_application} {entry.sending_facility}".strip(),
        "message_type": entry.message_type,
        "control_id": entry.control_id,
        "state": entry.state.value,
        "code": entry.acknowledgement_code,
        "location": entry.error_location,
        "error": entry.error_code,
        "text": entry.error_text,
        "repeats": entry.repeats or None,
        "note": entry.note,
        "next": what_next(entry),
        "sha256": entry.sha256,
        "length": len(entry.raw),
    }


def _line(entry: InboxEntry, copies: Sequence[int], zone: ZoneInfo) -> dict[str, object]:
    """Return one entry as a line that fits a screen."""
    times = entry.repeats + len(copies)
    answer = answer_text(entry.acknowledgement_code, entry.error_code, entry.error_location)
    sender = f"from {entry.source or 'nobody known'}, {entry.arrival.address}"
    came = local(entry.arrival.received, zone)
    why = entry.error_text or _WHY.get(entry.state, "")
    return {
        "id": entry.id,
        "message": _lines(f"{entry.message_type} {entry.control_id}".strip(), sender, came),
        "stands": _lines(entry.state.value, answer, f"{times} more like it" if times else ""),
        "why": _lines(why, entry.note, what_next(entry)),
    }


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _show(env: str, entry_id: int, as_json: bool) -> None:
    with opened(env) as here:
        with here.database.write("audit") as tx:
            entry = store.find(tx, entry_id)
            if entry is None:
                raise NotFound(f"the inbox of {here.profile.name} has no message {entry_id}; see `broker order inbox`")
            audit.record(tx, act(here, "message.read", str(entry_id)))
        facts = row(entry) | _texts(entry, here)
        if as_json:
            detail(facts, as_json)
            return
        texts = {key: facts.pop(key) for key in ("raw", "acknowledgement")}
        shown = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, "")}
        detail(shown, as_json, titled(here.profile, f"message {entry_id}"))
        for name, text in texts.items():
            click.echo(f"\n{'as it came' if name == 'raw' else 'as it was answered'}:\n{text or '(not at all)'}")


def _texts(entry: InboxEntry, here: Opened) -> dict[str, object]:
    sources = (here.profile.hl7.default, *here.profile.hl7.sources)
    sets = next((source.character_sets for source in sources if source.name == entry.source), ())
    return {"raw": text_of(entry.raw, sets), "acknowledgement": text_of(entry.acknowledgement, sets)}
