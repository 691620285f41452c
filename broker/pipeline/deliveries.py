"""Deliveries -> PACS, and what we answer for: the proof that it keeps them."""

import hashlib
import platform
import random
from collections.abc import Callable
from datetime import datetime

from broker.clock import Clock
from broker.commitment.devices import taking
from broker.commitment.devices.reporting import Notify
from broker.commitment.model import NOT_AUTHORISED, CommitmentRefused
from broker.database import Database
from broker.delivery import escalation, jumps, worker
from broker.delivery import store as deliveries
from broker.delivery.desk import Desk
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.service import AcceptedAssociation, NormalizedRequest, Requestor
from broker.environments.model import Destination, Profile, UnknownCallers
from broker.exams import meant
from broker.journal import log
from broker.outbox import available
from broker.outbox import state as telling
from broker.outbox import store as outbox
from broker.pipeline.here import Here
from broker.procedures.forward import state as passing
from broker.procedures.forward import store as forwards
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from broker.tripwires.model import OTHER_WORLD

_INDEX_SECONDS = 5.0


def _node(profile: Profile) -> str:
    """Return what names this process among several on one database; empty on the embedded one, which is ours alone."""
    if profile.database_url.startswith("sqlite:"):
        return ""
    return hashlib.sha256(f"{platform.node()}:{profile.state}".encode()).hexdigest()[:12]


class Deliveries(Here):
    """Forwarding and storage commitment."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        super().__init__(profile, database, registry, spool, clock)
        self._node = _node(profile)
        self._clock_was: datetime | None = None
        self._desk = Desk(
            database,
            spool,
            profile.dicom.ae_title,
            clock,
            random.random,
            self._alert,
            settle=self.commitment.settle,
            zone=profile.timezone,
            orders_of=meant.orders_of,
            node=self._node,
        )

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
        while worker.deliver_batch(self._desk, destination, requestor, stow, stopping=stopping):
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

    def escalate(self) -> None:
        """Say again what still fails after 15 minutes, an hour, and each day."""
        escalation.escalate(self._database, self._clock, self._alert)

    def mind_clock(self) -> int:
        """After the clock was set back, and at first: what waits for longer than we ever wait is due now; how many."""
        before, self._clock_was = self._clock_was, self._clock.now()
        if not jumps.is_set_back(before, self._clock_was):
            return 0
        counts = self._tell_at_once(self._clock_was) | self.commitment.put_forward()
        if any(counts.values()):
            log.warning("clock.set-back", **counts)
        names = [destination.name for destination in self._profile.destinations]
        return sum(counts.values()) + jumps.mend(self._database, [*names, OTHER_WORLD], self._clock_was)

    def _tell_at_once(self, now: datetime) -> dict[str, int]:
        """What others are to be told, and would be later than we ever wait, is due now; how many of each."""
        with self._database.write("outbox") as tx:
            available.put_forward(tx, now)
            told = outbox.put_forward(tx, now + telling.LONGEST_WAIT, now)
        names = [*(each.name for each in self._profile.mpps.destinations), OTHER_WORLD]
        with self._database.write("mpps-lease") as tx:
            passed = sum(forwards.put_forward(tx, name, now + passing.LONGEST_WAIT, now) for name in names)
        return {"messages": told, "steps": passed}

    def note_absent_destinations(self) -> None:
        """Say what waits for a destination that the profile does not have."""
        names = [d.name for d in self._profile.destinations]
        if self.worlds.destination is not None:
            names.append(OTHER_WORLD)
        escalation.note_absent(self._database, names, self._clock, self._alert)
