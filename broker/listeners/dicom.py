"""The DICOM services of one environment, on one port: what the upper layer calls, turned into the flows' words."""

from collections.abc import Iterator

from broker.commitment.model import SOP_CLASS as STORAGE_COMMITMENT
from broker.dimse.service import (
    AcceptedAssociation,
    Answer,
    AssociationRequest,
    FindAnswer,
    FindRequest,
    NormalizedAnswer,
    NormalizedRequest,
    Rejection,
    StoreRequest,
)
from broker.errors import BrokerError
from broker.journal import log
from broker.listeners import commitment, mpps
from broker.listeners.replies import store_status
from broker.pipeline import Flows


class Services:
    """Everything that we answer on accepted associations (`dimse.service.Provider`)."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    def admit(self, request: AssociationRequest) -> Rejection | None:
        """Let known titles in; see `Flows.admit`."""
        return self._flows.admit(request)

    def established(self, association: AcceptedAssociation) -> None:
        """Take note of a new association."""
        self._flows.begin(association)

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        """Record what queries have left to be recorded, and the end where it is asked for."""
        self._flows.settle(association, released)

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        """Take note of its end."""
        self._flows.end(association, released, reason)

    def echo(self, association: AcceptedAssociation) -> Answer:
        """Answer Verification (PS3.4 A.4): that we are here is all it asks."""
        self._flows.answer_echo(association)
        log.info("echo.answered", association=association.id, calling=association.request.calling_ae_title)
        return Answer(0x0000)

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        """Answer a worklist query (PS3.4 K.4)."""
        return self._flows.answer_query(association, request)

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        """Answer Storage (PS3.4 B.2.3): Success only when the instance would survive a power cut."""
        try:
            self._flows.receive_instance(association, request)
        except BrokerError as error:
            answer = store_status(error)
            log.warning(
                "instance.refused",
                association=association.id,
                sop_instance_uid=request.sop_instance_uid,
                status=f"{answer.status:04X}",
                why=str(error),
            )
            return answer
        return Answer(0x0000)

    def normalized(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        """Answer MPPS (PS3.4 F.7) and Storage Commitment (J.3): 0000 only for what would survive a power cut."""
        if request.sop_class_uid == STORAGE_COMMITMENT:
            return commitment.normalized(self._flows, association, request)
        return mpps.normalized(self._flows, association, request)
