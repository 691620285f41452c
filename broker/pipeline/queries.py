"""Worklist -> ultrasound."""

from collections.abc import Iterator
from functools import partial

from broker.alerts.model import Severity
from broker.alerts.store import raise_alert
from broker.database import Transaction
from broker.dimse.service import AcceptedAssociation, FindAnswer, FindRequest
from broker.journal import log
from broker.pipeline.here import Here
from broker.procedures import shown
from broker.worklist import find
from broker.worklist import store as worklist
from broker.worklist.model import QueryResult
from broker.worklist.viewer import registry_stations, viewer_of

_CUT = "more matched its query than the limit of its document: it got the soonest; raise worklist.limit or ask for less"


class Queries(Here):
    """C-FIND."""

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
