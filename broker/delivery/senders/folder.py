"""Sends into a folder: one Part 10 file an instance, whole or not there at all, under a name of ours."""

import errno
from functools import partial
from pathlib import Path

from broker import durable
from broker.delivery.content import Content, from_spool
from broker.delivery.senders.outcome import Answered, Batch, Outcome, Outcomes, Way, opened
from broker.errors import Misconfigured, Unavailable
from broker.spool.files import SUFFIX
from broker.spool.model import SpooledInstance

_KEPT = Answered(0x0000)
_TOO_LARGE = Answered(0x0110, "the folder's file system takes no file of this size")


def send(batch: Batch, way: Way) -> Outcomes:
    """Copy each file; the same instance again replaces its copy. A folder that fails is the destination's state."""
    folder = way.destination.path
    if folder is None:
        raise Misconfigured(f"destination {way.destination.name!r} has no path")
    for delivery, instance in batch:
        yield delivery, opened(partial(_copy, folder), instance, way)


def _copy(folder: Path, instance: SpooledInstance, content: Content) -> Outcome:
    target = folder / f"{instance.id}{SUFFIX}"
    try:
        _make_last(folder)
        durable.discard_leftover(target)
        with durable.DurableFile(target, "folder") as file:
            for piece in from_spool(content.part10()):
                file.write(piece)
            file.commit()
    except OSError as error:
        if error.errno == errno.EFBIG:
            return _TOO_LARGE  # it is the instance's fault: the others go on
        raise Unavailable(f"the folder does not take the file: {error.strerror or type(error).__name__}") from error
    return _KEPT


def _make_last(folder: Path) -> None:
    # Its parents are not made: below a share that is not mounted, files would seem to be delivered.
    if folder.parent.is_dir():
        durable.make_directory(folder)
