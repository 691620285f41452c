"""`broker modality clone | import`: a device made from another one, and one that comes back from a file."""

import hashlib
import re
import tomllib
from pathlib import Path

import click

from broker.cli import persons
from broker.cli.context import Opened, env_option, opened
from broker.environments.model import World
from broker.errors import NotFound, Refused
from broker.people.model import Right
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Binding

_SHORT = 12
_KEY = re.compile(r'\s*(?:"([A-Za-z_]+)"|([A-Za-z_]+))\s*=')
_OWN = ("name", "description", "ae_titles", "stations", "station_name", "location")


@click.command(name="clone")
@click.argument("name")
@click.argument("new")
@click.option("--ae-title", "titles", multiple=True, metavar="T", help="Repeat for several; asked for without.")
@click.option("--station", "stations", multiple=True, metavar="S", help="Its stations.  [default: its AE titles]")
@click.option("--station-name", prompt="Its station name", default="", metavar="TEXT")
@click.option("--location", prompt="Where it stands (location)", default="", metavar="TEXT")
@click.option("--description", prompt="In a few words", default="", metavar="TEXT")
@click.option("--host", prompt="Its host", metavar="H", help="Where the new device is.")
@click.option("--port", prompt="Its port", type=click.IntRange(1, 65535), metavar="P", help="Where it listens.")
@env_option
def clone(*, name: str, new: str, host: str, port: int, env: str, **own: str | tuple[str, ...]) -> None:
    """Make the device NEW after NAME: its habits, routes and claims, with a title and a place of its own.

    What NAME has proven stays NAME's: the new device begins with nothing.
    """
    with opened(env, Right.CONFIGURE) as here:
        if here.profile.kind is not World.TEST:
            raise Refused(f"{here.profile.name} is {here.profile.kind.value}: a device begins in Test")
        with here.database.read() as tx:
            template = registry.content(tx, name)
        titles = own.pop("titles") or (click.prompt("Its AE title"),)
        content = _cloned(template, {"name": new, "ae_titles": titles, **own})
        _added(here, new, content, Binding(host, port))
    click.echo(f"{new} revision {hashlib.sha256(content).hexdigest()[:_SHORT]} is after {name}, at {host}:{port}")
    for word in _left(content, name, template):
        click.echo(f"its document still names {word} of {name}: look at broker modality export {new}", err=True)
    click.echo(f"it has proven nothing yet: broker promote checks {new} --env {env}")


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@env_option
def import_(file: Path, env: str) -> None:
    """Bring a device back from FILE: in Test at once; in Production it is asked for, and approved by another person."""
    # What judges a promotion reads every room: the other commands of devices do not wait for it.
    from broker.cli import exporting  # noqa: PLC0415
    from broker.promotion.sources import refuse_other  # noqa: PLC0415

    with opened(env, Right.CONFIGURE) as here:
        whole = exporting.read(here, file)
        if here.profile.kind is World.PRODUCTION:
            persons.person(here, Right.CONFIGURE)
            refuse_other(whole, here.profile)
        for name, became in exporting.imported(here, whole, file):
            click.echo(f"{name}: {became}")


def _added(here: Opened, new: str, content: bytes, binding: Binding) -> None:
    now, actor = here.clock.now(), here.actor
    titles = (here.profile.dicom.ae_title, *here.profile.dicom.aliases)
    document = documents.read(content, new)
    with here.database.write("registry") as tx:
        try:
            registry.modality(tx, new)
        except NotFound:
            registry.apply(tx, document, content, actor, now, own_titles=titles, why="clone")
            registry.bind(tx, new, binding, actor, now, own_titles=titles, why="clone")
            return
    raise Refused(f"there is a device {new} in {here.profile.name} already: give the new one another name")


def _cloned(template: bytes, own: dict[str, str | tuple[str, ...]]) -> bytes:
    """Return the template's document with these keys its own; every other line stays as it is, comments too."""
    kept, own_lines = _head(template.decode("utf-8"))
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items() if value}
    head = "".join(f"{key} = {_toml(values[key])}\n" for key in _OWN if key in values)
    return (head + kept + own_lines).encode()


def _left(content: bytes, name: str, template: bytes) -> list[str]:
    """Return which names of the template's own device stand in the new document still, such as in a route."""
    document = documents.read(template, name)
    own = dict.fromkeys((name, *map(str, (*document.ae_titles, *document.stations))))
    return [word for word in own if f'"{word}"'.encode() in content]


def _head(text: str) -> tuple[str, str]:
    """Return the keys before the first table that are not a device's own, and everything from that table on."""
    lines, kept, at = text.splitlines(keepends=True), "", 0
    while at < len(lines) and not lines[at].lstrip().startswith("["):
        key = _KEY.match(lines[at])
        entry, at = _entry(lines, at) if key else (lines[at], at + 1)
        if not key or (key[1] or key[2]) not in _OWN:
            kept += entry
    return kept, "".join(lines[at:])


def _entry(lines: list[str], at: int) -> tuple[str, int]:
    """Return one key with its value, which may go over several lines, and where the next one begins."""
    for end in range(at + 1, len(lines) + 1):
        entry = "".join(lines[at:end])
        try:
            tomllib.loads(entry)
        except tomllib.TOMLDecodeError:
            continue
        return entry, end
    raise Refused("the template's document cannot be read")


def _toml(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
