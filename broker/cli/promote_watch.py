"""`broker promote watch`: what a device shows in Production from its cutover on, as it comes. Changes nothing."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import click
from click.exceptions import Exit

from broker.cli import promote_watch_words as words
from broker.cli.context import Opened, detail, opened
from broker.cli.promote_paper import parts_of
from broker.promotion import firsts, store, watching
from broker.promotion.model import Life
from broker.promotion.watching import Watch

WRONG, NOT_YET = 1, 3
_OVER = (Life.LIVE, Life.SUSPENDED, Life.RETIRED)


@click.command(name="watch")
@click.argument("name", metavar="NAME|ID")
@click.option("--env", metavar="E", envvar="BROKER_ENV", help="The production environment; an ID names it itself.")
@click.option("--once", is_flag=True, help="Say how it stands now, and end.")
@click.option("--until", default="live", metavar="WHAT", help="live (default), one of the firsts, or a time: 07:30.")
@click.option("--every", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, metavar="SECONDS")
@click.option("--json", "as_json", is_flag=True, help="Write how it stands now as one JSON document.")
def watch(*, name: str, env: str | None, once: bool, until: str, every: float, as_json: bool) -> None:
    """Watch the cutover of NAME as its first exams come: what is seen is ticked, what goes wrong is named.

    Exit 0: it has shown what was waited for; 3: not yet; 1: something is wrong, or it was rolled back.
    """
    with opened(_environment(name, env)) as here:
        device, awaited = _device(here, name), _awaited(until, here)
        found = _read(here, device)
        if as_json:
            detail(words.fact(found), as_json=True)
        elif once:
            click.echo("\n".join(words.lines(found, here.profile.timezone)))
        else:
            found = _followed(here, found, awaited, every)
    _leave(found, awaited)


@dataclass(frozen=True, slots=True)
class _Awaited:
    """What ends the watching: the first of this name, or the time; else that it is live."""

    first: str = ""
    at: datetime | None = None

    def has_come(self, watch: Watch) -> bool:
        """Tell whether what is waited for was seen."""
        if self.first:
            return any(each.name == self.first and each.at is not None for each in watch.firsts)
        return watch.is_good

    def ends(self, watch: Watch) -> bool:
        """Tell whether there is nothing more to wait for."""
        if self.at is not None:
            return watch.now >= self.at or watch.life in _OVER
        return watch.life in _OVER or (bool(self.first) and self.has_come(watch))


def _awaited(until: str, here: Opened) -> _Awaited:
    if until == "live":
        return _Awaited()
    if until in firsts.NAMES:
        return _Awaited(first=until)
    now = here.clock.now().astimezone(here.profile.timezone)
    for form in ("%H:%M", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            found = datetime.strptime(until, form)
        except ValueError:
            continue
        if found.tzinfo is None:
            found = now.replace(hour=found.hour, minute=found.minute, second=0, microsecond=0)
            found += timedelta(days=found <= now)
        return _Awaited(at=found)
    raise click.BadParameter(
        f"{until!r} is no time, and not one of live, {', '.join(firsts.NAMES)}", param_hint="--until"
    )


def _environment(name: str, env: str | None) -> str:
    if "/" in name:
        return parts_of(name)[0]
    if not env:
        raise click.UsageError("which environment? Give --env or set $BROKER_ENV, or the ID of a request")
    return env


def _device(here: Opened, name: str) -> str:
    if "/" not in name:
        return name
    with here.database.read() as tx:
        return store.find(tx, parts_of(name)[1], here.profile.name).name


def _read(here: Opened, name: str) -> Watch:
    with here.database.read() as tx:
        return watching.read(tx, here.profile, name, here.clock.now())


def _followed(here: Opened, found: Watch, awaited: _Awaited, every: float) -> Watch:
    """Show each state until what is waited for has come, or somebody stops us."""
    with _shown(here) as show, _until_stopped() as stopped:
        show(found)
        while not awaited.ends(found) and not stopped.wait(every):
            found = _read(here, found.name)
            show(found)
    if stopped.is_set():
        click.echo("no longer watched here; the broker goes on watching", err=True)
    return found


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """Give what is set when a person stops us: between two looks, never within one."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _shown(here: Opened) -> Iterator[Callable[[Watch], None]]:
    """Give what shows a state: a view that stays in its place on a terminal, else only what is new, line by line."""
    zone = here.profile.timezone
    if not sys.stdout.isatty():
        said: set[str] = set()

        def tell(watch: Watch) -> None:
            for what, line in words.news(watch, zone):
                if what not in said:
                    said.add(what)
                    click.echo(line)
                    sys.stdout.flush()

        yield tell
        return
    # rich takes longer to import than most commands take to run.
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(auto_refresh=False) as live:
        yield lambda watch: live.update(Text("\n".join(words.lines(watch, zone))), refresh=True)


def _leave(found: Watch, awaited: _Awaited) -> None:
    if found.life in (Life.SUSPENDED, Life.RETIRED):
        raise Exit(WRONG)
    if awaited.has_come(found):
        return
    raise Exit(WRONG if found.open_troubles else NOT_YET)
