"""Where paper goes: a file that is whole or not there, or stdout."""

from pathlib import Path

import click

from broker import durable
from broker.errors import Refused


def written(out: Path | None, content: bytes) -> None:
    """Write a document. Raises Refused where the file cannot be written."""
    if out is None:
        click.echo(content, nl=False)
        return
    try:
        durable.discard_leftover(out)
        with durable.DurableFile(out, "folder") as file:
            file.write(content)
            file.commit()
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}") from error
    click.echo(f"{out} written")
