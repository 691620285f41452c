"""The flows, one short function each: READ FIRST. Owns every commit; decides nothing itself.

Each has one rhythm: capture raw, translate, decide (pure), store, answer.
"""

import hashlib
import json
import platform
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from broker import recycling
from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.associations import open as associations
from broker.associations import store as association_rows
from broker.associations.model import Association, Result
from broker.clock import Clock
from broker.commitment.devices import taking
from broker.commitment.devices.reporting import Notify
from broker.commitment.flow import Commitment
from broker.commitment.model import NOT_AUTHORISED, CommitmentRefused
from broker.database import Database, Transaction
from broker.delivery import escalation, routing, worker
from broker.delivery import store as deliveries
from broker.delivery import studies as delivered_studies
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.service import (
    CALLED_NOT_RECOGNIZED,
    CALLING_NOT_RECOGNIZED,
    AcceptedAssociation,
    AssociationRequest,
    FindAnswer,
    FindRequest,
    NormalizedRequest,
    Rejection,
    Requestor,
    StoreRequest,
)
from broker.environments.model import Destination, Identity, Profile, Receiver, Route, UnknownCallers, World
from broker.errors import Unavailable
from broker.exams import begun_store, checking, crossing, housekeeping, identity, meant, silence
from broker.identifiers import new_id
from broker.inbox.model import Arrival
from broker.indexing import Indexing
from broker.intake import Answer, Beside, Intake
from broker.journal import log
from broker.orders import order_store
from broker.orders import store as orders
from broker.orders.model import Applied, Did, StepStatus
from broker.outbox import available
from broker.outbox import store as outbox
from broker.outbox import worker as telling
from broker.outbox.connection import Sender
from broker.outbox.model import EVENT_OF_STATUS
from broker.procedures import flow as procedures
from broker.procedures import shown
from broker.procedures import store as steps
from broker.procedures.flow import Taken, Taking
from broker.procedures.forward import store as forwards
from broker.procedures.forward import worker as forwarding
from broker.procedures.forward.worker import Caller
from broker.procedures.model import Event, Received
from broker.promotion.recorded import store as recorded
from broker.promotion.recorded.model import Echo, Way
from broker.registry.cache import RegistryCache
from broker.registry.model import Modality, Registry
from broker.registry.nearest import advice
from broker.spool import store as spool_index
from broker.spool.errors import DamagedInstance
from broker.spool.files import Known
from broker.spool.model import ReceiptFacts, SpooledInstance
from broker.spool.record import Kept
from broker.spool.room import Level
from broker.spool.spool import Spool, in_segment
from broker.tripwires.model import OTHER_WORLD, Identifier, Kind
from broker.tripwires.table import Tripwire
from broker.tripwires.worlds import Worlds, live
from broker.worklist import find
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from broker.worklist.viewer import registry_stations, viewer_of

_INDEX_SECONDS = 5.0
_NO_ROUTE = "no route takes its instances: they are kept; add a route to the profile, then retry their deliveries"
_INCOMPLETE = "an instance has no Study or no Series Instance UID: it is kept and forwarded as it came"
_CONFLICT = "an instance came again under the same SOP Instance UID with other content: both are kept and forwarded"
_CUT = "more matched its query than the limit of its document: it got the soonest; raise worklist.limit or ask for less"


def _node(profile: Profile) -> str:
    """Return what names this process among several on one database; empty on the embedded one, which is ours alone."""
    if profile.database_url.startswith("sqlite:"):
        return ""
    return hashlib.sha256(f"{platform.node()}:{profile.state}".encode()).hexdigest()[:12]


