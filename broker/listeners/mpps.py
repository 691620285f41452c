"""Modality Performed Procedure Step as SCP (PS3.4 annex F): requests to the flows, what came of them to answers."""

from collections.abc import Callable
from typing import Protocol

from broker.dimse.message import CommandField
from broker.dimse.service import AcceptedAssociation, NormalizedAnswer, NormalizedRequest
from broker.errors import BrokerError
from broker.journal import log
from broker.listeners.replies import step_answer
from broker.procedures import received
from broker.procedures.flow import Taken
from broker.procedures.model import RETRIEVE_SOP_CLASS, SOP_CLASS, Received, StepRefused

SOP_CLASSES = frozenset({SOP_CLASS, RETRIEVE_SOP_CLASS})

_SUCCESS = 0x0000
_ATTRIBUTE_LIST_ERROR = 0x0107  # a warning: the rest of the request was done
_UNRECOGNIZED_OPERATION = 0x0211


class StepFlows(Protocol):
    """What of the flows this service needs."""

    def perform_step(self, association: AcceptedAssociation, request: Received) -> Taken:
        """Take an N-CREATE or N-SET; durable when this returns. Raises StepRefused, Unavailable."""
        ...

    def performed_step(self, request: NormalizedRequest) -> bytes:
        """Return the attributes of a step that an N-GET asks for. Raises StepRefused, Unavailable."""
        ...


def normalized(flows: StepFlows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    """Answer N-CREATE, N-SET and N-GET of MPPS: 0000 only for what would survive a power cut."""
    answer = _ANSWERS.get((request.sop_class_uid, request.command))
    try:
        if answer is None:
            raise StepRefused(_UNRECOGNIZED_OPERATION, "not an operation of this SOP class")
        return answer(flows, association, request)
    except BrokerError as error:
        refused = step_answer(error)
        log.warning(
            "step.refused",
            association=association.id,
            sop_instance_uid=request.sop_instance_uid,
            status=f"{refused.status:04X}",
            why=str(error),
        )
        return refused


def _create(flows: StepFlows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    flows.perform_step(
        association, received.create(request.sop_instance_uid, request.data_set, request.transfer_syntax)
    )
    return NormalizedAnswer(_SUCCESS)


def _set(flows: StepFlows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    taken = flows.perform_step(
        association, received.set_(request.sop_instance_uid, request.data_set, request.transfer_syntax)
    )
    if not taken.ignored:
        return NormalizedAnswer(_SUCCESS)
    comment = f"not changed: {', '.join(taken.ignored)}"
    return NormalizedAnswer(_ATTRIBUTE_LIST_ERROR, error_comment=comment, attributes=taken.ignored_tags)


def _get(flows: StepFlows, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
    return NormalizedAnswer(_SUCCESS, flows.performed_step(request))


_Answer = Callable[[StepFlows, AcceptedAssociation, NormalizedRequest], NormalizedAnswer]

_ANSWERS: dict[tuple[str, int], _Answer] = {
    (SOP_CLASS, CommandField.N_CREATE_RQ): _create,
    (SOP_CLASS, CommandField.N_SET_RQ): _set,
    (RETRIEVE_SOP_CLASS, CommandField.N_GET_RQ): _get,
}
