"""`broker promote checks | state | waive`: what a device has proven, and what people say of it in their own name."""

from collections.abc import Sequence

import click
from click.exceptions import Exit

from broker import __version__
from broker.cli import persons
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.database import Transaction
from broker.environments.reading import did_you_mean
from broker.errors import NotFound, Refused
from broker.people.model import Right
from broker.promotion import evidence, facts
from broker.promotion.checks import CHECKS, STATED
from broker.promotion.model import CheckResult, CheckState, Fingerprint
from broker.promotion.readiness import TARGET_CHECKS
from broker.promotion.statements import store as statements
from broker.promotion.statements.model import Kind, Statement
from broker.registry import store as registry
from broker.registry.model import Binding

NOT_READY = 3
_EXPLAINED = ("one_device", "trouble")
_MARKS = {
    CheckState.PASSED: "ok",
    CheckState.NOT_APPLICABLE: "n/a",
    CheckState.MISSING: "missing",
    CheckState.FAILED: "FAILED",
    CheckState.STALE: "stale",
}


@click.command(name="checks")
@click.argument("name")
@env_option
@json_option
def checks(name: str, env: str, as_json: bool) -> None:
    """Show what the device NAME has proven here by its own traffic, and how to tick the rest. Exit 3: not all."""
    with opened(env) as here, here.database.read() as tx:
        device = registry.modality(tx, name)
        found = evidence.evaluate(tx, here.profile, device, here.clock.now())
    open_ = [check for check in found if check.is_open]
    if as_json:
        detail(
            {"name": name, "revision": device.revision, "ready": not open_, "checks": list(map(_fact, found))},
            as_json=True,
        )
    else:
        _show(found, here, name)
        if open_:
            click.echo(f"NOT READY: {len(open_)} of {len(found)} checks are open")
        else:
            click.echo("READY: every check has passed or does not apply")
    if open_:
        raise Exit(NOT_READY)


@click.command(name="state")
@click.argument("name")
@click.argument("check")
@click.option("--text", required=True, metavar="TEXT", help="What was seen, in a sentence; it is signed by name.")
@env_option
def state(name: str, check: str, text: str, env: str) -> None:
    """State in your own name that NAME does right what only a person can see, or explain what went wrong."""
    _refuse_unknown(check, STATED, f"it is not a person's to state; these are: {', '.join(STATED)}")
    with opened(env, Right.WORK) as here:
        persons.person(here, Right.WORK)
        _keep(here, name, check, Kind.STATED, text)
    click.echo(f"{here.actor.name} states of {name}: {check}: {text}")


@click.command(name="waive")
@click.argument("name")
@click.argument("check")
@click.option("--why", required=True, metavar="TEXT", help="Why it does not apply; every plan shows it.")
@env_option
def waive(name: str, check: str, why: str, env: str) -> None:
    """Say as administrator that CHECK does not apply to NAME. It ends with another document, place or device."""
    _refuse_unknown(check, (*CHECKS, *TARGET_CHECKS), "there is no such check: see broker promote checks")
    if check in _EXPLAINED:
        raise Refused(
            f"{check} is explained in a person's name, not waived: broker promote state {name} {check} --text …"
        )
    with opened(env, Right.CONFIGURE) as here:
        persons.person(here, Right.CONFIGURE)
        _keep(here, name, check, Kind.WAIVED, why)
    click.echo(f"{check} does not apply to {name}, {here.actor.name} says: {why}")


COMMANDS = (checks, state, waive)


def _keep(here: Opened, name: str, check: str, kind: Kind, text: str) -> None:
    if not text.strip():
        raise Refused("say it in a sentence: everybody who decides reads it")
    with here.database.write("promotion") as tx:
        statements.add(tx, _statement(tx, here, name, check, kind, text.strip()), here.actor)


def _statement(  # noqa: PLR0917 - the parts of one value
    tx: Transaction, here: Opened, name: str, check: str, kind: Kind, text: str
) -> Statement:
    """Return what is said, with what it is said of: of a device that is not there yet only what awaits it."""
    now, by = here.clock.now(), here.actor.name
    try:
        device = registry.modality(tx, name)
    except NotFound:
        if check not in TARGET_CHECKS:
            raise
        return Statement(name, check, kind, text, by, now, "", Binding(), __version__, Fingerprint())
    seen = facts.read(tx, here.profile, device, now)
    return Statement(
        device=name,
        check=check,
        kind=kind,
        text=text,
        by=by,
        at=now,
        revision=device.revision,
        binding=device.binding,
        software=__version__,
        fingerprint=seen.fingerprint,
    )


def _refuse_unknown(check: str, known: Sequence[str], otherwise: str) -> None:
    if check not in known:
        raise Refused(f"{check!r}{did_you_mean(check, known)}: {otherwise}")


def _show(found: Sequence[CheckResult], here: Opened, name: str) -> None:
    rows = [
        {
            "state": _MARKS[check.state],
            "check": check.check,
            "title": check.title,
            "so_far": check.text,
            "to_do": check.to_do,
            "when": check.at,
        }
        for check in found
    ]
    keys = ("state", "check", "title", "so_far", "to_do", "when")
    title = titled(here.profile, f"{name}, what it has proven")
    listing(rows, [(key, key.replace("_", " ")) for key in keys], False, title)


def _fact(check: CheckResult) -> dict[str, object]:
    return {
        "check": check.check,
        "title": check.title,
        "state": check.state.value,
        "text": check.text,
        "to_do": check.to_do,
        "at": check.at,
        "facts": list(check.facts),
    }
