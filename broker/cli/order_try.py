"""`broker order try`: what messages would do, without doing it. The intake knows; this shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from broker.audit import store as audit
from broker.cli.acting import intake_of
from broker.cli.acts import act, answer_text
from broker.cli.context import detail, env_option, json_option, listing, opened, titled
from broker.cli.order_items import COLUMNS, document, rows
from broker.cli.order_raw import control_id_of, messages_of
from broker.environments.model import Hl7Settings, Profile, UnknownCallers
from broker.errors import NotFound, Refused
from broker.intake import Attempt
from broker.replay import ItemDifference, What, differences
from broker.worklist.store import OFFERED

_REFUSED = 3  # exit code: one would be answered other than AA
_HERE = "127.0.0.1"
_MOST = 200  # messages of one file
_ANSWER_COLUMNS = (
    ("message", "message"),
    ("control_id", "control id"),
    ("answer", "answer"),
    ("text", "why"),
    ("would_be", "would be"),
    ("orders", "orders"),
)


@dataclass(frozen=True, slots=True)
class _Tried:
    number: int  # of the message in the file, from 1
    control_id: str
    attempt: Attempt
    new: frozenset[int]  # orders that this file would make: their ids mean nothing

    @property
    def items(self) -> tuple[ItemDifference, ...]:
        return differences(self.attempt.before, self.attempt.after)


@click.command("try")
@click.argument("file", type=click.Path(path_type=Path))
@env_option
@json_option
@click.option("--as-source", metavar="NAME", help="As if this source of the profile had sent it, whatever MSH says.")
@click.pass_context
def try_(context: click.Context, file: Path, env: str, as_json: bool, as_source: str | None) -> None:
    """Show how each message of FILE would be answered, and what it would do to orders and worklist. Does nothing.

    Messages are tried one after the other, each on what those before it would have done. Exit 3 when one would not be
    answered AA.
    """
    messages = list(messages_of(file))
    if len(messages) > _MOST:
        raise Refused(f"{file} has {len(messages)} messages: try {_MOST} at once, since what arrives waits meanwhile")
    with opened(env) as here:
        intake = intake_of(here, _from_anywhere(here.profile, as_source))
        tried = list(_tried(messages, intake.attempts(messages, _HERE)))
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "order.tried", file.name, messages=len(tried)))
        if as_json:
            detail({"file": str(file), "messages": [_document(one) for one in tried]}, as_json)
        else:
            _write(tried, here.profile)
    if any(one.attempt.outcome.code != "AA" for one in tried):
        context.exit(_REFUSED)


def _tried(messages: Sequence[bytes], attempts: Sequence[Attempt]) -> Iterator[_Tried]:
    new: set[int] = set()
    for number, (raw, attempt) in enumerate(zip(messages, attempts, strict=True), 1):
        known = {item.order_id for item in attempt.before}
        new |= {item.order_id for item in attempt.after} - known
        yield _Tried(number, control_id_of(raw), attempt, frozenset(new))


def _from_anywhere(profile: Profile, source: str | None) -> Profile:
    """Return the profile as it is for a message that came from no address; with `source`, from that one alone."""
    settings = profile.hl7
    every = (settings.default, *settings.sources)
    if source is None:
        anywhere = tuple(replace(one, addresses=()) for one in settings.sources)
        return _with(profile, replace(settings, sources=anywhere))
    wanted = next((one for one in every if one.name == source), None)
    if wanted is None:
        names = ", ".join(one.name for one in every)
        raise NotFound(f"{profile.name} has no source {source!r}; it has {names}")
    only = replace(wanted, addresses=())
    return _with(profile, replace(settings, default=only, sources=(), unknown_sources=UnknownCallers.ACCEPT))


def _with(profile: Profile, settings: Hl7Settings) -> Profile:
    return replace(profile, hl7=settings)


def _answer_row(tried: _Tried) -> dict[str, object]:
    outcome = tried.attempt.outcome
    return {
        "message": tried.number,
        "control_id": tried.control_id,
        "answer": answer_text(outcome.code, outcome.error_code, outcome.location),
        "code": outcome.code,
        "location": outcome.location,
        "error": outcome.error_code,
        "text": outcome.text,
        "would_be": [did.value for did in tried.attempt.did],
        "orders": _orders(tried),
    }


def _orders(tried: _Tried) -> list[str]:
    """Return the orders that it is about, by our id and accession number."""
    items = (*tried.attempt.before, *tried.attempt.after)
    accession = {item.order_id: item.accession_number or "no accession number" for item in items}
    return [f"{'new' if order in tried.new else order} ({number})" for order, number in accession.items()]


def _what(found: ItemDifference) -> str:
    """Return what modalities would notice of it."""
    was = found.before is not None and found.before.status in OFFERED
    stays = found.after is not None and found.after.status in OFFERED
    if found.what is What.ADDED or (stays and not was):
        return "appears" if stays else "is kept, not offered"
    return "changes" if stays or not was else "leaves"


def _document(tried: _Tried) -> dict[str, object]:
    items = [document(one) | {"what": _what(one)} for one in tried.items]
    return {**_answer_row(tried), "items": [_without_new(item, tried.new) for item in items]}


def _without_new(item: dict[str, object], new: frozenset[int]) -> dict[str, object]:
    return item | {"order": None} if item["order"] in new else item


def _write(tried: list[_Tried], profile: Profile) -> None:
    listing([_answer_row(one) for one in tried], _ANSWER_COLUMNS, False, titled(profile, "would be answered"))
    for one in tried:
        found = [row for difference in one.items for row in rows(difference, _what(difference))]
        if found:
            listing(found, COLUMNS, False, titled(profile, f"worklist after message {one.number}"))
        elif one.attempt.outcome.code == "AA":
            click.echo(f"message {one.number}: the worklist stays as it is")
