"""The services of one accepted association: a command in, the provider asked, responses out. Knows no socket."""

from collections.abc import Callable, Iterator

from broker import failpoints
from broker.dimse import contexts, message
from broker.dimse.finding import Finding
from broker.dimse.items import InvalidPdu
from broker.dimse.limits import Limits
from broker.dimse.link import Link, Received, TooLarge
from broker.dimse.message import Command, CommandField, Element
from broker.dimse.notices import Answered, Notice
from broker.dimse.pdu import AbortReason
from broker.dimse.service import (
    AcceptedAssociation,
    AcceptedContext,
    Answer,
    NormalizedAnswer,
    NormalizedProvider,
    NormalizedRequest,
    Provider,
    StoreRequest,
)
from broker.dimse.statuses import (
    INVALID_INSTANCE,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SOP_CLASS_MISMATCH,
    SOP_CLASS_NOT_SUPPORTED,
    UNABLE_TO_PROCESS,
    UNRECOGNIZED_OPERATION,
)
from broker.errors import Rejected, Unavailable
from broker.identifiers import is_uid, is_uid_like

_C_CANCEL_RQ = int(CommandField.C_CANCEL_RQ)
_MOVE_ORIGINATOR = int(Element.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE)


class DataStream:
    """The data set of a C-STORE-RQ, read once, by the provider and then to its end by us."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self.error: Exception | None = None  # what the peer did wrong, whatever the provider made of it
        self._guarded = self._guard()

    def __iter__(self) -> Iterator[memoryview]:
        return self._guarded

    def drain(self) -> None:
        """Read and forget what the provider has left; raise what went wrong with the peer at any time."""
        if self.error is None:
            for _ in self._guarded:
                pass
        if self.error is not None:
            raise self.error

    def _guard(self) -> Iterator[memoryview]:
        try:
            yield from self._pieces
        except (Unavailable, InvalidPdu) as error:
            self.error = error
            raise Unavailable("the data set did not arrive whole") from error


class Answering:
    """Answers the commands of one association."""

    def __init__(self, link: Link, provider: Provider, association: AcceptedAssociation, limits: Limits) -> None:
        self._link = link
        self._provider = provider
        self._association = association
        self._limits = limits
        self._contexts = {context.id: context for context in association.contexts}
        self.owes_record = False  # a query was answered, and what became of it is not recorded yet
        self._asked_last = 0
        self._unanswered: dict[int, Answered] = {}
        self._services: dict[int, Callable[[AcceptedContext, Command], None]] = {
            CommandField.C_ECHO_RQ: self._echo,
            CommandField.C_FIND_RQ: self._find,
            CommandField.C_STORE_RQ: self._store,
            CommandField.C_CANCEL_RQ: self._late_cancel,
            **dict.fromkeys(message.NORMALIZED, self._normalized),
        }

    def answer(self, received: Received) -> None:
        """Answer one command; raise what ends the association."""
        context = self._contexts.get(received.context_id)
        command = received.command
        if context is None:
            raise InvalidPdu("a message on a presentation context that was not accepted")
        if command.field & message.RESPONSE and self._answered(context, command):
            return
        if command.field & message.RESPONSE or (command.message_id is None and command.field != _C_CANCEL_RQ):
            raise InvalidPdu(
                "a response without a request, or a request without Message ID", AbortReason.UNEXPECTED_PDU
            )
        self._services.get(command.field, self._unrecognized)(context, command)

    # --- our own requests ----------------------------------------------------------------------------------------

    def ask(self, request: NormalizedRequest, answered: Answered) -> None:
        """Send a DIMSE-N request of ours; `answered` gets the response when it comes."""
        context = next(
            (each for each in self._contexts.values() if each.abstract_syntax == request.sop_class_uid), None
        )
        if context is None:
            answered(None)
            return
        self._asked_last = self._asked_last % 0xFFFF + 1
        self._unanswered[self._asked_last] = answered
        command = message.normalized_request(
            CommandField(request.command),
            self._asked_last,
            message.normalized_values(request),
            request.data_set is not None,
        )
        self._link.send_message(context.id, command, request.data_set)

    def abandon(self, unsent: list[Notice]) -> None:
        """Tell everybody who waits for a response that none will come."""
        for answered in (*self._unanswered.values(), *(answered for _, answered in unsent)):
            answered(None)

    def _answered(self, context: AcceptedContext, command: Command) -> bool:
        number = command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
        answered = None if number is None else self._unanswered.pop(number, None)
        status = command.number(Element.STATUS)
        if answered is None or status is None:
            return False
        data_set = self._held_data(context, command, self._limits.normalized)
        answered(NormalizedAnswer(status, data_set, command.sop_instance_uid, command.text(Element.ERROR_COMMENT)))
        return True

    # --- C-ECHO, C-FIND, C-CANCEL, unknown ---------------------------------------------------------------------------

    def _echo(self, context: AcceptedContext, command: Command) -> None:
        self._forget_data(context, command)
        answer = _asked(lambda: self._provider.echo(self._association))
        self._respond("echo.answer", context, command, answer)

    def _find(self, context: AcceptedContext, command: Command) -> None:
        identifier = self._held_data(context, command, self._limits.identifier)
        self.owes_record = True
        Finding(self._link, context, command).answer(self._provider, self._association, identifier)

    def _late_cancel(self, context: AcceptedContext, command: Command) -> None:
        # The request it means has been answered in full already; C-CANCEL has no response (PS3.7 9.3.2.3).
        self._forget_data(context, command)

    def _unrecognized(self, context: AcceptedContext, command: Command) -> None:
        self._forget_data(context, command)
        self._send(context, message.response(command, UNRECOGNIZED_OPERATION))

    # --- C-STORE -------------------------------------------------------------------------------------------------

    def _store(self, context: AcceptedContext, command: Command) -> None:
        if not command.has_data_set:
            self._respond("store.answer", context, command, Answer(UNABLE_TO_PROCESS, "data set is missing"))
            return
        stream = DataStream(self._link.data(context.id, self._limits.instance))
        answer = self._store_refusal(context, command) or _asked(
            lambda: self._provider.store(self._association, _store_request(context, command, stream))
        )
        try:
            stream.drain()
        except TooLarge:
            self._send(context, message.response(command, OUT_OF_RESOURCES, error_comment="data set too large"))
            raise
        self._respond("store.answer", context, command, answer)

    def _store_refusal(self, context: AcceptedContext, command: Command) -> Answer | None:
        if context.abstract_syntax not in contexts.STORAGE:
            return Answer(SOP_CLASS_NOT_SUPPORTED)
        if command.sop_class_uid != context.abstract_syntax and is_uid(command.sop_class_uid):
            return Answer(SOP_CLASS_MISMATCH, "SOP class differs from its context's")
        uid = command.sop_instance_uid
        if not is_uid_like(uid):
            return Answer(INVALID_INSTANCE, "AffectedSOPInstanceUID is not a UID")
        return None

    # --- DIMSE-N -------------------------------------------------------------------------------------------------

    def _normalized(self, context: AcceptedContext, command: Command) -> None:
        try:
            data_set = self._held_data(context, command, self._limits.normalized)
        except TooLarge:
            refusal = NormalizedAnswer(RESOURCE_LIMITATION, error_comment="data set too large")
            self._send(context, message.normalized_response(command, refusal))
            raise
        answer = self._asked_normalized(context, command, data_set)
        content = message.normalized_response(command, answer)
        with failpoints.around("normalized.answer"):
            self._link.send_message(context.id, content, answer.data_set)

    def _asked_normalized(self, context: AcceptedContext, command: Command, data_set: bytes | None) -> NormalizedAnswer:
        provider = self._provider
        if not isinstance(provider, NormalizedProvider):
            return NormalizedAnswer(UNRECOGNIZED_OPERATION)
        try:
            return provider.normalized(self._association, message.received_request(context, command, data_set))
        except Rejected as error:
            return NormalizedAnswer(PROCESSING_FAILURE, error_comment=str(error))
        except Unavailable as error:
            return NormalizedAnswer(RESOURCE_LIMITATION, error_comment=str(error))

    # --- pieces of all of them -----------------------------------------------------------------------------------

    def _held_data(self, context: AcceptedContext, command: Command, most: int) -> bytes | None:
        if not command.has_data_set:
            return None
        return b"".join(piece.tobytes() for piece in self._link.data(context.id, most))

    def _forget_data(self, context: AcceptedContext, command: Command) -> None:
        if command.has_data_set:
            for _ in self._link.data(context.id, self._limits.identifier):
                pass

    def _respond(self, place: str, context: AcceptedContext, command: Command, answer: Answer) -> None:
        content = message.response(command, answer.status, error_comment=answer.error_comment)
        with failpoints.around(place):
            self._send(context, content)

    def _send(self, context: AcceptedContext, content: bytes) -> None:
        self._link.send_message(context.id, content)


def _asked(ask: Callable[[], Answer]) -> Answer:
    """Return what the provider answers, its errors as statuses; other exceptions end the association."""
    try:
        return ask()
    except Rejected as error:
        return Answer(UNABLE_TO_PROCESS, str(error))
    except Unavailable as error:
        return Answer(OUT_OF_RESOURCES, str(error))


def _store_request(context: AcceptedContext, command: Command, stream: DataStream) -> StoreRequest:
    return StoreRequest(
        message_id=command.message_id or 0,
        sop_class_uid=command.sop_class_uid,
        sop_instance_uid=command.sop_instance_uid,
        transfer_syntax=context.transfer_syntax,
        move_originator=command.text(_MOVE_ORIGINATOR),
        data=stream,
    )
