"""`broker order golden`: kept messages through the present mapping and another, and what differs. Compares nothing."""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from broker.audit import store as audit
from broker.cli.acts import act, answer_text
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.cli.order_items import SHORT_COLUMNS, Mask, document, from_text, plain, short_rows
from broker.cli.order_mask import mask_with
from broker.clock import Clock
from broker.database import sqlite_url
from broker.environments.model import Profile
from broker.errors import NotFound
from broker.inbox import store as inbox
from broker.inbox.model import ACCEPTED, InboxEntry
from broker.migrations import open_database
from broker.registry import store as registry_store
from broker.registry.model import Registry
from broker.replay import Answered, Comparison, Run, What, compare, run, with_mapping

_DIFFERENT = 3  # exit code: a difference was found
_QUIET_SECONDS = 2.0  # until the progress is worth a line
_ANSWER_COLUMNS = tuple((key, key.replace("_", " ")) for key in ("message", "control_id", "type", "before", "after"))
_ATTRIBUTE_COLUMNS = tuple((key, key.replace("_", " ")) for key in ("attribute", "items", "before_from", "after_from"))


@click.command("golden")
@env_option
@json_option
@click.option("--last", type=click.IntRange(1), default=200, show_default=True, help="The newest so many messages.")
@click.option("--mapping", default="", metavar="FILE-OR-PRESET", help="The other mapping.")
@click.option("--order-control", default="", metavar="FILE", help="The other order control table.")
@click.option("--source", default="", metavar="NAME", help="Of this source only; else of every one.")
@click.option("--mask", "masked", is_flag=True, help="Pseudonyms instead of patient data.")
@click.pass_context
def golden(
    context: click.Context,
    *,
    env: str,
    as_json: bool,
    last: int,
    mapping: str,
    order_control: str,
    source: str,
    masked: bool,
) -> None:
    """Run the last messages through the present mapping and through another one, and show what differs.

    Each run begins with no orders and has a database of its own, which is removed. Exit 3 when anything differs.
    """
    if not (mapping or order_control):
        raise click.UsageError("through which other mapping? Give --mapping, --order-control or both")
    with opened(env) as here:
        other = _other(here.profile, _file_or_name(mapping), _file_or_name(order_control), source)
        with here.database.write("audit") as tx:
            entries, registry, first = inbox.newest(tx, last), registry_store.load(tx), inbox.oldest(tx)
            audit.record(tx, act(here, "order.golden", f"{len(entries)} messages", masked=masked))
        if not entries or first is None:
            raise NotFound(f"the inbox of {here.profile.name} is empty: there is nothing to replay")
        runs = [
            _run(profile, registry, entries, _Progress(f"run {number} of 2", len(entries), here.clock))
            for number, profile in enumerate((here.profile, other), 1)
        ]
        found = compare(*runs)
        write = _write_json if as_json else _write
        write(here, entries, runs, found, mask_with(first.raw) if masked else plain)
    if not found.is_empty:
        context.exit(_DIFFERENT)


def _other(profile: Profile, mapping: str, order_control: str, source: str) -> Profile:
    names = [one.name for one in (profile.hl7.default, *profile.hl7.sources)]
    if source and source not in names:
        raise NotFound(f"{profile.name} has no source {source!r}; it has {', '.join(names)}")
    return with_mapping(profile, mapping, order_control, source)


def _file_or_name(given: str) -> str:
    """Return a preset's name as it is, and a file by its absolute path."""
    return str(Path(given).absolute()) if Path(given).is_file() or "/" in given or given.endswith(".toml") else given


def _run(profile: Profile, registry: Registry, entries: Sequence[InboxEntry], progress: Callable[[int], None]) -> Run:
    with tempfile.TemporaryDirectory(prefix="broker-golden-") as folder:
        state = Path(folder)
        scratch = replace(profile, state=state, database_url=sqlite_url(state / "golden.db"))
        with closing(open_database(scratch)) as database:
            return run(scratch, database, registry, entries, progress)


class _Progress:
    """A line on stderr, now and then, once it takes long."""

    def __init__(self, what: str, total: int, clock: Clock) -> None:
        self._what = what
        self._total = total
        self._clock = clock
        self._said = clock.monotonic()

    def __call__(self, done: int) -> None:
        now = self._clock.monotonic()
        if now - self._said >= _QUIET_SECONDS:
            self._said = now
            print(f"{self._what}: {done} of {self._total} messages", file=sys.stderr, flush=True)


# --- what is shown -----------------------------------------------------------------------------------------------


def _summary(entries: Sequence[InboxEntry], runs: Sequence[Run], found: Comparison) -> dict[str, object]:
    count = Counter(one.what for one in found.items)
    return {
        "messages": len(entries),
        "first": entries[0].id,
        "last": entries[-1].id,
        "not accepted before": _not_accepted(runs[0]),
        "not accepted after": _not_accepted(runs[1]),
        "answered otherwise": len(found.answers),
        "items unchanged": found.unchanged,
        **{f"items {what}": count[what] for what in What},
    }


def _not_accepted(one: Run) -> int:
    return sum(answer.outcome.code != "AA" for answer in one.answers)


def _answer_row(before: Answered, after: Answered) -> dict[str, object]:
    return {
        "message": before.entry.id,
        "control_id": before.entry.control_id,
        "type": before.entry.message_type,
        "before": _answer_text(before),
        "after": _answer_text(after),
    }


def _answer_text(answered: Answered) -> str:
    outcome = answered.outcome
    answer = answer_text(outcome.code, outcome.error_code, outcome.location)
    return f"{answer}: {outcome.text or answered.state.value}" if outcome != ACCEPTED else answer


def _by_attribute(found: Comparison) -> list[dict[str, object]]:
    """Return how many changed items differ in which attribute, and from where to where, most first."""
    count = Counter(
        (one.keyword, from_text(one.before_from), from_text(one.after_from))
        for item in found.items
        if item.what is What.CHANGED
        for one in item.attributes
    )
    return [
        {"attribute": keyword, "items": number, "before_from": before, "after_from": after}
        for (keyword, before, after), number in count.most_common()
    ]


def _write_json(
    here: Opened, entries: Sequence[InboxEntry], runs: Sequence[Run], found: Comparison, mask: Mask
) -> None:
    whole = {key.replace(" ", "_"): value for key, value in _summary(entries, runs, found).items()}
    whole["answers"] = [_answer_row(*pair) for pair in found.answers]
    whole["attributes"] = _by_attribute(found)
    whole["items"] = [document(one, mask) for one in found.items]
    detail(whole, True)


def _write(here: Opened, entries: Sequence[InboxEntry], runs: Sequence[Run], found: Comparison, mask: Mask) -> None:
    profile = here.profile
    detail(_summary(entries, runs, found), False, titled(profile, "golden replay"))
    answers = [_answer_row(*pair) for pair in found.answers]
    items = [row for one in found.items for row in short_rows(one, mask)]
    by_attribute = _by_attribute(found)
    if answers:
        listing(answers, _ANSWER_COLUMNS, False, titled(profile, "answered otherwise"))
    if by_attribute:
        listing(by_attribute, _ATTRIBUTE_COLUMNS, False, titled(profile, "changed items, by attribute"))
    if items:
        listing(items, SHORT_COLUMNS, False, titled(profile, "items"))
    if found.is_empty:
        click.echo("no difference")
    if not (found.items or found.unchanged):
        click.echo("no worklist item came of these messages: runs begin with no orders, so take more with --last")
