"""Where what is printed goes: a file that is whole or not there. Makes no document."""

from pathlib import Path

from broker import durable
from broker.errors import Refused


def write_file(out: Path, content: bytes) -> None:
    """Write the file whole, or leave the last one: it is needed when nothing else works. Only its owner may read it.

    Where `out` is a link, what it leads to is written. Raises Refused where it cannot be written; what is no file, such
    as a terminal or /dev/stdout, is never replaced by one.
    """
    if out.exists() and not out.is_file():
        raise Refused(f"{out} is no file, and stays as it is: name a file")
    place = out.resolve()
    try:
        durable.discard_leftover(place)
        with durable.DurableFile(place, "folder") as file:
            file.write(content)
            file.commit()
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror}") from error
