"""`broker spool`: whether every kept image is what was received, the index made anew, images as DICOM files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from broker import durable, journal
from broker.audit import store as audit
from broker.cli.acting import flows_of
from broker.cli.acts import act
from broker.cli.context import Opened, env_option, json_option, listing, opened, titled
from broker.environments import bound
from broker.errors import BrokerError, NotFound, Refused, Unavailable
from broker.spool import segments
from broker.spool import store as index
from broker.spool.files import SUFFIX
from broker.spool.model import SpooledInstance
from broker.spool.spool import Spool
from broker.spool.tail import SegmentReader

_COLUMNS = (("instance", "instance"), ("path", "where"), ("why", "what is wrong"))
_BATCH = 500


@click.group("spool")
def group() -> None:
    """Images that are kept until they are delivered everywhere."""


@group.command("verify")
@env_option
@json_option
def verify(env: str, as_json: bool) -> None:
    """Read every kept image again, and compare it with what was received. Exit 3 where one is not whole.

    While the environment is served, images that come and go meanwhile are not counted as differences.
    """
    with opened(env) as here:
        spool = Spool(here.profile.spool)
        checked, wrong = 0, []
        for instance in _held(here):
            checked += 1
            why = _problem(here, spool, instance)
            if why:
                wrong.append({"instance": instance.id, "path": instance.path, "why": why})
        wrong += _unknown(here, spool)
    listing(wrong, _COLUMNS, as_json, titled(here.profile, "images that are not as they should be"))
    click.echo(f"{checked} images read, {len(wrong)} not as they should be", err=True)
    if wrong:
        sys.exit(3)


@group.command("rebuild")
@env_option
def rebuild(env: str) -> None:
    """Index what the spool holds and the index does not know, and owe it to its destinations. `serve` must not run.

    For an index that was lost or restored from an older copy. `serve` does the same at its start.
    """
    with opened(env) as here, _not_served(here):
        journal.configure(here.profile.name, here.profile.colour)
        flows = flows_of(here, begins=True)
        count = flows.recover_spool() + flows.index_instances()
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "spool.rebuilt", "spool", instances=count))
    click.echo(f"indexed: {count}")


@group.command("export")
@click.argument("instance_ids", metavar="ID...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every image that is kept.")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder.")
@env_option
def export(env: str, instance_ids: tuple[str, ...], folder: Path, everything: bool) -> None:
    """Write kept images as DICOM files (Part 10), named by our identifiers. They hold patient data."""
    if everything == bool(instance_ids):
        raise click.UsageError("give either IDs of instances (`broker delivery show` names them) or --all")
    with opened(env) as here:
        spool = Spool(here.profile.spool)
        instances = list(_held(here)) if everything else _named(here, instance_ids)
        for instance in instances:
            _write(spool, instance, folder)
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "spool.exported", f"{len(instances)} images", instances=len(instances)))
    click.echo(f"exported: {len(instances)}")


@contextmanager
def _not_served(here: Opened) -> Iterator[None]:
    """Hold what `serve` holds while it runs. Raises Refused when it does."""
    held = bound.take(here.profile)
    if held is None:
        raise Refused(f"`broker serve` runs on {here.profile.state}: stop it first; its next start does the same")
    try:
        yield
    finally:
        os.close(held)


def _held(here: Opened) -> Iterator[SpooledInstance]:
    after = ""
    while True:
        with here.database.read() as tx:
            batch = index.held(tx, after, _BATCH)
        yield from batch
        if len(batch) < _BATCH:
            return
        after = batch[-1].id


def _named(here: Opened, instance_ids: tuple[str, ...]) -> list[SpooledInstance]:
    with here.database.read() as tx:
        found = index.find_all(tx, instance_ids)
        held = index.known(tx, instance_ids).held
    missing = [identifier for identifier in instance_ids if identifier not in held]
    if missing:
        raise NotFound(f"not kept, or not any more: {', '.join(missing)}")
    return [found[identifier] for identifier in dict.fromkeys(instance_ids)]


def _problem(here: Opened, spool: Spool, instance: SpooledInstance) -> str:
    try:
        spool.verify(instance)
    except BrokerError as error:
        with here.database.read() as tx:  # it may have been delivered, or moved, while it was read
            now = index.find(tx, instance.id)
            is_still_here = now is not None and now.path == instance.path and index.known(tx, [now.id]).held
        return str(error) if is_still_here else ""
    return ""


def _unknown(here: Opened, spool: Spool) -> list[dict[str, str]]:
    """Return what the segments hold and the index does not know; a `serve` that runs knows it in a moment."""
    found: list[dict[str, str]] = []
    for name in segments.in_use(spool.directory / segments.FOLDER):
        with SegmentReader(spool.directory, name) as reader:
            heads = {head.id: at for at, head in reader.heads(segments.FIRST, reader.end())}
        with here.database.read() as tx:
            known = index.known(tx, list(heads))
        why = "the index does not know it: `broker spool rebuild`, or the next start of `serve`, indexes it"
        new = [each for each in heads if each not in known.held and each not in known.forgotten]
        found += [{"instance": each, "path": segments.path_of(name), "why": why} for each in new]
    return found


def _write(spool: Spool, instance: SpooledInstance, folder: Path) -> None:
    target = folder / f"{instance.id}{SUFFIX}"
    try:
        durable.make_directory(folder)
        durable.discard_leftover(target)
        with durable.DurableFile(target, "folder") as file:
            file.write(spool.head(instance))
            for piece in spool.data(instance):
                file.write(piece)
            file.commit()
    except OSError as error:
        raise Unavailable(f"{folder} cannot be written: {error.strerror or type(error).__name__}") from error
