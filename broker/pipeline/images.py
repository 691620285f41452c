"""Ultrasound -> spool -> index and deliveries."""

import json
from collections.abc import Callable, Collection, Sequence

from broker import recycling
from broker.associations import open as associations
from broker.associations.model import Association
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.delivery import recording, routing
from broker.dimse.service import AcceptedAssociation, StoreRequest
from broker.environments.model import Profile
from broker.indexing import Indexing
from broker.journal import log
from broker.pipeline.owing import Owing
from broker.registry.cache import RegistryCache
from broker.spool import store as spool_index
from broker.spool.errors import DamagedInstance
from broker.spool.files import Known
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.spool.record import Kept
from broker.spool.room import Level
from broker.spool.spool import Spool, in_segment
from broker.tripwires.model import Identifier

OnOwed = Callable[[Collection[str]], None]
"""Takes the names of destinations to which something new is owed."""


class Images(Owing):
    """C-STORE, and the spool it fills."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        super().__init__(profile, database, registry, spool, clock)
        self._began: list[Identifier] = []  # with what was indexed and is not written yet
        self._known_associations = associations.KnownAssociations()
        self._indexing = Indexing(database, spool, self._indexed, self._report_damaged)

    def receive_instance(self, association: AcceptedAssociation, request: StoreRequest) -> None:
        """C-STORE -> spool -> routing -> deliveries. When this returns, the instance survives a power cut.

        Raises BadInstance for a data set at fault, Unavailable when it could not be made durable.
        """
        note = self._open.note(association.id, self._note)
        instance = self._spool.keep(request.data, self._receipt(association, request), note)
        if in_segment(instance):
            self.word.kept(association.id)
            return  # its record is what `index_instances` finds
        with self._database.write("spool-index") as tx:
            self._open.write(tx, association.id)
            repeated = self._repeated(tx, instance)
            began = () if repeated else self._owe(tx, instance)
        self._open.written(association.id)
        if not repeated:
            self.word.of_owed()
        self.worlds.began(began)
        if repeated:
            self._spool.forget(instance)
        log.info(
            "instance.received",
            association=association.id,
            instance=repeated.id if repeated else instance.id,
            sop_class_uid=request.sop_class_uid,
            bytes=instance.length,
            repeated=bool(repeated),
        )

    def recover_spool(self) -> int:
        """Files that the index does not know (a stop between the two) are owed like any other; return how many."""
        count = 0
        for instance in self._spool.recover(self._known, self._report_damaged):
            with self._database.write("spool-index") as tx:
                repeated = self._repeated(tx, instance)
                began = () if repeated else self._owe(tx, instance)
            self.worlds.began(began)
            if repeated:  # it was sent again meanwhile, since it had not been answered
                self._spool.discard(instance.id)
            count += 1
        return count

    def index_instances(
        self, on_owed: OnOwed = lambda _names: None, is_enough: Callable[[], bool] = lambda: False
    ) -> int:
        """What is durable in the spool's segments -> index, deliveries, in groups; return how many were new.

        `on_owed` is told after each group to which destinations something is owed. Where it `is_enough` then, the rest
        is left to the next call.
        """
        count = self._indexing.run(lambda: on_owed(self.newly_owed()), is_enough)
        began, self._began = self._began, []
        self.worlds.began(began)
        return count

    def keep_segments(self) -> None:
        """Segments of which nothing is needed any more -> free, to be used again; new ones where few are."""
        recycling.release(self._database, self._spool, self._indexing.tail)
        recycling.prepare(self._spool)

    def move_parked(self) -> None:
        """What is parked and alone holds a segment -> a file of its own."""
        recycling.move_parked(self._database, self._spool, self._indexing.tail)

    def watch_disk(self) -> None:
        """Say that the spool's disk is nearly full, or full; once until somebody has acknowledged it."""
        level = self._spool.room.level()
        if level is not Level.WELL:
            with self._database.write("alerts") as tx:
                self._alert(tx, *recycling.DISK[level])

    def _indexed(self, tx: Transaction, kept: Kept) -> bool:
        """Index an instance of a segment; tell False where it was received before."""
        self._known_associations.ensure(tx, kept.note.get("association"))
        repeated = self._repeated(tx, kept.instance)
        if not repeated:
            self._began += self._owe(tx, kept.instance, tuple(kept.note.get("owed") or ()))
        return not repeated

    def _note(self, association: Association) -> bytes:
        """Return what stands beside its instances in the spool, for an index that was lost: from whom, owed to whom.

        What is owed stands there where the routes look at the association alone; else they are asked again.
        """
        modality = self._registry.last().by_name(association.device)
        rules = routing.rules(modality.document.routes if modality else (), self._profile.routes)
        owed = routing.of_association(rules.routes, association.device, association.calling_ae_title)
        return json.dumps({"association": associations.note(association), "owed": owed}).encode("ascii")

    def _repeated(self, tx: Transaction, instance: SpooledInstance) -> SpooledInstance | None:
        """Return what was received before with equal content and is delivered or whole: then nothing new is owed."""
        twin = spool_index.same(tx, instance.facts, instance.sha256)
        if twin is None or twin.id in spool_index.known(tx, [twin.id]).forgotten:
            return twin
        try:
            self._spool.verify(twin)
        except DamagedInstance:
            return None  # what is sent again heals it
        return twin

    def _receipt(self, association: AcceptedAssociation, request: StoreRequest) -> ReceiptFacts:
        return ReceiptFacts(
            association_id=association.id,
            calling_ae_title=association.request.calling_ae_title,
            called_ae_title=association.request.called_ae_title,
            device=self._open.get(association.id).device,
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax=request.transfer_syntax,
            received=self._clock.now(),
        )

    def _known(self, instance_ids: Sequence[str]) -> Known:
        with self._database.read() as tx:
            return spool_index.known(tx, instance_ids)

    def _report_damaged(self, instance_id: str, reason: str) -> None:
        with self._database.write("alerts") as tx:
            self._alert(tx, recording.DAMAGED, instance_id, reason)
