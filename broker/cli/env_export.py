"""`broker env export | import`: everything that people have told an environment, as one readable file, and back."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click
from sqlalchemy import make_url

from broker.cli import exporting, persons
from broker.cli.context import Opened, opened_file
from broker.cli.paper_file import write_file
from broker.cli.promote_paper import written
from broker.durable import make_directory
from broker.environments import profile as profiles
from broker.environments.model import Profile, World
from broker.errors import Refused
from broker.people.model import Right
from broker.promotion import exported
from broker.promotion import settings as profile_settings
from broker.promotion.approved import serving
from broker.promotion.approved import store as approvals
from broker.promotion.settings import Settings
from broker.promotion.sources import refuse_other
from broker.registry import store as registry


@click.command(name="export")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file instead of stdout.")
def export(env: str, out: Path | None) -> None:
    """Write the profile, mappings, devices, bindings and statements of E as one file with hashes.

    What was received and sent is a backup's. Secrets are named by where they stand, unless the profile itself has one.
    """
    with opened_file(env, Right.CONFIGURE) as (here, file):
        with here.database.read() as tx:
            names = [each.name for each in registry.modalities(tx)]
            whole = exporting.whole_of(here, tx, names, exporting.settings_of(tx, file))
        content = exporting.written(here, whole)
    if make_url(file.database_url).password and b"${ENV:" not in whole.settings.profile:  # type: ignore[union-attr]
        click.echo("the profile's database.url has a password, and so has the export: keep it safe", err=True)
    written(out, content)


@click.command(name="import")
@click.argument("env", metavar="E", envvar="BROKER_ENV")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(env: str, file: Path) -> None:
    """Bring FILE, an export of E, back: in Test at once; in Production each change needs another's approval.

    Where E is the path of a profile that is not there yet, it is written first. A file that is replaced stays beside
    it, as NAME.before. What people stated of a device comes back in Test alone: in Production they say it anew.
    """
    _lay_first(env, file)
    with opened_file(env, Right.CONFIGURE) as (here, profile):
        if profile.kind is World.PRODUCTION:
            persons.person(here, Right.CONFIGURE)
        whole = exporting.read(here, file)
        refuse_other(whole, profile)
        if whole.settings is not None:
            click.echo(f"settings: {_settings(here, profile, whole.settings, file)}")
        for name, became in exporting.imported(here, whole, file):
            click.echo(f"{name}: {became}")


def _lay_first(env: str, file: Path) -> None:
    """Write the profile of an environment that is not there yet: another machine begins with it."""
    place = Path(env)
    if place.suffix != ".toml" or place.exists():
        return
    settings = exported.read(file.read_bytes(), None).settings
    if settings is None:
        raise Refused(f"{file} is of one device: there is no profile in it")
    _lay(settings, place)
    click.echo(f"{place} written")


def _settings(here: Opened, profile: Profile, settings: Settings, file: Path) -> str:
    """Put the files in their place; in Production what they say is asked for, and served when it was approved."""
    with here.database.read() as tx:
        is_served = exporting.settings_of(tx, profile) == settings
    if is_served and serving.pending(profile, here.database):
        return f"served as they are in the export; the files say otherwise: broker env pending {profile.name}"
    if is_served:
        return "as they are"
    _refuse_invalid(settings, profile)
    _lay(settings, profile.file)
    now = profiles.read(profile.file)
    if profile.kind is World.TEST:
        return "written; restart broker serve to serve them"
    if not serving.pending(now, here.database):
        return "written; they are adopted when broker serve starts first"
    with here.database.write("settings") as tx:
        why = f"import of {file.name}"
        number = approvals.request(tx, profile_settings.of(now), here.actor, here.clock.now(), why)
    return f"request {number}: another person approves it: broker env approve {number} --env {profile.name}"


def _refuse_invalid(settings: Settings, profile: Profile) -> None:
    """Raise Misconfigured or Refused before anything is written."""
    folder = profile.file.parent
    with TemporaryDirectory() as aside:
        places = {}
        for number, (path, content) in enumerate(settings.files):
            places[_inside(folder, path)] = Path(aside) / f"{number}.toml"
            write_file(places[_inside(folder, path)], content)
        profiles.read_content(settings.profile, profile.file, places)


def _lay(settings: Settings, profile: Path) -> None:
    for path, content in ((_inside(profile.parent, path), content) for path, content in settings.files):
        _put(path, content)
    _put(profile, settings.profile)


def _put(path: Path, content: bytes) -> None:
    if path.exists():
        if path.read_bytes() == content:
            return
        write_file(path.with_name(f"{path.name}.before"), path.read_bytes())
    mode = path.stat().st_mode if path.exists() else 0o640
    make_directory(path.parent)
    write_file(path, content)
    path.chmod(mode & 0o777)


def _inside(folder: Path, path: str) -> Path:
    """Return where a file belongs. Raises Refused for one outside: an import writes beside the profile alone."""
    place = (folder.absolute() / path).resolve()
    if not place.is_relative_to(folder.absolute().resolve()):
        raise Refused(f"the export names the file {path}, which is not beside the profile: put it there by hand first")
    return place
