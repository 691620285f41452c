"""Who calls: let in or rejected with a reason, remembered, recorded."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from broker.associations import open as associations
from broker.associations import store as association_rows
from broker.associations.model import Result
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.service import (
    CALLED_NOT_RECOGNIZED,
    CALLING_NOT_RECOGNIZED,
    AcceptedAssociation,
    AssociationRequest,
    Rejection,
)
from broker.environments.model import Profile, UnknownCallers
from broker.errors import Unavailable
from broker.exams import crossing
from broker.identifiers import new_id
from broker.journal import log
from broker.pipeline.here import Here
from broker.promotion.recorded import store as recorded
from broker.promotion.recorded.model import Echo, Way
from broker.promotion.rehearsed import store as rehearsals
from broker.registry.cache import RegistryCache
from broker.registry.nearest import advice
from broker.spool.spool import Spool
from broker.tripwires.table import Tripwire


class Associations(Here):
    """The life of an association, and C-ECHO."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        super().__init__(profile, database, registry, spool, clock)
        self._echoed: set[str] = set()  # associations of which a C-ECHO is recorded

    def admit(self, request: AssociationRequest) -> Rejection | None:
        """A-ASSOCIATE-RQ -> accept, or reject with the reason recorded and the nearest known title named."""
        rejection, reason, nearest = self._judge(request)
        if rejection is None:
            return None
        now = self._clock.now()
        with self._database.write("associations") as tx:
            device = rehearsals.rehearsing(tx, request.calling_ae_title)
            if device and rejection == CALLING_NOT_RECOGNIZED:
                reason = f"{device} is being rehearsed: nothing is served to it before its promotion is applied"
            association_rows.add(tx, associations.rejected(new_id(now), request, reason, nearest, now))
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
        # As it was when the caller was admitted: a moment ago, on this thread.
        modality = self._registry.last().by_calling(association.request.calling_ae_title)
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

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        """What queries have left to be written -> written, with the end where it is asked for: one commit for all."""
        self._settle(association.id, Result.RELEASED if released else Result.OPEN, "")

    def end(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        """Write how it ended, unless that is written."""
        self._echoed.discard(association.id)
        result = Result.RELEASED if released else Result.ABORTED
        try:
            self._settle(association.id, result, "" if released else reason)
        finally:
            self._open.forget(association.id)
            self.word.ended(association.id)
        calling = association.request.calling_ae_title
        log.info("association.ended", association=association.id, calling=calling, result=result.value, why=reason)

    def _settle(self, association_id: str, result: Result, reason: str) -> None:
        if self._open.is_settled(association_id, result):
            return
        now = self._clock.now()
        self._database.together("associations", partial(self._settled, association_id, result, reason, now))
        self._open.settled(association_id, result)

    def _settled(self, association_id: str, result: Result, reason: str, now: datetime, tx: Transaction) -> None:
        self._open.settle(tx, association_id, result, reason, now)
