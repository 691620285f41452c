"""`broker env pending | request | approve | adopt`: the settings that Production serves, and who allows them."""

import click
from click.exceptions import Exit

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.cli import persons
from broker.cli.context import Opened, env_option, opened, opened_file
from broker.environments.model import Profile, World
from broker.errors import Refused
from broker.people.model import Right
from broker.promotion import settings
from broker.promotion.approved import serving
from broker.promotion.approved import store as approvals

NOT_READY = 3


@click.command(name="pending")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
def pending(env: str) -> None:
    """Show in which lines the files of E differ from what was approved, and what waits. Exit 3 where they do."""
    with opened_file(env) as (here, file):
        lines = serving.pending(file, here.database)
        with here.database.read() as tx:
            waiting = [asked for asked in approvals.approvals(tx) if asked.approved is None]
    for asked in waiting:
        click.echo(f"request {asked.id} of {asked.requested_by}, {asked.settings.sha256[:12]}: {asked.why}")
    for line in lines:
        click.echo(line)
    if lines:
        raise Exit(NOT_READY)
    click.echo(f"{here.profile.name} serves what its files say")


@click.command(name="request")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in the audit.")
def request(env: str, why: str) -> None:
    """Ask that Production serve what the files of E say now; another person approves it."""
    with opened_file(env, Right.CONFIGURE) as (here, file):
        persons.person(here, Right.CONFIGURE)
        _refuse_unchanged(here, file)
        with here.database.write("settings") as tx:
            number = approvals.request(tx, settings.of(file), here.actor, here.clock.now(), why)
    click.echo(f"request {number}: another person approves it with broker env approve {number} --env {file.name}")


@click.command(name="approve")
@click.argument("number", type=int)
@env_option
def approve(number: int, env: str) -> None:
    """Approve the request NUMBER for settings; they are served from the next start on."""
    with opened(env, Right.APPROVE) as here:
        approver = persons.person(here, Right.APPROVE)
        with here.database.write("settings") as tx:
            asked = approvals.approve(tx, number, approver, here.actor, here.clock.now())
    click.echo(f"request {number} of {asked.requested_by} is approved: restart broker serve to serve it")


@click.command(name="adopt")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@click.option("--break-glass", is_flag=True, help="Without a second person; needs --why.")
@click.option("--why", default="", metavar="TEXT", help="The reason; it is kept in the audit.")
def adopt(env: str, break_glass: bool, why: str) -> None:
    """Serve what the files of E say now, without a second person: audited, and everybody is told."""
    if not (break_glass and why.strip()):
        raise Refused(
            "settings of production need another person's approval (broker env request); or --break-glass --why TEXT"
        )
    with opened_file(env, Right.CONFIGURE) as (here, file):
        person = persons.person(here, Right.CONFIGURE)
        _refuse_unchanged(here, file)
        with here.database.write("settings") as tx:
            approvals.adopt(tx, settings.of(file), here.actor, here.clock.now(), why)
            text = f"{person.name} had the files of {file.name} served without approval: see the audit"
            raise_alert(tx, "environment.break-glass", file.name, Severity.URGENT, text, here.clock.now())
    click.echo("adopted: restart broker serve to serve it")


def _refuse_unchanged(here: Opened, file: Profile) -> None:
    if file.kind is World.TEST:
        raise Refused(f"{file.name} is a test environment: it serves what its files say from the next start on")
    if not serving.pending(file, here.database):
        raise Refused(f"{file.name} serves what its files say: nothing is pending")
