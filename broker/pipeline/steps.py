"""Ultrasound -> performed steps -> worklist, RIS, other MPPS providers."""

import random
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.database import Transaction
from broker.dimse.service import AcceptedAssociation, NormalizedRequest
from broker.environments.model import Destination
from broker.exams import crossing
from broker.journal import log
from broker.pipeline.here import Here
from broker.procedures import flow as procedures
from broker.procedures import store as steps
from broker.procedures.flow import Taken, Taking
from broker.procedures.forward import worker as forwarding
from broker.procedures.forward.worker import Caller
from broker.procedures.model import Event, Received
from broker.tripwires.model import OTHER_WORLD, Identifier


class Steps(Here):
    """MPPS, in and passed on."""

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
