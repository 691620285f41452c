"""Associations that we open: one thread, one request at a time (`service.Requestor`). Retrying is not decided here."""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager

from broker import failpoints
from broker.dimse import causes, message, negotiation
from broker.dimse.connection import Connection
from broker.dimse.contexts import VERIFICATION
from broker.dimse.items import InvalidPdu, Role
from broker.dimse.limits import Limits
from broker.dimse.link import Link, Quiet, Received
from broker.dimse.message import CommandField, Element
from broker.dimse.outgoing import Staged
from broker.dimse.pdu import AssociateAc, AssociateRq, encode_associate_rq
from broker.dimse.service import (
    AcceptedContext,
    Answer,
    AssociationRefused,
    ContextRefused,
    FindAnswer,
    NormalizedAnswer,
    NormalizedRequest,
    OutgoingInstance,
    Peer,
    Rejection,
)
from broker.dimse.session import TlsContext
from broker.dimse.state import Event, Machine, State
from broker.dimse.statuses import PENDING, UNRECOGNIZED_OPERATION
from broker.errors import BrokerError, Unavailable

Reports = Callable[[NormalizedRequest], NormalizedAnswer]

Pace = Callable[[bytes | memoryview], Iterable[bytes | memoryview]]
"""Gives what is ready to be sent in pieces, each when the line has room for it. May raise Unavailable."""


def _at_once(ready: bytes | memoryview) -> tuple[bytes | memoryview]:
    return (ready,)


class EngineRequestor:
    """Opens associations by our own upper layer."""

    def __init__(self, limits: Limits | None = None, tls: TlsContext | None = None, pace: Pace | None = None) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        self._pace = pace

    def paced(self, pace: Pace | None) -> "EngineRequestor":
        """Return one that sends instances no faster than `pace` gives their pieces."""
        return EngineRequestor(self._limits, self._tls, pace)

    @contextmanager
    def associate(
        self,
        peer: Peer,
        contexts: Iterable[tuple[str, str]],
        roles: Iterable[Role] = (),
        reports: Reports | None = None,
    ) -> Iterator["OpenAssociation"]:
        """Open an association that proposes each (SOP class, transfer syntax), and release it at the end.

        `reports` answers DIMSE-N requests of the peer, such as N-EVENT-REPORT, whenever they come.

        Raises AssociationRefused, or Unavailable with the plain cause; Rejected for more than 128 contexts.
        When the block raises, the association is aborted instead of released.
        """
        request = negotiation.propose(peer, contexts, roles, self._limits.maximum_length)
        machine = Machine(requestor=True)
        link = Link(Connection(self._connect(peer, machine), self._limits), self._limits, machine)
        error: BaseException | None = None
        try:
            association = self._establish(link, request, peer)
            association.reports = reports
            with closing(association):
                yield association
            error = _release(link, self._limits)
        except InvalidPdu as invalid:
            error = invalid
            raise Unavailable(f"{peer.called_ae_title} does not speak DICOM as it should: {invalid}") from invalid
        except BaseException as raised:
            error = raised
            raise
        finally:
            link.end(error)

    def _connect(self, peer: Peer, machine: Machine) -> socket.socket:
        machine.step(Event.ASSOCIATE_REQUEST)
        try:
            sock = socket.create_connection((peer.host, peer.port), self._limits.connect)
            if self._tls is None:
                return sock
            return _wrapped(sock, self._tls(), peer.host)
        except OSError as error:
            # It was we who stopped waiting, or the connection was refused.
            machine.step(Event.ABORT_REQUEST if isinstance(error, TimeoutError) else Event.CONNECTION_CLOSED)
            raise Unavailable(causes.of_connection(error, peer)) from error

    def _establish(self, link: Link, request: AssociateRq, peer: Peer) -> "OpenAssociation":
        try:
            link.act(Event.CONNECTION_CONFIRMED, encode_associate_rq(request))
            answer = link.await_answer()
        except Unavailable as error:
            raise Unavailable(causes.of_silence(error, peer, self._tls is not None)) from error
        if isinstance(answer, Rejection):
            raise AssociationRefused(causes.of_rejection(answer, peer), answer)
        return self._agreed(link, request, answer, peer)

    def _agreed(self, link: Link, request: AssociateRq, answer: AssociateAc, peer: Peer) -> "OpenAssociation":
        accepted, refused = negotiation.outcome(request, answer)
        if not accepted:
            text = f"{peer.called_ae_title} accepted none of our presentation contexts"
            raise AssociationRefused(text, None, refused)
        link.fragment = message.fragment_size(answer.user.maximum_length)
        return OpenAssociation(link, accepted, refused, self._limits, self._pace or _at_once)


