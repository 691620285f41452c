"""The flows of storage commitment, for `pipeline`: what is proven to us, and what we answer for towards devices."""

import random
from collections.abc import Callable

from broker.associations import store as association_rows
from broker.associations.model import Result
from broker.associations.open import OpenAssociations
from broker.clock import Clock
from broker.commitment.devices import gathering, reporting, taking
from broker.commitment.devices import store as requests
from broker.commitment.devices.model import Asker, DeviceRequest
from broker.commitment.devices.reporting import Notify, ReportDesk
from broker.commitment.devices.state import LONGEST_WAIT
from broker.commitment.model import SOP_CLASS, Request
from broker.commitment.proof import keeping, reports, worker
from broker.commitment.proof import store as proofs
from broker.commitment.proof.asking import Caller
from broker.commitment.proof.keeping import Keeping
from broker.commitment.proof.outcome import Asked, Desk
from broker.commitment.proof.worker import Callers
from broker.database import Database, Transaction
from broker.delivery.escalation import OnEvent
from broker.delivery.model import Delivery
from broker.dimse.contexts import VERIFICATION
from broker.dimse.service import AcceptedAssociation, AssociationRequest, NormalizedAnswer, NormalizedRequest
from broker.environments.model import Destination, Profile
from broker.registry.cache import RegistryCache
from broker.registry.model import CommitmentHabits, ReportWay
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

_OF_REPORTERS = frozenset({SOP_CLASS, VERIFICATION})


class Commitment:
    """Storage commitment of one environment. Every method may be called from many threads at once."""

    def __init__(  # noqa: PLR0917 - the pipeline hands over what it has
        self,
        profile: Profile,
        database: Database,
        registry: RegistryCache,
        spool: FileSpool,
        clock: Clock,
        on_event: OnEvent,
    ) -> None:
        self._profile = profile
        self._database = database
        self._registry = registry
        self._spool = spool
        self._clock = clock
        self._desk = Desk(database, spool, Keeping.of(profile), clock, random.random, on_event)
        self._reports = ReportDesk(database, profile.commitment, clock, random.random, on_event)

    # --- what destinations prove to us ---------------------------------------------------------------------------

    def settle(self, tx: Transaction, delivery: Delivery, instance: SpooledInstance) -> bool:
        """Owe the proof of a delivery that has just ended; tell whether the instance may leave the spool at once."""
        return keeping.settle(tx, self._desk.keeping, delivery, instance, self._clock.now())

    def prove(self, destination: Destination, callers: Callers, is_stopping: Callable[[], bool]) -> None:
        """What was delivered to one destination -> its word that it keeps it -> it may leave the spool."""
        own = destination.calling if destination.calling in self._titles else self._profile.dicom.ae_title
        asked = Asked(self._desk, destination, own, self._profile.commitment.wait_seconds, is_stopping)
        while worker.prove(asked, callers) and not is_stopping():
            pass

    def is_reporter(self, request: AssociationRequest) -> bool:
        """Tell whether a caller that is no device may come in: a destination that brings only reports."""
        wants = {context.abstract_syntax for context in request.contexts}
        titles = {str(each.ae_title) for each in self._profile.destinations if each.name in self._desk.keeping.proofs}
        return request.calling_ae_title in titles and SOP_CLASS in wants and wants <= _OF_REPORTERS

    def take_report(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        """N-EVENT-REPORT of a destination -> recorded -> what it proves may leave the spool."""
        return reports.take(self._desk, association.request.calling_ae_title, request)

    def release_leases(self) -> None:
        """What was being asked or reported when the last process ended is due at once."""
        with self._database.write("proof") as tx:
            proofs.release_unanswered(tx, self._clock.now())
        with self._database.write("commitment-report") as tx:
            requests.release_all(tx)

    def put_forward(self) -> dict[str, int]:
        """After the clock was set back: what waits for longer than we ever wait is due now; how many of each."""
        now = self._clock.now()
        with self._database.write("proof") as tx:
            asked = sum(worker.put_forward(tx, destination, now) for destination in self._profile.destinations)
        with self._database.write("commitment-report") as tx:
            owed = requests.put_forward(tx, now + LONGEST_WAIT, now)
        return {"proofs": asked, "commitment_requests": owed}

    def forget_held(self) -> None:
        """What has been kept for as long as the profile says leaves the spool."""
        worker.waive_unwanted(self._desk)
        worker.forget_held(self._desk)

    def tell_unproven(self) -> None:
        """Say what was delivered long ago and is not proven."""
        worker.tell_unproven(self._desk, self._profile.commitment.unproven_hours)

    @property
    def _titles(self) -> frozenset[str]:
        return frozenset((self._profile.dicom.ae_title, *self._profile.dicom.aliases))

    # --- what we answer for towards devices ----------------------------------------------------------------------

    def keep_request(self, tx: Transaction, association: AcceptedAssociation, request: Request) -> int:
        """Keep what a device asks for; return its number. Raises CommitmentRefused."""
        asked = association.request
        modality = self._registry.within(tx).by_calling(asked.calling_ae_title)
        habits = modality.document.commitment if modality else CommitmentHabits()
        asker = Asker(
            association_id=association.id,
            calling_ae_title=asked.calling_ae_title,
            called_ae_title=asked.called_ae_title,
            device=modality.name if modality else "",
            mode=habits.mode,
            way=habits.report,
        )
        return taking.keep(tx, request, asker, self._clock.now())

    def gather(self) -> None:
        """What became of the instances that devices ask about; where all are decided, a report is due."""
        gathering.gather(self._database, self._spool, self._profile.commitment, self._clock)

    def report_here(self, open_associations: OpenAssociations, notify: Notify) -> None:
        """What is due to devices that hold an association open -> their reports."""

        def open_(request: DeviceRequest) -> tuple[str, str] | None:
            asker = request.asker
            found = open_associations.with_context(
                asker.association_id, asker.calling_ae_title, asker.called_ae_title, SOP_CLASS
            )
            # A later one of the same device only where nothing else is left, or was of use.
            may_be_later = asker.way is ReportWay.SAME or request.tries > 0
            return found if found and (found[0] == asker.association_id or may_be_later) else None

        reporting.report_here(self._reports, open_, notify)

    def report_anew(self, caller: Caller) -> None:
        """What is due to devices that have gone -> a new association, their reports."""
        reporting.report_anew(self._reports, caller, self._where, _has_ended)

    def _where(self, request: DeviceRequest) -> tuple[str, int]:
        modality = self._registry.current().by_calling(request.asker.calling_ae_title)
        return (modality.binding.host, modality.binding.port) if modality else ("", 0)


def _has_ended(tx: Transaction, association_id: str) -> bool:
    found = association_rows.find(tx, association_id)
    return found is None or found.result is not Result.OPEN


def metrics(tx: Transaction) -> dict[str, float]:
    """Return how many proofs are open by destination and state, and requests of devices by state."""
    values: dict[str, float] = {}
    for (destination, proven), count in proofs.open_counts(tx).items():
        values[f'broker_proofs{{destination="{destination}",state="{proven.value}"}}'] = count
    for asked, count in requests.open_counts(tx).items():
        values[f'broker_commitment_requests{{state="{asked.value}"}}'] = count
    return values
