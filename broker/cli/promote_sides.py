"""Both sides of a promotion as its commands open them, and how a plan is shown. Decides nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from broker.cli import promote_words as words
from broker.cli.context import Opened, listing, opened, titled
from broker.database import Transaction
from broker.environments.model import Profile
from broker.errors import Refused
from broker.identifiers import AETitle
from broker.people.model import Right
from broker.promotion import carried, exported, gate
from broker.promotion.exported import Whole
from broker.promotion.gate import Here, Prepared
from broker.promotion.model import Plan
from broker.promotion.probing import Contexts, Prober
from broker.promotion.sources import Carried, Imported, Source, Tested, export_of
from broker.registry.model import Binding

_F = TypeVar("_F", bound=Callable[..., Any])


def sides(function: _F) -> _F:
    """Add `--from` and `--to`, passed as `source` and `target`."""
    source = click.option(
        "--from", "source", required=True, metavar="E|FILE", help="The test environment, or its evidence packet."
    )
    target = click.option("--to", "target", required=True, metavar="E", help="The production environment.")
    return source(target(function))


def binding_options(function: _F) -> _F:
    """Add where the device is in the target; without them it is where the target has it, else where it was tested."""
    options = (
        click.option("--host", metavar="H", help="Where the device is in the target."),
        click.option("--port", type=click.IntRange(1, 65535), metavar="P", help="Where it listens there."),
        click.option("--ae-title", metavar="T", help="The calling title it uses there instead of the document's."),
        click.option("--station", metavar="S", help="The station it is shown there instead of the document's."),
    )
    for option in options:
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Between:
    """What a promotion leads from, and the target's open environment with its transaction."""

    source: Source
    opened: Opened
    tx: Transaction

    @property
    def now(self) -> datetime:
        """The target's time."""
        return self.opened.clock.now()

    def prepared(self, name: str, bound: dict[str, Any], prober: Prober) -> Prepared:
        """Return the plan, with the binding that the options ask for."""
        target = Here(self.opened.profile, self.tx)
        return self.source.prepared(target, name, _binding(bound, target, name), prober, self.now)

    def contexts(self, name: str) -> Contexts:
        """Return what the device has used in the source."""
        return self.source.contexts(name, self.now)


@contextmanager
def both(source: str, target: str, right: Right = Right.READ) -> Iterator[Between]:
    """Open both sides: the source to read, the target to read or, with a right to configure, to write.

    The source is an environment, or the file of an evidence packet.
    """
    with opened(target, right) as there, source_of(source, there) as found:
        target_tx = there.database.read() if right is Right.READ else there.database.write("promotion")
        with target_tx as tx:
            yield Between(found, there, tx)


@contextmanager
def source_of(source: str, there: Opened, not_before: datetime | None = None) -> Iterator[Source]:
    """Open what a promotion comes from. Raises Refused for a packet that is not to be believed."""
    if (brought := export_of(source)) is not None:
        yield Imported(_export(*brought, there), brought[1])
        return
    file = Path(source)
    if file.is_file() and file.suffix != ".toml":
        yield Carried(carried.read(file.read_bytes(), carried.key_of(there.profile)), not_before)
        return
    if not_before is not None:
        raise Refused("it was asked for by an evidence packet: give a new one, --from FILE")
    with opened(source, by_token=False) as here, here.database.read() as tx:
        yield Tested(Here(here.profile, tx))


def _export(sha256: str, file: Path, there: Opened) -> Whole:
    try:
        whole = exported.read(file.read_bytes(), key_at_hand(there.profile))
    except OSError as error:
        raise Refused(f"{file}, from which it was asked for, cannot be read: {error.strerror}") from error
    if whole.sha256 != sha256:
        raise Refused(f"{file} is another export than the one from which it was asked for")
    return whole


def key_at_hand(profile: Profile) -> bytes | None:
    """Return the key that signs, where the profile names one."""
    return carried.key_of(profile) if profile.promotion.packet_key or profile.worlds.key else None


def _binding(bound: dict[str, Any], there: Here, name: str) -> Binding | None:
    """Return the binding that was asked for; what is left out stays as the target has it."""
    if not any(value is not None for value in bound.values()):
        return None
    old = gate.bound(there.tx, name)
    return Binding(
        bound["host"] or old.host,
        bound["port"] or old.port,
        _title(bound["ae_title"], old.ae_title),
        _title(bound["station"], old.station),
    )


def _title(given: str | None, bound: AETitle | None) -> AETitle | None:
    if given is None:
        return bound
    try:
        return AETitle(given) if given else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def show(made: Plan, there: Opened, source: str) -> None:
    """Write a plan: what changes, what it rests on, the verdict."""
    before, target = made.source, made.target
    click.echo(f"{made.name}: {before.environment} ({before.life.value}) -> {target.environment} ({target.life.value})")
    click.echo(f"plan {made.checksum}")
    columns = [("field", "field"), ("before", f"{target.environment} now"), ("after", "after"), ("console", "console")]
    listing(words.difference_rows(made), columns, False, titled(there.profile, "what changes"))
    columns = [("state", "state"), ("check", "check"), ("what", "what"), ("when", "when")]
    listing(words.check_rows(made.checks), columns, False, titled(there.profile, "what it rests on"))
    click.echo(words.verdict(made, source))