class OpenAssociation:
    """An association that we opened (`service.RequestedAssociation`)."""

    def __init__(
        self,
        link: Link,
        accepted: dict[tuple[str, str], int],
        refused: dict[tuple[str, str], int],
        limits: Limits,
        pace: Pace,
    ) -> None:
        self._link = link
        self._pace = pace
        self._refused = refused
        self._syntaxes = {number: syntax for (_, syntax), number in accepted.items()}
        self._limits = limits
        self._message_id = 0  # of the request sent last
        self._next_message_id = 1
        self._buffer = bytearray()  # for files, one after the other
        self._ahead: tuple[OutgoingInstance, Staged | BrokerError] | None = None  # what follows, or why it cannot
        self.accepted = accepted
        self._is_owed = False  # an answer to us
        self.reports: Reports | None = None

    @property
    def proposed(self) -> set[tuple[str, str]]:
        """Each (SOP class, transfer syntax) that the peer was asked about, accepted or not."""
        return {*self.accepted, *self._refused}

    @property
    def is_idle(self) -> bool:
        """Whether it stands, every request was answered, and the peer has said nothing since."""
        return not self._is_owed and self._link.is_quiet()

    def echo(self) -> int:
        """Send C-ECHO and return the status. Raises Unavailable when no response comes."""
        context_id = self._any_context(VERIFICATION)
        self._link.send_message(context_id, message.echo_request(self._next_id(), VERIFICATION))
        return self._status(self._response(CommandField.C_ECHO_RQ))

    def store(self, instance: OutgoingInstance, following: OutgoingInstance | None = None) -> Answer:
        """Send C-STORE and return the peer's answer. The beginning of what is `following` is read meanwhile.

        Raises ContextRefused when no context fits, Altered when the file is not what it should be, Unreadable when it
        cannot be read, Unavailable when no response comes (the outcome is unknown).
        """
        with closing(self._taken(instance)) as staged:
            self._is_owed = True  # also where sending breaks off
            self._message_id = staged.message_id
            with failpoints.around("store.send"):
                for ready in staged.rounds():
                    for piece in self._pace(ready):
                        self._link.send_data(piece)
        if following is not None:
            self._read_ahead(following)
        received = self._response(CommandField.C_STORE_RQ)
        return Answer(self._status(received), received.command.text(Element.ERROR_COMMENT))

    def close(self) -> None:
        """Let go what was read ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and isinstance(ahead[1], Staged):
            ahead[1].close()

    def _taken(self, instance: OutgoingInstance) -> Staged:
        """Return what was read ahead of this instance, or read it now. Raises as `store` does; nothing is sent."""
        if self._ahead is None or self._ahead[0] is not instance:
            self.close()
            return self._stage(instance)
        (_, found), self._ahead = self._ahead, None
        if isinstance(found, BrokerError):
            raise found
        return found

    def _read_ahead(self, instance: OutgoingInstance) -> None:
        try:
            self._ahead = instance, self._stage(instance)
        except BrokerError as error:
            self._ahead = instance, error

    def _stage(self, instance: OutgoingInstance) -> Staged:
        context_id = self._context(instance.sop_class_uid, instance.transfer_syntax)
        staged = Staged(instance, self._new_id(), context_id, self._link.fragment)
        self._buffer = staged.read(self._buffer)
        return staged

    def find(self, sop_class_uid: str, transfer_syntax: str, identifier: bytes) -> Iterator[FindAnswer]:
        """Send C-FIND and yield each pending answer and the final one; Unavailable when they stop coming."""
        context_id = self._context(sop_class_uid, transfer_syntax)
        self._link.send_message(context_id, message.find_request(self._next_id(), sop_class_uid), identifier)
        while True:
            received = self._response(CommandField.C_FIND_RQ)
            status = self._status(received)
            comment = received.command.text(Element.ERROR_COMMENT)
            self._is_owed = status in PENDING
            yield FindAnswer(status, self._data_set(received), comment)
            if status not in PENDING:
                return

    def cancel(self) -> None:
        """Send C-CANCEL for the request sent last; its final answer is still to come."""
        context_id = next(iter(self.accepted.values()))
        self._link.send_message(context_id, message.cancel_request(self._message_id))

    def request(self, request: NormalizedRequest) -> NormalizedAnswer:
        """Send a DIMSE-N request and return the answer. Raises ContextRefused, Unavailable."""
        context_id = self._any_context(request.sop_class_uid)
        field = CommandField(request.command)
        command = message.normalized_request(
            field, self._next_id(), message.normalized_values(request), request.data_set is not None
        )
        self._link.send_message(context_id, command, request.data_set)
        received = self._response(field)
        return NormalizedAnswer(
            self._status(received),
            self._data_set(received),
            received.command.text(Element.AFFECTED_SOP_INSTANCE_UID),
            received.command.text(Element.ERROR_COMMENT),
            received.command.number(Element.ERROR_ID),
            received.command.tags(Element.ATTRIBUTE_IDENTIFIER_LIST),
        )

    def await_report(self, seconds: float) -> bool:
        """Wait for one DIMSE-N request of the peer and answer it by `reports`; tell whether one came."""
        try:
            received = self._link.next_command(seconds)
        except Quiet:
            return False
        except InvalidPdu as error:
            raise Unavailable(f"the peer's request cannot be read: {error}") from error
        if received.command.field not in message.NORMALIZED:
            raise Unavailable("the peer sent something else than a DIMSE-N request")
        self._report(received)
        return True

    def _report(self, received: Received) -> None:
        command = received.command
        context = AcceptedContext(
            received.context_id, command.sop_class_uid, self._syntaxes.get(received.context_id, "")
        )
        request = message.received_request(context, command, self._data_set(received))
        answer = self.reports(request) if self.reports else NormalizedAnswer(UNRECOGNIZED_OPERATION)
        content = message.normalized_response(command, answer)
        self._link.send_message(received.context_id, content, answer.data_set)

    def _response(self, field: CommandField) -> Received:
        """Wait for the response to the request sent last; raise Unavailable for anything else."""
        self._is_owed = True
        received = self._next_command()
        while received.command.field in message.NORMALIZED:
            self._report(received)
            received = self._next_command()
        command = received.command
        responded = command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
        if command.field != field | message.RESPONSE or responded != self._message_id:
            raise Unavailable("the peer sent something else than the response to our request")
        self._is_owed = False
        return received

    def _next_command(self) -> Received:
        try:
            return self._link.next_command(self._limits.response)
        except InvalidPdu as error:
            raise Unavailable(f"the peer's response cannot be read: {error}") from error

    def _status(self, received: Received) -> int:
        status = received.command.number(Element.STATUS)
        if status is None:
            self._is_owed = True  # whatever it meant to say
            raise Unavailable("the peer's response has no status")
        return status

    def _data_set(self, received: Received) -> bytes | None:
        if not received.command.has_data_set:
            return None
        pieces = self._link.data(received.context_id, self._limits.identifier)
        try:
            return b"".join(piece.tobytes() for piece in pieces)
        except InvalidPdu as error:
            raise Unavailable(f"the peer's data set cannot be read: {error}") from error

    def _context(self, sop_class_uid: str, transfer_syntax: str) -> int:
        pair = (sop_class_uid, transfer_syntax)
        if pair in self.accepted:
            return self.accepted[pair]
        result = self._refused.get(pair, 2)
        raise ContextRefused(f"the peer does not take {sop_class_uid} in {transfer_syntax} (result {result})", result)

    def _any_context(self, sop_class_uid: str) -> int:
        for (abstract_syntax, _), context_id in self.accepted.items():
            if abstract_syntax == sop_class_uid:
                return context_id
        results = [result for (abstract, _), result in self._refused.items() if abstract == sop_class_uid]
        raise ContextRefused(f"the peer does not take {sop_class_uid}", results[0] if results else 2)

    def _next_id(self) -> int:
        self._message_id = self._new_id()
        return self._message_id

    def _new_id(self) -> int:
        number = self._next_message_id
        self._next_message_id = number % 0xFFFF + 1
        return number


def _release(link: Link, limits: Limits) -> BaseException | None:
    """Release; return what went wrong. Every answer has come by then, so it is nobody's failure any more."""
    try:
        if link.machine.state is State.STA6:
            link.release(limits.response)
    except (Unavailable, InvalidPdu) as error:
        return error
    return None


def _wrapped(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        wrapped.do_handshake()
    except OSError:
        wrapped.close()
        raise
    return wrapped
