"""`broker promote packet | verify`: the sign-off packet; and where paper goes, a file that is whole or stdout."""

from pathlib import Path
from typing import Any

import click

from broker.cli.context import Opened, opened
from broker.cli.paper_file import write_file
from broker.clock import rfc3339
from broker.database import Transaction
from broker.errors import Refused
from broker.promotion import carried, difference, store
from broker.promotion.model import Request
from broker.promotion.paper import packet as packets
from broker.registry import document as documents
from broker.registry import store as registry
from broker.registry.model import Document


def written(out: Path | None, content: bytes) -> None:
    """Write a document. Raises Refused where the file cannot be written."""
    if out is None:
        click.echo(content, nl=False)
        return
    write_file(out, content)
    click.echo(f"{out} written")


@click.command("packet")
@click.argument("id_", metavar="ID")
@click.option("--format", "form", type=click.Choice(("html", "text", "pdf")), default="html", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file instead of stdout.")
def packet(id_: str, form: str, out: Path | None) -> None:
    """Write the sign-off packet of the request ID: one file with everything it rests on, and who signed.

    HTML and text hold their own data and can be verified; PDF is for reading, and shows the same digest.
    """
    environment, number = parts_of(id_)
    with opened(environment) as here, here.database.read() as tx:
        said, made = _said(here, tx, number), here.clock.now()
    match form:
        case "pdf":
            from broker.promotion.paper import as_pdf  # noqa: PLC0415 - what draws is loaded by who prints

            written(out, as_pdf.of_packet(said, made))
        case "text":
            written(out, packets.text(said).encode())
        case _:
            written(out, packets.document(said).encode())


@click.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--env", metavar="E", help="Compare it with what this environment has, too.")
def verify(file: Path, env: str | None) -> None:
    """Say whether FILE, a packet of a sign-off or of evidence, is whole; with --env whether it is the one it says."""
    if file.read_bytes()[:5] == b"%PDF-":
        raise Refused("a PDF is for reading: verify the HTML or text of the same packet, and compare the digest")
    if file.read_bytes()[:1] == b"{":
        _verify_evidence(file, env)
        return
    said = packets.read(file.read_text(encoding="utf-8"))
    click.echo(f"{said['id']}: {said['device']} revision {said['revision'][:12]}, {said['state']}: the packet is whole")
    if env is None:
        click.echo("with --env E it is compared with what the environment has")
        return
    with opened(env) as here, here.database.read() as tx:
        ours = _said(here, tx, parts_of(said["id"])[1])
    if packets.digest(ours) != said["digest"]:
        raise Refused(f"{said['id']}: {here.profile.name} has another promotion under this number, or it went on since")
    click.echo(f"{here.profile.name} has the very same")


def _verify_evidence(file: Path, env: str | None) -> None:
    if env is None:
        raise Refused("an evidence packet is verified with --env E, whose profile names the key")
    with opened(env) as here:
        packet = carried.read(file.read_bytes(), carried.key_of(here.profile))
        carried.refuse_unfit(packet, here.profile, here.clock.now())
    side = packet.side
    click.echo(f"{side.name} revision {side.revision[:12]} of {side.environment}, made {rfc3339(packet.made)}")
    click.echo("the packet is whole, signed with our key, and not stale")


def parts_of(id_: str) -> tuple[str, int]:
    """Return environment and number of an ID such as production/17; the environment may be a path to a profile."""
    environment, _, number = id_.rpartition("/")
    if not environment or not number.isdecimal():
        raise Refused(f"{id_!r} is no ID of a request: they look like production/17, see broker promote list")
    return environment, int(number)


def _said(here: Opened, tx: Transaction, number: int) -> dict[str, Any]:
    request = store.find(tx, number, here.profile.name)
    before = _before(tx, request)
    after = documents.read(request.document, request.name)
    changes = difference.of_documents(before, after)
    return packets.contents(request, changes, here.profile.site)


def _before(tx: Transaction, request: Request) -> Document | None:
    """Return the document that was served when the request was made; none where none was."""
    past = [served for served in store.history(tx, request.name) if served.at < request.requested]
    if not past:
        return None
    return documents.read(registry.content(tx, request.name, past[0].revision), request.name)
