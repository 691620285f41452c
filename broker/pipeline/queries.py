"""Worklist -> ultrasound."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.clock import Clock
from broker.database import Database, Transaction
from broker.dimse.service import AcceptedAssociation, FindAnswer, FindRequest
from broker.environments.model import Profile
from broker.journal import log
from broker.pipeline.here import Here
from broker.procedures import shown
from broker.registry.cache import RegistryCache
from broker.spool.spool import Spool
from broker.worklist import find
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from broker.worklist.viewer import Viewers

_CUT = "more matched its query than the limit of its document: it got the soonest; raise worklist.limit or ask for less"


class Queries(Here):
    """C-FIND."""

    def __init__(
        self, profile: Profile, database: Database, registry: RegistryCache, spool: Spool, clock: Clock
    ) -> None:
        super().__init__(profile, database, registry, spool, clock)
        self._viewers = Viewers(profile.timezone)

    def answer_query(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        """C-FIND -> matching items -> answers; what was answered is recorded when the association is settled."""
        viewer, stations = self._viewers.of(self._registry.current(), association.request.calling_ae_title)
        hides = shown.hides(viewer, self._profile.mpps.started_visible_hours, self._clock.now())
        done = partial(self._query_done, association, viewer.device)
        done((yield from find.answers(self._database, request, viewer, stations, self._clock, hides, done)))

    def _query_done(self, association: AcceptedAssociation, device: str, result: QueryResult) -> None:
        now, calling = self._clock.now(), association.request.calling_ae_title
        self._open.owe(association.id, partial(self._queried, association.id, device, result, now))
        log.info("query.answered", association=association.id, calling=calling, **result.facts())

    @staticmethod
    def _queried(association_id: str, device: str, result: QueryResult, now: datetime, tx: Transaction) -> None:
        worklist.record_query(tx, association_id, now, result)
        if result.truncated:
            raise_alert(tx, "worklist.cut", device, Severity.WARNING, _CUT, now)
