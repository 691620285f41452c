"""`broker promote rehearse`: all that applying would do, in the target, undone at once. Nothing is served."""

from typing import Any

import click
from click.exceptions import Exit

from broker.audit import store as audit
from broker.cli import persons
from broker.cli import promote_words as words
from broker.cli.acts import act
from broker.cli.context import Opened, detail, json_option, listing, opened, titled
from broker.cli.probing import network
from broker.cli.promote_sides import Between, binding_options, both, sides
from broker.cli.worklist_words import row
from broker.errors import Refused
from broker.people.model import Right
from broker.promotion import rehearsing, store
from broker.promotion.flow import By
from broker.promotion.gate import Prepared
from broker.promotion.life import Move, moved
from broker.promotion.model import CheckResult, Life
from broker.promotion.rehearsed import store as rehearsals
from broker.promotion.rehearsed.store import Rehearsal
from broker.promotion.rehearsing import Trial

NOT_READY = 3
_WORKLIST = (("date", "date"), ("time", "time"), ("station", "station"), ("accession", "accession"))


@click.command(name="rehearse")
@click.argument("name")
@sides
@binding_options
@click.option(
    "--worklist", is_flag=True, help="Show today's worklist as it would be shown; the audit keeps who read it."
)
@click.option("--end", is_flag=True, help="End the rehearsal: the device is a draft in the target again.")
@json_option
def rehearse(*, name: str, source: str, target: str, worklist: bool, end: bool, as_json: bool, **bound: Any) -> None:
    """Rehearse the promotion of NAME: do all that applying would do, look, go back, undo it. Exit 3: not ready.

    Nothing is served, before or after: while it is rehearsing, the device's own calls to the target are refused.
    """
    if end:
        _end(name, target)
        return
    with both(source, target) as between:
        persons.person(between.opened, Right.CONFIGURE)
        made, results, trial = _rehearsed(between, name, bound)
        life = _kept(between, made, results, worklist)
    if as_json:
        detail(_fact(made, results, trial, life), as_json=True)
    else:
        _show(made, results, life, between.opened)
        if worklist:
            rows = [row(item) for item in trial.items]
            click.echo("its worklist of today, as it would be shown:")
            listing(rows, _WORKLIST, False, titled(between.opened.profile, "worklist"))
    if any(each.is_open for each in results):
        raise Exit(NOT_READY)


def _rehearsed(between: Between, name: str, bound: dict[str, Any]) -> tuple[Prepared, tuple[CheckResult, ...], Trial]:
    prober, profile, now = network(), between.opened.profile, between.now
    made = between.prepared(name, bound, prober)
    document = rehearsing.document_of(made)
    reached = rehearsing.reached(profile, document, made.binding, between.contexts(name), prober, now)
    trial = rehearsing.trial(between.opened.database, profile, made, By(between.opened.actor, now, "rehearsal"))
    return made, (*made.plan.checks, *reached, *trial.results), trial


def _kept(between: Between, made: Prepared, results: tuple[CheckResult, ...], is_read: bool) -> Life:
    """Keep how it went, and say where the device stands since."""
    here, now, plan = between.opened, between.now, made.plan
    titles = rehearsing.titles_of(made)
    kept = Rehearsal(plan.name, now, here.actor.name, plan.checksum, plan.source.revision, titles, results)
    with here.database.write("promotion") as tx:
        rehearsals.add(tx, kept, here.actor)
        to = rehearsing.to_rehearse(tx, plan.name)
        if to is not None:
            store.set_life(tx, plan.name, to, now)
        if is_read:
            audit.record(tx, act(here, "worklist.read", plan.name, rehearsal=True))
    return to or plan.target.life


def _end(name: str, target: str) -> None:
    with opened(target, Right.CONFIGURE) as here:
        persons.person(here, Right.CONFIGURE)
        with here.database.write("promotion") as tx:
            life = store.life(tx, name)
            if life is not Life.REHEARSING:
                raise Refused(f"{name} is not being rehearsed in {here.profile.name}")
            store.set_life(tx, name, moved(life, Move.CALL_OFF), here.clock.now())
            audit.record(tx, act(here, "promotion.rehearse-end", name))
    click.echo(f"{name} is no longer being rehearsed in {here.profile.name}")


def _show(made: Prepared, results: tuple[CheckResult, ...], life: Life, here: Opened) -> None:
    plan = made.plan
    click.echo(f"{plan.name}: rehearsal of {plan.source.environment} -> {plan.target.environment}")
    click.echo(f"plan {plan.checksum}")
    columns = [("state", "state"), ("check", "check"), ("what", "what"), ("when", "when")]
    tried = [each for each in results if each not in plan.checks]
    listing(words.check_rows(plan.checks), columns, False, titled(here.profile, "what it rests on"))
    listing(words.check_rows(tried), columns, False, titled(here.profile, "what was tried, and undone"))
    wrong = sum(each.is_open for each in tried)
    done = f"all {len(tried)} went well" if not wrong else f"{wrong} of {len(tried)} FAILED"
    click.echo(f"tried in {plan.target.environment}: {done}; everything was undone, nothing changed")
    if plan.open_checks:
        click.echo(f"NOT READY: {len(plan.open_checks)} of {len(plan.checks)} checks of the plan are open")
    click.echo(_standing(plan.name, plan.target.environment, life))


def _standing(name: str, target: str, life: Life) -> str:
    if life is Life.REHEARSING:
        return f"{name} is rehearsing: nothing is served, its calls to {target} are refused until a plan is applied"
    return f"{name} stays {life.value} in {target}, and is served as before"


def _fact(made: Prepared, results: tuple[CheckResult, ...], trial: Trial, life: Life) -> dict[str, object]:
    return {
        "name": made.plan.name,
        "plan": made.plan.checksum,
        "good": not any(each.is_open for each in results),
        "life": life.value,
        "items": len(trial.items),
        "checks": [words.check_fact(each) for each in results],
    }
