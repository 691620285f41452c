"""Segments that are used again: when all of their instances are forgotten, and how parked ones get out of their way."""

import time

from broker.database import Database, Transaction
from broker.delivery import store as deliveries
from broker.delivery.model import DeliveryState
from broker.errors import BrokerError
from broker.journal import log
from broker.spool import segments
from broker.spool import store as spool_index
from broker.spool.model import SpooledInstance
from broker.spool.room import Level, Space
from broker.spool.segments import path_of
from broker.spool.spool import Spool, held_segments
from broker.spool.tail import Tail

PARKED_SECONDS = 600.0  # a person often retries at once what was just parked

DISK = {
    Level.LOW: (
        "spool.disk-low",
        "spool",
        "the spool's disk is filling up: make room, or see why deliveries wait (`broker delivery list`)",
    ),
    Level.FULL: (
        "spool.disk-full",
        "spool",
        "the spool's disk is full: images are refused with A700 until there is room, then taken again by themselves",
    ),
}

# Segments that are kept to be used again, further ones give their room back: a burst of images finds them written.
_FREE = 8
_MOST_FREE = 32
_SHARE = 64  # of the room that is left: more than eight may take this part of it
_PREPARED = 8  # made in advance where fewer are there, one at a time, while nothing comes
_QUIET_SECONDS = 3.0
_FOR_PEOPLE = frozenset({DeliveryState.PARKED, DeliveryState.HELD})


def release(database: Database, spool: Spool, tail: Tail) -> int:
    """Have the segments used again of which nothing is held; return how many those were."""
    # First what is wholly indexed, then what is held: what is indexed in between counts as held.
    through = _through(spool, tail)
    if not through:
        return 0
    with database.read() as tx:
        needed = held_segments(spool_index.held_paths(tx))
    unneeded = [name for name in through if name not in needed]
    for name in unneeded:
        keeps = spool.room.level() is Level.WELL and _count_free(spool) < kept_free(spool.room.space())
        segments.retire(spool.directory, name, keeps=keeps)
        tail.forget(name)
    return len(unneeded)


def prepare(spool: Spool) -> bool:
    """Make a segment in advance where few are free, while no images come; tell whether one was made."""
    if _count_free(spool) >= _PREPARED or spool.room.level() is not Level.WELL or not _is_quiet(spool):
        return False
    try:
        segments.prepare(spool.directory)
    except OSError as error:  # who needs one tries again, and tells
        log.warning("spool.not-prepared", why=error.strerror)
        return False
    return True


def move_parked(database: Database, spool: Spool, tail: Tail, rest: float = PARKED_SECONDS) -> int:
    """Give files of their own to the parked instances that alone hold a segment; return how many those were."""
    with database.read() as tx:
        moving = deliveries.paths_of_moving(tx)
    count = 0
    for name in _through(spool, tail):
        path = path_of(name)
        if path in moving or time.time() - (spool.directory / path).stat().st_mtime < rest:
            continue
        with database.read() as tx:
            instances = spool_index.held_in(tx, path)
            parked = all(_is_parked(tx, instance) for instance in instances)
        count += sum(_move(database, spool, instance) for instance in instances) if parked else 0
    return count


def _count_free(spool: Spool) -> int:
    return len(segments.free(spool.directory / segments.FOLDER))


def kept_free(space: Space) -> int:
    """Decide how many segments are kept to be used again."""
    return max(_FREE, min(_MOST_FREE, space.free // _SHARE // segments.SIZE))


def _is_quiet(spool: Spool) -> bool:
    """Tell whether no record was written for a while."""
    names = segments.in_use(spool.directory / segments.FOLDER)
    return not names or time.time() - (spool.directory / path_of(names[-1])).stat().st_mtime > _QUIET_SECONDS


def _through(spool: Spool, tail: Tail) -> list[str]:
    return [name for name in segments.in_use(spool.directory / segments.FOLDER) if tail.through(name)]


def _is_parked(tx: Transaction, instance: SpooledInstance) -> bool:
    """Tell whether a person has to do something about an instance, and nothing of it is sent before."""
    states = {delivery.state for delivery in deliveries.of_instance(tx, instance.id)}
    return bool(states & _FOR_PEOPLE) and states <= _FOR_PEOPLE | {DeliveryState.DELIVERED}


def _move(database: Database, spool: Spool, instance: SpooledInstance) -> bool:
    try:
        moved = spool.move_out(instance)
    except BrokerError as error:  # one that is damaged stays where it is, and its segment with it
        log.warning("spool.not-moved", instance=instance.id, why=str(error))
        return False
    with database.write("spool-index") as tx:
        # Asked again: a person may have retried it meanwhile, and a sender may be reading it.
        if not (_is_parked(tx, instance) and spool_index.moved(tx, moved)):
            return False
    spool.forget(instance)
    log.info("spool.moved-out", instance=instance.id)
    return True
