"""`broker card`: what the service engineer types into the console, on paper."""

from pathlib import Path

import click

from broker.cli.context import detail, env_option, listing, opened, titled
from broker.cli.promote_paper import written
from broker.environments.model import World as Kind
from broker.errors import NotFound
from broker.promotion.paper.card import Card, World, card
from broker.registry import store

FORMATS = ("text", "html", "pdf", "json")


@click.command("card")
@click.argument("name")
@env_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--beside", metavar="E", help="The other world, so that both stand side by side.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file instead of stdout.")
def command(name: str, env: str, form: str, beside: str | None, out: Path | None) -> None:
    """Print the console settings card of NAME: the broker's settings, the console's own, and what to know."""
    with opened(env) as here:
        made = here.clock.now().astimezone(here.profile.timezone)
    worlds = [_world(each, name) for each in (env, beside) if each]
    if len(worlds) > 1 and worlds[0].profile.kind is Kind.PRODUCTION:
        worlds.reverse()
    whole = card(worlds, f"{made:%Y-%m-%d %H:%M}")
    match form:
        case "html":
            from broker.promotion.paper import as_html  # noqa: PLC0415 - what draws is loaded by who prints

            written(out, as_html.of_card(whole).encode())
        case "pdf":
            from broker.promotion.paper import as_pdf  # noqa: PLC0415 - as above, and a second to load

            written(out, as_pdf.of_card(whole, made))
        case "json":
            detail(_fact(whole), as_json=True)
        case _:
            _show(whole)


def _world(env: str, name: str) -> World:
    with opened(env, by_token=False) as here, here.database.read() as tx:
        known = next((each for each in store.modalities(tx) if each.name == name), None)
        if known is None:
            raise NotFound(f"there is no modality {name!r} in {here.profile.name}: see broker modality list")
        return World(here.profile.name, here.profile.colour, here.profile, known)


def _fact(whole: Card) -> dict[str, object]:
    names = [world.name for world in whole.worlds]
    lines = [
        {
            "section": line.section,
            "setting": line.setting,
            **dict(zip(names, line.values, strict=True)),
            "differs": line.differs,
            "note": line.note,
        }
        for line in whole.lines
    ]
    return {"name": whole.device, "description": whole.description, "made": whole.made, "lines": lines}


def _show(whole: Card) -> None:
    names = [world.name for world in whole.worlds]
    rows = [
        {
            "section": line.section,
            "setting": line.setting,
            **dict(zip(names, line.values, strict=True)),
            "differs": "differs" if line.differs else "",
            "note": line.note,
        }
        for line in whole.lines
    ]
    columns = [("section", "section"), ("setting", "setting"), *((name, name) for name in names)]
    columns += [("differs", "")] if len(names) > 1 else []
    listing(
        rows, [*columns, ("note", "note")], False, titled(whole.worlds[0].profile, f"{whole.device}, console settings")
    )
