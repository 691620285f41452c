"""From the spool's segments to the index: what was kept is indexed in groups, and what a stop left is found again.

Reads records as their writer says that they are durable; each belongs to the index, once, whoever was stopped when.
Decides nothing of an instance: what its row and its deliveries are is the pipeline's.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from broker.database import Database, Transaction
from broker.errors import Unavailable
from broker.journal import log
from broker.spool import store as spool_index
from broker.spool.model import SpooledInstance
from broker.spool.record import Head, Kept
from broker.spool.segments import path_of
from broker.spool.spool import Spool
from broker.spool.tail import Found, Part, Tail

Index = Callable[[Transaction, Kept], bool]
"""Indexes an instance and what is owed of it; tells False where it was received before and owes nothing new."""
OnDamaged = Callable[[str, str], None]
"""Takes (instance or place, what is wrong) of a record that is not whole."""

GROUP = 64  # in one commit: others that write the database wait meanwhile

_T = TypeVar("_T")


class Indexing:
    """The one reader of a spool's segments that indexes them."""

    def __init__(self, database: Database, spool: Spool, index: Index, on_damaged: OnDamaged) -> None:
        self._database = database
        self._spool = spool
        self._index = index
        self._on_damaged = on_damaged
        self._tail = Tail(spool.directory)

    @property
    def tail(self) -> Tail:
        """What was taken so far."""
        return self._tail

    def run(self, after_group: Callable[[], None] = lambda: None, is_enough: Callable[[], bool] = lambda: False) -> int:
        """Index all that is durable and not indexed yet, a group at a time; return how many records were new.

        Where it `is_enough` after a group with new ones, or after a part, the next run goes on.
        """
        count = 0
        for number, part in enumerate(self._tail.ready()):
            if number and is_enough():  # very much is kept: what is known is looked at once more, too
                return count
            for batch in _batches(part.reader.heads(part.start, part.end), GROUP):
                count += self._take(part, batch)
                after_group()
                if count and is_enough():  # the part does not count as taken: it is looked at again from its start
                    return count
        return count

    def _take(self, part: Part, batch: Sequence[tuple[int, Head]]) -> int:
        with self._database.read() as tx:
            known = spool_index.known(tx, [head.id for _, head in batch])
        fresh = [(at, head) for at, head in batch if head.id not in known.held and head.id not in known.forgotten]
        found = [part.found(at, head) for at, head in fresh]
        self._add([one.kept for one in found if one.kept])
        for one in found:
            if one.kept is None:
                self._set_aside(part, one)
        for at, head in batch:
            if head.id in known.forgotten:  # a stop came between the index and the mark
                self._spool.mark_forgotten(path_of(part.reader.name), at)
        return len(fresh)

    def _add(self, new: Sequence[Kept]) -> None:
        if not new:
            return
        with self._database.write("spool-index") as tx:
            indexed = [self._index(tx, kept) for kept in new]
        repeated = [kept.instance for kept, is_new in zip(new, indexed, strict=True) if not is_new]
        for instance in repeated:
            self._forget(instance)
        _say([kept.instance for kept in new], {instance.id for instance in repeated})

    def _forget(self, instance: SpooledInstance) -> None:
        try:
            self._spool.forget(instance)
        except Unavailable as error:
            log.warning("spool.file-stays", instance=instance.id, why=str(error))

    def _set_aside(self, part: Part, found: Found) -> None:
        """Keep what is no whole record where a person finds it, and say so; the segment may then be used again."""
        reader = part.reader
        self._spool.set_aside(f"{found.head.id}.bin", reader.pieces(found.at, found.head.size))
        self._on_damaged(found.head.id, f"{found.problem}; its bytes are in damaged/")
        self._spool.mark_forgotten(path_of(reader.name), found.at)


def _say(new: Sequence[SpooledInstance], repeated: Collection[str]) -> None:
    """Write a line for each association and SOP class of a group: one an image would cost half of its index row."""
    groups: dict[tuple[str, str], list[SpooledInstance]] = {}
    for instance in new:
        groups.setdefault((instance.facts.association_id, instance.facts.sop_class_uid), []).append(instance)
    for (association_id, sop_class_uid), instances in groups.items():
        ids = [instance.id for instance in instances]
        log.info(
            "instances.received",
            association=association_id,
            sop_class_uid=sop_class_uid,
            count=len(ids),
            repeated=sum(each in repeated for each in ids),
            bytes=sum(instance.length for instance in instances),
            instances=ids,
        )


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
