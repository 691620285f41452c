"""`broker promote`: from Test to Production with proof, a second pair of eyes, and a way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from click.exceptions import Exit

from broker.cli import persons, promote_checks, promote_export, promote_paper, promote_rehearse, promote_watch
from broker.cli import promote_words as words
from broker.cli.context import Opened, detail, env_option, json_option, listing, opened, titled
from broker.cli.probing import network
from broker.cli.promote_paper import parts_of
from broker.cli.promote_sides import binding_options, both, show, sides, source_of
from broker.database import Transaction
from broker.environments.model import Profile
from broker.errors import Refused
from broker.identifiers import AETitle
from broker.people.model import Right
from broker.promotion import flow, store
from broker.promotion.flow import By
from broker.promotion.gate import Here
from broker.promotion.model import Request
from broker.promotion.rehearsed import store as rehearsals
from broker.promotion.sources import Source, export_of, packet_made

NOT_READY = 3


@click.group(name="promote")
def group() -> None:
    """From Test to Production: plan, request, approval, apply, rollback."""


for _command in (
    promote_paper.packet,
    promote_paper.verify,
    promote_export.export,
    promote_rehearse.rehearse,
    promote_watch.watch,
    *promote_checks.COMMANDS,
):
    group.add_command(_command)


@group.command(name="plan")
@click.argument("name")
@sides
@binding_options
@json_option
def plan(name: str, source: str, target: str, as_json: bool, **bound: Any) -> None:
    """Show what the promotion of NAME would change, what it rests on, and whether it may go. Exit 3: not ready."""
    with both(source, target) as between:
        made = between.prepared(name, bound, network()).plan
        rehearsed = rehearsals.newest(between.tx, name)
    if as_json:
        detail({**words.plan_fact(made), "rehearsal": words.rehearsal_fact(made, rehearsed)}, as_json=True)
    else:
        show(made, between.opened, source)
        click.echo(words.rehearsal(made, rehearsed, source, between.opened.profile.timezone))
    if not made.is_ready:
        raise Exit(NOT_READY)


@group.command(name="request")
@click.argument("name")
@sides
@binding_options
@click.option("--why", default="", metavar="TEXT", help="The reason; it is kept in the audit.")
@json_option
def request(name: str, source: str, target: str, why: str, as_json: bool, **bound: Any) -> None:
    """Ask for the promotion of NAME as its plan says; prints the request's ID, which another person approves."""
    prober = network()
    with both(source, target) as between:  # the network is asked before anything is locked
        persons.person(between.opened, Right.CONFIGURE)
        between.prepared(name, bound, prober)
    with both(source, target, Right.CONFIGURE) as between:
        made = between.prepared(name, bound, prober)
        by = By(between.opened.actor, between.now, why)
        asked = flow.requested(between.tx, made.plan, made.content, made.binding, between.source.reference, by)
    if as_json:
        detail({"id": asked.id, "plan": asked.plan_checksum, "revision": asked.revision}, as_json=True)
        return
    click.echo(
        f"{asked.id}: plan {asked.plan_checksum[: words.SHORT]}, revision {asked.revision[: words.SHORT]} of {name}"
    )
    click.echo(f"another person approves it: broker promote approve {asked.id}")


@group.command(name="approve")
@click.argument("id_", metavar="ID")
@click.option("--why", default="", metavar="TEXT", help="What was looked at; it is kept in the audit.")
def approve(id_: str, why: str) -> None:
    """Approve the request ID, as another person than who asked for it."""
    with _decided(id_) as (here, tx, asked):
        flow.approved(tx, asked, persons.person(here, Right.APPROVE), By(here.actor, _now(here), why))
    click.echo(f"{id_} is approved: broker promote apply {id_}")


@group.command(name="reject")
@click.argument("id_", metavar="ID")
@click.option("--why", required=True, metavar="TEXT", help="The reason; whoever asked reads it.")
def reject(id_: str, why: str) -> None:
    """Turn the request ID down."""
    with _decided(id_) as (here, tx, asked):
        flow.rejected(tx, asked, persons.person(here, Right.APPROVE), By(here.actor, _now(here), why))
    click.echo(f"{id_} is rejected")


@group.command(name="apply")
@click.argument("id_", metavar="ID")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]), help="Later, by the clock.")
@click.option("--from", "packet", metavar="FILE", help="A new evidence packet, where it was asked for by one.")
def apply(id_: str, at: datetime | None, packet: str | None) -> None:
    """Serve what the request ID says, at once and without a restart; or at a TIME such as 2026-02-01T06:30+01:00."""
    environment, _ = parts_of(id_)
    with opened(environment, Right.CONFIGURE) as there:
        persons.person(there, Right.CONFIGURE)
        with there.database.read() as tx:
            asked = _found(tx, there, id_)
        made = packet_made(asked.source_file)
        if at is not None:
            _schedule(there, id_, at, made is not None or export_of(asked.source_file) is not None)
            return
        with source_of(_again(asked, packet, made), there, made) as source:
            device = _apply(source, there, asked)
    click.echo(f"{asked.name} revision {asked.revision[: words.SHORT]} is served in {environment}: {device}")
    click.echo(
        f"watch it: broker promote watch {id_}; the way back: broker promote rollback {asked.name} --env {environment}"
    )


