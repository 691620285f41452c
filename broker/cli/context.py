"""What every noun needs: which environment, who asks, and how a result is written. Decides nothing about the result."""

import json
import os
import pwd
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from broker import clock as clocks
from broker.audit.model import Actor, ActorKind
from broker.clock import Clock, rfc3339
from broker.database import Database
from broker.environments import hooks
from broker.environments import profile as profiles
from broker.environments.model import Profile
from broker.errors import Refused
from broker.migrations import open_database
from broker.people import store as people
from broker.people.model import Right, User, roles_with
from broker.promotion.approved import serving

_F = TypeVar("_F", bound=Callable[..., Any])

TOKEN = "BROKER_TOKEN"
# A pipe has no width: nothing is folded there.
_UNBOUNDED = 10_000


@dataclass(frozen=True, slots=True)
class Title:
    """The title of a table, in rich markup, and whose time its instants are shown in."""

    markup: str
    zone: ZoneInfo | None = None  # none where several environments are told of


@dataclass(frozen=True, slots=True)
class Opened:
    """An environment that is open for one command."""

    profile: Profile
    database: Database
    clock: Clock
    actor: Actor
    person: User | None = None  # by the token in $BROKER_TOKEN


def env_option(function: _F) -> _F:
    """Add `--env E` (default `$BROKER_ENV`), passed as `env`; without either, exit 2 with the names that exist."""
    option = click.option(
        "--env",
        metavar="E",
        envvar="BROKER_ENV",
        callback=_required,
        help="The environment: a profile's name or a path to a profile.  [default: $BROKER_ENV]",
    )
    return option(function)


def json_option(function: _F) -> _F:
    """Add `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")(function)


@contextmanager
def opened(env: str, right: Right = Right.READ, *, by_token: bool = True) -> Iterator[Opened]:
    """Open the environment `env` for the block, for a command that needs this right of whoever shows a token.

    Without `by_token` it is the other side of a command, whose token is not for it, and is only read.

    Raises NotFound for an unknown one, Misconfigured with every mistake of its profile, Unavailable when its
    database cannot be opened, Refused for a token that is nobody's or does not give the right.
    """
    profile = profiles.read(profiles.find(env))
    hooks.arm(profile)
    database = open_database(profile)
    try:
        user = _token_s_user(profile, database, right) if by_token else None
        actor = os_user() if user is None else Actor(ActorKind.PERSON, user.name)
        yield Opened(serving.served(profile, database), database, clocks.from_environment(), actor, user)
    finally:
        database.close()


@contextmanager
def opened_file(env: str, right: Right = Right.READ) -> Iterator[tuple[Opened, Profile]]:
    """Open `env` as `opened` does; give what its file says beside it, where Production may serve something else."""
    with opened(env, right) as here:
        yield here, profiles.read(profiles.find(env))


def _token_s_user(profile: Profile, database: Database, right: Right) -> User | None:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        return None
    with database.read() as tx:
        user = people.by_token(tx, token)
    if user is None:
        raise Refused(f"${TOKEN} is nobody's token in {profile.name}: each environment has tokens of its own")
    if user.disabled is not None:
        raise Refused(f"{user.name}'s account in {profile.name} was disabled on {user.disabled:%Y-%m-%d}")
    if not user.may(right):
        raise Refused(f"{user.name} is {user.role.value} in {profile.name}; this needs {roles_with(right)}")
    return user


def os_user() -> Actor:
    """Return the operating-system user as the system knows him; the environment's variables are not believed."""
    number = os.getuid()
    try:
        return Actor(ActorKind.OS_USER, pwd.getpwuid(number).pw_name)
    except KeyError:
        return Actor(ActorKind.OS_USER, f"uid {number}")


def titled(profile: Profile, what: str) -> Title:
    """Return the title of a table: the environment's name in its colour, and what the table lists."""
    return Title(f"[bold {profile.colour}]{_escaped(profile.name)}[/] {_escaped(what)}", profile.timezone)


def local(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant as people read it, in the site's time; documents for programs have RFC 3339."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def listing(
    rows: Sequence[Mapping[str, object]], columns: Sequence[tuple[str, str]], as_json: bool, title: Title | None = None
) -> None:
    """Write rows on stdout: a table of `columns` (key, heading), or with `as_json` all their keys as one JSON array.

    A table's instants are in its title's time. Nothing is ever cut: a terminal folds what is too wide, a pipe has no
    width.
    """
    if as_json:
        _write_json([dict(row) for row in rows])
        return
    _write_table([heading for _, heading in columns], [[row.get(key) for key, _ in columns] for row in rows], title)


def detail(mapping: Mapping[str, object], as_json: bool, title: Title | None = None) -> None:
    """Write one thing on stdout, a line a field, or with `as_json` as one JSON object."""
    if as_json:
        _write_json(dict(mapping))
        return
    _write_table([], [[key, value] for key, value in _flat(mapping)], title)


def _required(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value or context.resilient_parsing:
        return value
    names = ", ".join(file.stem for file in profiles.available()) or "none"
    raise click.UsageError(f"which environment? Give --env or set $BROKER_ENV. Found in {profiles.folder()}: {names}")


def _write_json(value: object) -> None:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")  # else characters are written as their numbers
    click.echo(json.dumps(value, ensure_ascii=not is_unicode, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _write_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: Title | None) -> None:
    # rich takes longer to import than most commands take to run.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    zone = title.zone if title else None
    table = Table(show_header=bool(headings))
    for heading in headings or ("", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value, zone)) for value in row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _UNBOUNDED)
    if title:  # by itself: a table folds its own to its width, which is that of its headings where it has no rows
        console.print(title.markup, style="table.title", highlight=False)
    console.print(table)


def _flat(mapping: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _cell(value: object, zone: ZoneInfo | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return local(value, zone) if zone else rfc3339(value)
        case Mapping():
            return ", ".join(f"{key}={_cell(item, zone)}" for key, item in value.items())
        case list() | tuple() | set() | frozenset():
            lines = any(isinstance(item, Mapping) for item in value)
            return ("\n" if lines else ", ").join(_cell(item, zone) for item in value)
    return "".join(_visible(character) for character in str(value))


def _visible(character: str) -> str:
    # A peer's text must not steer the terminal.
    return character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
