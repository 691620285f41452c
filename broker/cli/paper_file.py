"""Where what is printed goes: a file that is whole or not there. Makes no document."""

from pathlib import Path

from broker import durable
from broker.errors import Refused


def write_file(out: Path, content: bytes) -> None:
    """Write the file whole, or leave the last one: it is needed when nothing else works. Only its owner may read it.

    Raises Refused where it cannot be written.
    """
    try:
        durable.discard_leftover(out)
        with durable.DurableFile(out, "folder") as file:
            file.write(content)
            file.commit()
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}") from error