def _schedule(there: Opened, id_: str, at: datetime, by_file: bool) -> None:
    if by_file:
        raise Refused(f"{id_} was asked for by a file of another host: a person applies it, the clock does not")
    with there.database.write("promotion") as tx:
        flow.scheduled(tx, _found(tx, there, id_), at, By(there.actor, _now(there)))
    click.echo(f"{id_} is applied by the clock at {at.isoformat()}")


def _again(asked: Request, packet: str | None, made: datetime | None) -> str:
    """Return where the source is read again: what it was asked for by, or a new packet."""
    if made is None and packet is not None:
        raise Refused(f"{asked.id} was asked for from {asked.source_environment} itself: leave --from out")
    if made is not None and packet is None:
        raise Refused(f"{asked.id} was asked for by an evidence packet: export a new one, and give it with --from FILE")
    return packet or asked.source_file


def _apply(source: Source, there: Opened, asked: Request) -> str:
    by, prober = By(there.actor, _now(there)), network()
    with there.database.read() as tx:  # the network is asked before anything is locked
        source.prepared(Here(there.profile, tx), asked.name, asked.binding, prober, by.now)
    with there.database.write("promotion") as tx:
        made = source.prepared(Here(there.profile, tx), asked.name, asked.binding, prober, by.now)
        device = flow.applied(tx, asked, made.plan, _own_titles(there.profile), by)
    return f"AE titles {', '.join(device.ae_titles)}; stations {', '.join(device.stations)}"


@group.command(name="rollback")
@click.argument("name")
@env_option
@click.option("--revision", default="", metavar="SHA256", help="An earlier one, by how its hash begins.")
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in the audit.")
def rollback(name: str, env: str, revision: str, why: str) -> None:
    """Serve again what was served of NAME before; after a first go-live it is suspended. What PACS has stays there."""
    with opened(env, Right.CONFIGURE) as here:
        persons.person(here, Right.CONFIGURE)
        with here.database.write("promotion") as tx:
            by = By(here.actor, _now(here), why)
            device = flow.rolled_back(tx, name, revision, _own_titles(here.profile), by)
    if device.suspended:
        click.echo(f"{name} is suspended: it gets no new worklist items; open exams still store, finish and commit")
    else:
        click.echo(f"{name} revision {device.revision[: words.SHORT]} is served again")
    click.echo("images that are in PACS already stay there")


@group.command(name="resume")
@click.argument("name")
@env_option
@click.option("--why", required=True, metavar="TEXT", help="The reason; it is kept in the audit.")
def resume(name: str, env: str, why: str) -> None:
    """Show the suspended device NAME its worklist again."""
    with opened(env, Right.CONFIGURE) as here:
        persons.person(here, Right.CONFIGURE)
        with here.database.write("promotion") as tx:
            flow.resumed(tx, name, By(here.actor, _now(here), why))
    click.echo(f"{name} is shown its worklist again")


@group.command(name="list")
@env_option
@json_option
def list_(env: str, as_json: bool) -> None:
    """List every request for promotion into the environment, newest first."""
    with opened(env) as here, here.database.read() as tx:
        rows = [words.request_fact(asked) for asked in store.requests(tx, here.profile.name)]
    keys = ("id", "name", "state", "requested", "requested_by", "decided_by", "apply_at", "applied", "applied_by")
    listing(rows, [(key, key.replace("_", " ")) for key in keys], as_json, titled(here.profile, "requests"))


@group.command(name="history")
@click.argument("name")
@env_option
@json_option
def history(name: str, env: str, as_json: bool) -> None:
    """List what was served of NAME from when on, newest first."""
    with opened(env) as here, here.database.read() as tx:
        rows = [words.served_fact(served) for served in store.history(tx, name)]
    if not as_json:
        rows = [{**row, "revision": str(row["revision"])[: words.SHORT]} for row in rows]
    keys = ("at", "what", "revision", "life", "by", "why", "request")
    listing(rows, [(key, key) for key in keys], as_json, titled(here.profile, f"{name}, what was served"))


@contextmanager
def _decided(id_: str) -> Iterator[tuple[Opened, Transaction, Request]]:
    with opened(parts_of(id_)[0], Right.APPROVE) as here:
        persons.person(here, Right.APPROVE)
        with here.database.write("promotion") as tx:
            yield here, tx, _found(tx, here, id_)


def _found(tx: Transaction, here: Opened, id_: str) -> Request:
    return store.find(tx, parts_of(id_)[1], here.profile.name)


def _own_titles(profile: Profile) -> tuple[AETitle, ...]:
    return (profile.dicom.ae_title, *profile.dicom.aliases)


def _now(here: Opened) -> datetime:
    return here.clock.now()