class Flows:
    """The flows of one environment. Every method may be called from many threads at once."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        self._profile = profile
        self._database = database
        self._registry = registry
        self._spool = spool
        self._clock = clock
        self._open = associations.OpenAssociations()
        self._echoed: set[str] = set()  # associations of which a C-ECHO is recorded
        self._node = _node(profile)
        self.commitment = Commitment(profile, database, registry, spool, clock, self._alert)
        self.worlds = Worlds(profile)
        self._intake = Intake(profile, database, registry, clock, self.worlds)
        self._began: list[Identifier] = []  # with what was indexed and is not written yet
        self._known_associations = associations.KnownAssociations()
        self._indexing = Indexing(database, spool, self._indexed, self._report_damaged)

    # --- RIS -> worklist -----------------------------------------------------------------------------------------

    def take_message(self, raw: bytes, arrival: Arrival, answer: Answer) -> bytes | None:
        """HL7 message -> inbox, orders and worklist in one commit -> its acknowledgement, which is kept too.

        Raises Unavailable when nothing could be made durable: then nothing may be acknowledged.
        """
        taken = self._intake.take(raw, arrival, answer)
        outcome = taken.outcome
        log.info(
            "message.answered",
            entry=taken.entry_id,
            state=taken.state.value,
            address=arrival.address,
            code=outcome.code,
            location=outcome.location,
            why=outcome.text,
            repeated=taken.repeated,
        )
        return taken.acknowledgement

    def rejects_when_unavailable(self, raw: bytes) -> bool:
        """Tell whether a message may be answered AR when nothing can be made durable: its sender is known to retry."""
        return self._intake.sends_again_after_reject(raw)

    def perform(
        self, order_id: int, step_ids: tuple[str, ...], status: StepStatus, beside: Beside = lambda tx: None
    ) -> Applied:
        """What was performed of an order -> its steps -> worklist, and the receivers are owed word of it."""
        now = self._clock.now()
        with self._database.write("orders") as tx:
            applied = orders.perform(tx, order_id, step_ids, status, now)
            self._intake.change(tx, applied)
            if applied.did is not Did.NOTHING:
                self._owe_word(tx, applied, step_ids, status)
            beside(tx)
        return applied

    def _owe_word(self, tx: Transaction, applied: Applied, step_ids: tuple[str, ...], status: StepStatus) -> None:
        if (event := EVENT_OF_STATUS.get(status)) is None:
            return
        for stored in applied.orders:
            outbox.owe(tx, self._profile.receivers, stored, event, step_ids, self._clock.now())

    # --- worklist -> RIS ---------------------------------------------------------------------------------------------

    def tell(self, receiver: Receiver, sender: Sender) -> None:
        """What is due to one receiver -> its MLLP port, in order, until nothing is due or it needs time."""
        if self._crosses(receiver.world, receiver.name):
            return
        while telling.send_batch(self._database, receiver, sender, self._clock, random.random, self._alert):
            pass

    def note_available_images(self) -> None:
        """Studies of which everything is delivered, and that are quiet -> receivers are owed word of it."""
        wanting = available.wanting(self._profile.receivers)
        with self._database.write("outbox") as tx:
            delivered_studies.note_studies(tx, [receiver.name for receiver in wanting])
        for receiver in wanting:
            while self._tell_of_settled(receiver):
                pass

    def _tell_of_settled(self, receiver: Receiver) -> bool:
        now = self._clock.now()
        with self._database.write("outbox") as tx:
            quiet = available.quiet_since(receiver, now)
            studies = delivered_studies.settled_studies(tx, receiver.name, quiet, now, available.BATCH)
            available.tell(tx, receiver, studies, orders.order_detail, now)
        return len(studies) == available.BATCH

    # --- associations --------------------------------------------------------------------------------------------

    def admit(self, request: AssociationRequest) -> Rejection | None:
        """A-ASSOCIATE-RQ -> accept, or reject with the reason recorded and the nearest known title named."""
        rejection, reason, nearest = self._judge(request)
        if rejection is None:
            return None
        now = self._clock.now()
        row = associations.rejected(new_id(now), request, reason, nearest, now)
        with self._database.write("associations") as tx:
            association_rows.add(tx, row)
            crossing.tell(tx, self.worlds.device("", request.calling_ae_title), request.calling_ae_title, self._alert)
        log.warning(
            "association.rejected",
            calling=request.calling_ae_title,
            called=request.called_ae_title,
            address=request.address,
            why=reason,
        )
        return rejection

    def _judge(self, request: AssociationRequest) -> tuple[Rejection | None, str, str]:
        dicom = self._profile.dicom
        if request.called_ae_title not in (dicom.ae_title, *dicom.aliases):
            why = f'called AE title "{request.called_ae_title}" is not ours: this is "{dicom.ae_title}"'
            return CALLED_NOT_RECOGNIZED, why, dicom.ae_title
        registry = self._registry.current()
        if registry.by_calling(request.calling_ae_title) or self._profile.unknown_callers is UnknownCallers.ACCEPT:
            return None, "", ""
        if self.commitment.is_reporter(request):
            return None, "", ""
        if self.worlds.is_other(request.calling_ae_title, request.address):
            return None, "", ""  # it hands over what began here
        nearest = advice(request.calling_ae_title, request.address, registry)
        return CALLING_NOT_RECOGNIZED, nearest.why, nearest.title

    def begin(self, association: AcceptedAssociation) -> None:
        """Remember who it is; the row is written with the first fact that refers to it."""
        modality = self._modality(association)
        device, revision = (modality.name, modality.revision) if modality else ("", "")
        self._open.add(associations.accepted(association, device, revision, self._clock.now()))
        if device and (tripped := self.worlds.device(device, "")):
            self._warn_of_device(device, tripped)

    def _warn_of_device(self, device: str, tripped: Sequence[Tripwire]) -> None:
        """Say that a device is at home in the other world; it is served whether or not that could be said."""
        try:
            with self._database.write("alerts") as tx:
                crossing.tell(tx, tripped, device, self._alert)
        except Unavailable as error:
            log.warning("tripwire.untold", device=device, why=str(error))

    def answer_echo(self, association: AcceptedAssociation) -> None:
        """C-ECHO -> recorded once an association, as evidence; it is answered whether or not that could be."""
        known = self._open.get(association.id)
        if not known.device or association.id in self._echoed:
            return
        echo = Echo(known.device, self._clock.now(), Way.RECEIVED, association.id, known.revision, known.address)
        try:
            with self._database.write("associations") as tx:
                self._open.write(tx, association.id)
                recorded.add_echo(tx, echo)
        except Unavailable as error:
            log.warning("echo.unrecorded", association=association.id, why=str(error))
            return
        self._open.written(association.id)
        self._echoed.add(association.id)

    def end(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        """Write how it ended."""
        self._echoed.discard(association.id)
        result = Result.RELEASED if released else Result.ABORTED
        try:
            self._database.together(
                "associations", partial(self._ended, association.id, result, "" if released else reason)
            )
        finally:
            self._open.forget(association.id)
        log.info("association.ended", association=association.id, result=result.value, why=reason)

    def _ended(self, association_id: str, result: Result, reason: str, tx: Transaction) -> None:
        self._open.end(tx, association_id, result, reason, self._clock.now())

    def _modality(self, association: AcceptedAssociation) -> Modality | None:
        return self._registry.current().by_calling(association.request.calling_ae_title)

    # --- worklist -> ultrasound ----------------------------------------------------------------------------------

    def answer_query(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        """C-FIND -> matching items -> answers; what was answered is recorded after the last of them has left."""
        registry = self._registry.current()
        modality = registry.by_calling(association.request.calling_ae_title)
        viewer = viewer_of(modality, self._profile.timezone, association.request.calling_ae_title)
        stations, hides = registry_stations(registry), shown.hides(viewer, self._clock.now())
        result = yield from find.answers(self._database, request, viewer, stations, self._clock, hides)
        self._database.together("associations", partial(self._queried, association.id, viewer.device, result))
        self._open.written(association.id)
        log.info("query.answered", association=association.id, **result.facts())

    def _queried(self, association_id: str, device: str, result: QueryResult, tx: Transaction) -> None:
        self._open.write(tx, association_id)
        worklist.record_query(tx, association_id, self._clock.now(), result)
        if result.truncated:
            raise_alert(tx, "worklist.cut", device, Severity.WARNING, _CUT, self._clock.now())

    # --- ultrasound -> performed steps -> worklist, RIS, other MPPS providers ----------------------------------------

    def perform_step(self, association: AcceptedAssociation, request: Received) -> Taken:
        """N-CREATE or N-SET -> kept, linked -> steps -> worklist; receivers and destinations are owed word of it.

        Raises StepRefused for a request at fault, Unavailable when it could not be made durable.
        """
        taken, began = self._database.together("orders", partial(self._performed, association, request))
        self._open.written(association.id)
        self.worlds.began(began)
        log.info("step.taken", association=association.id, sop_instance_uid=request.sop_instance_uid, **taken.facts())
        return taken

    def _performed(
        self, association: AcceptedAssociation, request: Received, tx: Transaction
    ) -> tuple[Taken, tuple[Identifier, ...]]:
        """Return what it did, and what began with it here."""
        self._open.write(tx, association.id)
        here = self._taking(association)
        began: tuple[Identifier, ...] = ()
        if self.worlds.looks:
            known = steps.find(tx, request.sop_instance_uid)
            looked = crossing.step(tx, self.worlds, request, known, here.calling_ae_title)
            crossing.tell(tx, looked.tripped, here.subject, self._alert)
            if looked.is_handed_over:
                taken = procedures.hand_over(tx, request, known, here, OTHER_WORLD)
                crossing.note_handed_over(tx, "step", str(taken.step.id), here.subject, self._clock)
                return taken, ()
            began = looked.began
        taken = procedures.take(tx, request, here)
        for applied in taken.applied:
            self._intake.change(tx, applied)
        self._tell_people(tx, taken.events)
        return taken, began

    def _taking(self, association: AcceptedAssociation) -> Taking:
        title = association.request.calling_ae_title
        return Taking(
            association_id=association.id,
            calling_ae_title=title,
            subject=self._open.get(association.id).device or title,
            now=self._clock.now(),
            receivers=self._profile.receivers,
            destinations=tuple(destination.name for destination in self._profile.mpps.destinations),
        )

    def performed_step(self, request: NormalizedRequest) -> bytes:
        """N-GET -> the attributes of a performed step. Raises StepRefused."""
        with self._database.read() as tx:
            return procedures.retrieved(tx, request.sop_instance_uid, request.attributes, request.transfer_syntax)

    def note_stale_steps(self) -> None:
        """Say once of each step in progress that nobody heard of it for long."""
        now = self._clock.now()
        with self._database.write("orders") as tx:
            silent_since = now - timedelta(hours=self._profile.mpps.stale_hours)
            self._tell_people(tx, procedures.note_stale(tx, silent_since, now))

    def pass_on(self, destination: Destination, caller: Caller) -> None:
        """What is due to one MPPS destination -> its provider, in order, until nothing is due or it needs time."""
        if self._crosses(destination.world, destination.name):
            return
        own, clock = self._profile.dicom.ae_title, self._clock
        while forwarding.send_batch(self._database, destination, own, caller, clock, random.random, self._alert):
            pass

    def _tell_people(self, tx: Transaction, events: Iterable[Event]) -> None:
        for event in events:
            raise_alert(tx, event.name, event.subject, Severity.WARNING, event.text, self._clock.now())

    # --- ultrasound -> spool -> deliveries -----------------------------------------------------------------------

    def receive_instance(self, association: AcceptedAssociation, request: StoreRequest) -> None:
        """C-STORE -> spool -> routing -> deliveries. When this returns, the instance survives a power cut.

        Raises BadInstance for a data set at fault, Unavailable when it could not be made durable.
        """
        note = self._open.note(association.id, self._note)
        instance = self._spool.keep(request.data, self._receipt(association, request), note)
        if in_segment(instance):
            return  # its record is what `index_instances` finds
        with self._database.write("spool-index") as tx:
            self._open.write(tx, association.id)
            repeated = self._repeated(tx, instance)
            began = () if repeated else self._owe(tx, instance)
        self._open.written(association.id)
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

    def index_instances(self) -> int:
        """What is durable in the spool's segments -> index, deliveries, in groups; return how many were new."""
        count = self._indexing.run()
        began, self._began = self._began, []
        self.worlds.began(began)
        return count

    def keep_segments(self) -> None:
        """Segments of which nothing is needed any more -> free, to be used again."""
        recycling.release(self._database, self._spool, self._indexing.tail)

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

    def _owe(
        self, tx: Transaction, instance: SpooledInstance, owed_once: tuple[str, ...] = ()
    ) -> tuple[Identifier, ...]:
        """Index the instance and what is owed of it; return what began with it here.

        What belongs to the other world is owed there and nowhere else.
        """
        if not self.worlds.looks:
            self._owe_here(tx, instance, owed_once)
            return ()
        looked = crossing.image(self.worlds, instance)
        facts = instance.facts
        crossing.tell(tx, looked.tripped, facts.device or facts.calling_ae_title, self._alert)
        if looked.is_handed_over:
            crossing.hand_over(tx, instance, self._clock)
            return ()
        self._owe_here(tx, self._of_device(tx, instance), owed_once)
        for row in looked.held:
            deliveries.hold(tx, instance.id, row.text)
        return looked.began

    def _of_device(self, tx: Transaction, instance: SpooledInstance) -> SpooledInstance:
        """Return what the other world handed over as the device's that sent the study's other images here."""
        facts = instance.facts
        if facts.device or not self.worlds.is_other_title(facts.calling_ae_title):
            return instance
        return replace(instance, facts=replace(facts, device=spool_index.device_of(tx, instance.study_instance_uid)))

    def _owe_here(self, tx: Transaction, instance: SpooledInstance, owed_once: tuple[str, ...] = ()) -> None:
        """Index the instance, and one delivery for each destination; without any, park it where a person sees it.

        Where the device's document was lost with the database, what its routes said when the instance came counts.
        """
        order_id, keywords = checking.found(tx, instance)
        routes = self.rules(tx, instance.facts.device).routes
        targets = routing.targets(self.subject(tx, instance, order_id, routes), routes)
        if owed_once and instance.facts.device and not self._registry.within(tx).by_name(instance.facts.device):
            targets = tuple(routing.Target(name) for name in owed_once if self._profile.destination(name))
        conflict = spool_index.conflicting(tx, instance.facts, instance.sha256)
        spool_index.add(tx, instance)
        priorities = {target.destination: target.priority for target in targets}
        deliveries.owe(tx, instance.id, tuple(priorities), self._clock.now(), priorities)
        sender = instance.facts.device or instance.facts.calling_ae_title
        if not targets:
            self._alert(tx, "delivery.no-route", sender, _NO_ROUTE)
        if not (instance.study_instance_uid and instance.series_instance_uid):
            self._alert(tx, "instance.incomplete", sender, _INCOMPLETE)
        if conflict:
            self._alert(tx, "instance.conflict", sender, _CONFLICT)
        if keywords:
            self._disagrees(tx, instance, sender, order_id, keywords)

    def _disagrees(
        self, tx: Transaction, instance: SpooledInstance, sender: str, order_id: int, keywords: tuple[str, ...]
    ) -> None:
        """Say where an image disagrees with its order; hold what is owed of it where the profile says so."""
        held = self._profile.exams.identity is Identity.HOLD
        if held:
            deliveries.hold(tx, instance.id, identity.hold_reason(order_id, keywords))
        text = identity.alert_text(order_id, keywords, held=held)
        self._alert(tx, identity.EVENT, f"{sender}: order {order_id}", text)

    def subject(
        self, tx: Transaction, instance: SpooledInstance, order_id: int, routes: Sequence[Route]
    ) -> routing.Subject:
        """Return what these rules look at: the instance, when it came by the site's clocks, its order (0: none)."""
        kept = order_store.by_id(tx, order_id) if order_id else None
        order: routing.OrderValues | None = None
        if kept is not None and routing.look_at_orders(routes):
            order = routing.order_values(order_store.with_patient(tx, kept).order)
        elif kept is not None:
            order = routing.priority_value(kept.order)
        return routing.Subject(instance, instance.facts.received.astimezone(self._profile.timezone), order)

    def registry(self, tx: Transaction) -> Registry:
        """Return the registry as this transaction sees it."""
        return self._registry.within(tx)

    def rules(self, tx: Transaction, device: str) -> routing.Rules:
        """Return the routes that count for what this device sends: its document's, else the profile's."""
        modality = self.registry(tx).by_name(device)
        return routing.rules(modality.document.routes if modality else (), self._profile.routes)

    def _known(self, instance_ids: Sequence[str]) -> Known:
        with self._database.read() as tx:
            return spool_index.known(tx, instance_ids)

    def _report_damaged(self, instance_id: str, reason: str) -> None:
        with self._database.write("alerts") as tx:
            self._alert(tx, worker.DAMAGED, instance_id, reason)

    # --- deliveries -> PACS --------------------------------------------------------------------------------------

    def deliver(
        self,
        destination: Destination,
        requestor: Requestor,
        stow: StowPeer | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """What is due to one destination -> its sender, until nothing is due or it needs time; outcomes recorded."""
        if self._crosses(destination.world, destination.name):
            return
        own_title = self._profile.dicom.ae_title
        while worker.deliver_batch(
            self._database,
            self._spool,
            destination,
            own_title,
            requestor,
            self._clock,
            random.random,
            self._alert,
            zone=self._profile.timezone,
            settle=self.commitment.settle,
            orders_of=meant.orders_of,
            stow=stow,
            stopping=stopping,
            node=self._node,
        ):
            pass

    def release_leases(self) -> int:
        """What was being sent when the last process ended is due at once; return how many that were."""
        with self._database.write("outbox") as tx:
            outbox.release_all(tx)
        with self._database.write("mpps-lease") as tx:
            forwards.release_all(tx)
        self.commitment.release_leases()
        with self._database.write("delivery") as tx:
            return deliveries.release_all(tx, self._node)

    # --- what the PACS keeps, and what we answer for ---------------------------------------------------------------

    def take_commitment(self, association: AcceptedAssociation, request: NormalizedRequest) -> int:
        """N-ACTION -> kept, and its number; what became of the instances is reported later (`commitment.flow`).

        Raises CommitmentRefused for a request at fault, Unavailable when it could not be made durable.
        """
        asked = taking.read(request)
        if self._modality(association) is None and self._profile.unknown_callers is UnknownCallers.REJECT:
            raise CommitmentRefused(NOT_AUTHORISED, "only a registered device is answered for")
        self._spool.await_index(_INDEX_SECONDS)  # a device that asks at once asks for what it has just sent
        with self._database.write("commitment") as tx:
            self._open.write(tx, association.id)
            number = self.commitment.keep_request(tx, association, asked)
        self._open.written(association.id)
        log.info("commitment.kept", association=association.id, request=number, instances=len(asked.references))
        return number

    def report_here(self, notify: Notify) -> None:
        """Reports that are due to devices which hold an association open -> sent on it."""
        self.commitment.report_here(self._open, notify)

    # --- by the clock --------------------------------------------------------------------------------------------

    def keep_ledger(self) -> None:
        """Queries that were answered -> the exams' ledger."""
        housekeeping.fold_queries(self._database)

    def note_silence(self) -> None:
        """Say once that the RIS has sent nothing for too long."""
        if not self._profile.hl7.silence.minutes:
            return
        with self._database.write("alerts") as tx:
            silent = silence.untold(tx, self._profile, self._clock.now())
            if silent:
                self._alert(tx, silence.EVENT, silence.SUBJECT, silence.alert_text(silent))

    def count_late_exams(self) -> None:
        """Exams of which a step is late -> numbers for `/metrics`."""
        housekeeping.count_late(self._database, self._profile, self._clock)

    def keep_house(self) -> None:
        """Items whose day is long over are offered no longer; what is older than agreed goes."""
        housekeeping.expire_items(self._database, self._profile, self._clock)
        housekeeping.purge(self._database, self._profile, self._clock)

    def escalate(self) -> None:
        """Say again what still fails after 15 minutes, an hour, and each day."""
        escalation.escalate(self._database, self._clock, self._alert)

    def note_absent_destinations(self) -> None:
        """Say what waits for a destination that the profile does not have."""
        names = [d.name for d in self._profile.destinations]
        if self.worlds.destination is not None:
            names.append(OTHER_WORLD)
        escalation.note_absent(self._database, names, self._clock, self._alert)

    # --- the other world -------------------------------------------------------------------------------------------

    def write_worlds(self) -> None:
        """All that began here -> our file of identifiers, as at every start: a stop may have come between the two."""
        if not self.worlds.watches:
            return
        self.worlds.prepare()
        with self._database.read() as tx:
            self.worlds.began(begun_store.begun(tx))

    def watch_worlds(self) -> None:
        """Which devices are live here -> our file; what is wrong with either file -> a person."""
        if self._profile.kind is World.PRODUCTION:
            with self._database.read() as tx:
                devices = self._registry.within(tx).modalities
            for each in devices:
                is_live = not (each.retired or each.suspended)
                self.worlds.began(live(each.name, each.ae_titles, Kind.LIVE if is_live else Kind.ENDED))
        self.worlds.seen(())
        tripped = self.worlds.take_problems()
        if tripped:
            with self._database.write("alerts") as tx:
                crossing.tell(tx, tripped, self._profile.name, self._alert)

    def _crosses(self, world: World, name: str) -> bool:
        """Tell whether a destination is of the other world; then a person is told, and nothing is sent."""
        tripped = self.worlds.destination_of(world, name)
        if tripped:
            with self._database.write("alerts") as tx:
                crossing.tell(tx, tripped, name, self._alert)
        return bool(tripped)

    def _alert(self, tx: Transaction, event: str, subject: str, text: str) -> None:
        raise_alert(tx, event, subject, Severity.URGENT, text, self._clock.now())
        log.error("alert.raised", alert=event, subject=subject)
