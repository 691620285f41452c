"""`broker worklist print`: a day's worklist for paper, as HTML or PDF. Patient data: printing is audited."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click

from broker.audit import store as audit
from broker.cli.acts import act
from broker.cli.context import Opened, env_option, opened
from broker.cli.paper_file import write_file
from broker.database import Transaction
from broker.errors import NotFound
from broker.exams import silence
from broker.exams.printed import as_html, page
from broker.exams.printed.page import Heading, Room
from broker.registry import store as registry_store
from broker.registry.model import Habits, Modality, Registry
from broker.worklist import find
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.spelled import query_of
from broker.worklist.viewer import registry_stations


@click.command("print")
@click.option("--day", metavar="DAY", default="today", show_default=True, help="YYYY-MM-DD, or today.")
@click.option("--room", metavar="NAME", help="Only this device, by its name or a station's title; else a page each.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, readable by you alone; else standard output.",
)
@click.option("--format", "kind", type=click.Choice(["html", "pdf"]), help="Else as --out ends; else html.")
@env_option
def print_(env: str, day: str, room: str | None, out: Path | None, kind: str | None) -> None:
    """Write the worklist of a day to print, a page a room and more where it is long, for when systems are down.

    HTML is printed from any browser, which finds the fonts; a PDF holds those of this machine.
    """
    kind = kind or ("pdf" if out and out.suffix.lower() == ".pdf" else "html")
    if kind == "pdf" and out is None and sys.stdout.isatty():
        raise click.UsageError("a PDF is nothing to read here: name a file with --out")
    with opened(env) as here:
        wanted = _day(day, here)
        with here.database.read() as tx:  # apart from the audit's: whoever receives must not wait for a whole day
            rooms = _rooms(tx, wanted, room)
            heading = _heading(tx, here, wanted)
        count = sum(len(one.items) for one in rooms)
        with here.database.write("audit") as tx:
            audit.record(tx, act(here, "worklist.printed", room or "every room", day=str(wanted), items=count))
    content = _pdf(rooms, heading) if kind == "pdf" else as_html.document(rooms, heading).encode()
    if out is None:
        click.echo(content, nl=False)
        return
    write_file(out, content)
    click.echo(f"{out}: {_counted(count, 'step')} in {_counted(len(rooms), 'room')}")


def _pdf(rooms: Sequence[Room], heading: Heading) -> bytes:
    from broker.exams.printed import as_pdf, fonts  # noqa: PLC0415 - a second to load, which no other command needs

    paper = as_pdf.document(rooms, heading)
    if paper.lacking:
        lacking = f"{_counted(len(paper.lacking), 'character')} ({fonts.scripts(paper.lacking)})"
        advice = "install a font that has them, or print the HTML from a browser that shows them"
        click.echo(f"no font of this machine has {lacking}: they stand as numbers, [U+0000]; {advice}", err=True)
    return paper.content


def _day(text: str, here: Opened) -> date:
    if text == "today":
        return here.clock.now().astimezone(here.profile.timezone).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no day: write YYYY-MM-DD, or today") from error


def items_of_day(tx: Transaction, day: date, registry: Registry) -> tuple[WorklistItem, ...]:
    """Return the items of one day, whoever may see them; no other is read, since there may be a million."""
    query = query_of([f"ScheduledProcedureStepStartDate={day:%Y%m%d}"], Habits())
    return find.search(tx, query, Viewer(), registry_stations(registry)).items


def _rooms(tx: Transaction, day: date, room: str | None) -> list[Room]:
    registry = registry_store.load(tx)
    found = page.rooms(items_of_day(tx, day, registry), registry.modalities, day)
    if room is None:
        return found
    names = {one.name for one in registry.modalities if _is(one, room)}
    own = [one for one in found if one.name in names]
    if not own:
        raise NotFound(f"there is no room {room}: `broker modality list` shows the devices and their stations")
    return own


def _is(modality: Modality, room: str) -> bool:
    return room.casefold() in {modality.name.casefold(), *(str(title).casefold() for title in modality.stations)}


def _heading(tx: Transaction, here: Opened, day: date) -> Heading:
    now = here.clock.now()
    silent = silence.silence(tx, here.profile, now)
    profile = here.profile
    return Heading(
        environment=profile.name,
        colour=profile.colour,
        site=profile.site,
        day=day,
        printed=now.astimezone(profile.timezone),
        actor=here.actor.name,
        warning=silence.notice(silent) if silent else "",
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
