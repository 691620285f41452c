"""Storage Commitment on accepted associations: devices' N-ACTION, and the N-EVENT-REPORT of destinations."""

from collections.abc import Callable

from broker.commitment.model import CommitmentRefused
from broker.dimse.message import CommandField
from broker.dimse.service import AcceptedAssociation, NormalizedAnswer, NormalizedRequest
from broker.errors import BrokerError
from broker.journal import log
from broker.listeners.replies import commitment_answer
from broker.pipeline import Flows

_SUCCESS = 0x0000
_UNRECOGNIZED_OPERATION = 0x0211


def normalized(flows: Flows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    """Answer N-ACTION, which 0000 only says to be kept, and N-EVENT-REPORT (PS3.4 J.3.2, J.3.3)."""
    answer = _ANSWERS.get(request.command)
    try:
        if answer is None:
            raise CommitmentRefused(_UNRECOGNIZED_OPERATION, "not an operation of this SOP class")
        return answer(flows, association, request)
    except BrokerError as error:
        refused = commitment_answer(error)
        log.warning("commitment.not-taken", association=association.id, status=f"{refused.status:04X}", why=str(error))
        return refused


def _action(flows: Flows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    flows.take_commitment(association, request)
    return NormalizedAnswer(_SUCCESS)


def _report(flows: Flows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    return flows.commitment.take_report(association, request)


_Answer = Callable[[Flows, AcceptedAssociation, NormalizedRequest], NormalizedAnswer]

_ANSWERS: dict[int, _Answer] = {CommandField.N_ACTION_RQ: _action, CommandField.N_EVENT_REPORT_RQ: _report}
