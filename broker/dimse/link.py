"""One association on one connection, either side: establishing it, messages as values, ending it.

Knows no service. All waiting happens here and below, on the association's own thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from broker.dimse import message
from broker.dimse.connection import Lost, TooSlow
from broker.dimse.items import InvalidPdu
from broker.dimse.message import Command
from broker.dimse.pdu import (
    HEADER,
    PDV_HEADER,
    AbortReason,
    AssociateAc,
    AssociateRq,
    PduType,
    decode_associate_ac,
    decode_associate_rj,
    decode_associate_rq,
    encode_associate_rj,
)
from broker.dimse.pdu_link import RECEIVED, PduLink, ReleaseAsked, Unexpected
from broker.dimse.service import Rejection
from broker.dimse.state import Event, State
from broker.errors import Unavailable

_DISCARDED = 16 * 1024 * 1024  # after an abort, so that the peer reads it before the connection is reset
_DATA_REQUEST = Event.DATA_REQUEST
_CANCEL = 256  # no C-CANCEL-RQ is longer


class Quiet(TooSlow):
    """The peer has begun no message in the time it was given."""


class TooLarge(Unavailable):
    """The peer sends a larger data set than we take."""


@dataclass(frozen=True, slots=True)
class Received:
    """A command set and the presentation context it came on."""

    context_id: int
    command: Command


class Link(PduLink):
    """An association as seen by the thread that runs it."""

    def await_request(
        self,
        objection: Callable[[AssociateRq], Rejection | None],
        read: Callable[[bytes], AssociateRq] = decode_associate_rq,
    ) -> AssociateRq:
        """Return the A-ASSOCIATE-RQ that the peer begins with; raise Unexpected where `objection` has refused it."""
        self.connection.patience = self._limits.associate
        kind, length = self._header()
        body = self._body(kind, length)
        request = read(body) if kind == PduType.ASSOCIATE_RQ else None
        if request is not None and (rejection := objection(request)) is not None:
            self._perform(self.machine.refuse(), encode_associate_rj(rejection))
            raise Unexpected("the upper layer cannot take this A-ASSOCIATE-RQ")
        self._received(kind, body)
        if request is None:
            raise Unexpected("the peer did not begin with A-ASSOCIATE-RQ")
        return request

    def refuse(self, rejection: Rejection) -> None:
        """Send the A-ASSOCIATE-RJ of our services."""
        self.act(Event.REJECT, encode_associate_rj(rejection))

    def await_answer(self) -> AssociateAc | Rejection:
        """Return what the peer answers to our A-ASSOCIATE-RQ."""
        self.connection.patience = self._limits.answer
        kind, length = self._header()
        body = self._body(kind, length)
        answer: AssociateAc | Rejection | None = None
        if kind == PduType.ASSOCIATE_AC:
            answer = decode_associate_ac(body)
        elif kind == PduType.ASSOCIATE_RJ:
            answer = decode_associate_rj(body)
        self._received(kind, body)
        if answer is None:
            raise Unexpected("the peer did not answer A-ASSOCIATE-RQ with AC or RJ")
        return answer

    def next_command(self, patience: float) -> Received:
        """Wait `patience` seconds for the next message and return its command set.

        Raises Quiet when none begins, or ReleaseAsked, Aborted, Lost, TooSlow, Interrupted, InvalidPdu, Unexpected.
        """
        self._await_message(patience)
        content = bytearray()
        while True:
            context_id, control, length = self._next_pdv()
            if not control & 1:
                raise InvalidPdu("data before a command", AbortReason.UNEXPECTED_PDU)
            if len(content) + length > self._limits.command:
                raise InvalidPdu("command set too large")
            content += self.connection.take(length)
            self._unread = 0
            if control & 2:
                return Received(context_id, message.decode(bytes(content)))

    def data(self, context_id: int, limit: int) -> Iterator[memoryview]:
        """Yield the data set that follows a command, piece by piece as it comes; raise TooLarge beyond `limit`."""
        total = 0
        while True:
            number, control, length = self._next_pdv()
            if number != context_id or control & 1:
                raise InvalidPdu("a data set is interrupted by something else", AbortReason.UNEXPECTED_PDU)
            total += length
            if total > limit:
                raise TooLarge(f"the peer sends more than {limit} bytes")
            while length:
                piece = self.connection.piece(length)
                length -= len(piece)
                self._unread = length
                yield piece
            if control & 2:
                return

    def send_message(self, context_id: int, command: bytes, data_set: bytes | None = None) -> None:
        """Send a whole message."""
        parts = list(message.pdus(context_id, command, True, self.fragment))
        if data_set is not None:
            parts.extend(message.pdus(context_id, data_set, False, self.fragment))
        self.send_data(b"".join(parts))

    def send_data(self, payload: bytes | bytearray | memoryview) -> None:
        """Send P-DATA-TFs that are ready."""
        self.act(_DATA_REQUEST, payload)

    def is_quiet(self) -> bool:
        """Tell whether the association stands and the peer has said nothing that is not read yet, not even goodbye."""
        return self.machine.state is State.STA6 and not self.connection.has_news()

    def cancelled(self, message_id: int) -> bool:
        """Take C-CANCEL-RQs that have arrived, without waiting; tell whether one is for `message_id`.

        Anything else stays where it is, except that the peer's going away raises at once.
        """
        if self._left:
            return False
        self.connection.fill_now()
        while (command := self._arrived_cancel()) is not None:
            if command.number(message.Element.MESSAGE_ID_BEING_RESPONDED_TO) == message_id:
                return True
        return False

    def _arrived_cancel(self) -> Command | None:
        available = self.connection.available
        if available < HEADER.size:
            return None
        kind, length = self.connection.unpack(HEADER)
        if kind == PduType.ABORT and length == 4 and available >= 10:
            self.connection.skip(HEADER.size)
            self._received(kind, self.connection.take(4))
        if kind != PduType.DATA_TF or not 6 <= length <= _CANCEL or available < HEADER.size + length:
            return None
        whole = self.connection.peek(HEADER.size + length)
        inner, _, control = PDV_HEADER.unpack_from(whole, HEADER.size)
        if inner != length - 4 or control & 3 != 3:
            return None
        command = message.decode(whole[HEADER.size + PDV_HEADER.size :])
        if command.field != message.CommandField.C_CANCEL_RQ:
            return None
        self.connection.skip(HEADER.size + length)
        self.act(Event.DATA_TF)
        return command

    def _await_message(self, patience: float) -> None:
        self._credit, self._length = self._limits.message, 0
        if self._left:
            return
        self.connection.patience = patience
        try:
            self.connection.need(1, interruptible=True)
        except TooSlow as error:
            raise Quiet(str(error)) from error
        self.connection.patience = self._limits.pdu

    def answer_release(self) -> None:
        """Answer the peer's A-RELEASE-RQ, unless it says something else behind it."""
        self.take_unasked()
        self.act(Event.RELEASE_RESPONSE)

    def release(self, patience: float) -> None:
        """Ask to release and wait `patience` seconds for the answer; a collision ends well too (PS3.8 9.2.2.3).

        What the peer has sent before is read and forgotten. Raises Aborted, Lost, TooSlow, InvalidPdu, Unexpected.
        """
        self.connection.patience = patience
        self.act(Event.RELEASE_REQUEST)
        while self.machine.state not in (State.STA1, State.STA13):
            self._release_step()

    def _release_step(self) -> None:
        kind, length = self._header()
        if kind == PduType.DATA_TF and self.machine.state is State.STA7:
            self.act(Event.DATA_TF)
            self._skip(length)
            return
        self._received(kind, self._body(kind, length))
        if self.machine.state in (State.STA9, State.STA12):
            self.answer_release()

    def end(self, error: BaseException | None = None) -> None:
        """End in whatever state we are: tell the peer what `error` deserves, wait for it to close, and close."""
        try:
            self._tell(self._answered_release() if isinstance(error, ReleaseAsked) else error)
            self._linger()
        except Unavailable:
            return  # gone, or out of time: both end here
        finally:
            self.connection.close()

    def _answered_release(self) -> Exception | None:
        """Answer a release that nobody has answered yet; return what went wrong."""
        try:
            if self.machine.state is State.STA8:
                self.answer_release()
        except (Unavailable, InvalidPdu) as error:
            return error
        return None

    def _tell(self, error: BaseException | None) -> None:
        state = self.machine.state
        if state in (State.STA1, State.STA13):
            return
        if isinstance(error, Lost) or self.connection.is_lost or self.connection.is_torn:
            self.act(Event.CONNECTION_CLOSED)
        elif isinstance(error, InvalidPdu):
            self._reason = AbortReason(error.reason)
            self.act(Event.INVALID_PDU)
        elif state is State.STA2:
            self.act(Event.ARTIM_EXPIRED)
        else:
            self.act(Event.ABORT_REQUEST)

    def _linger(self) -> None:
        """Stay in Sta13 until the peer closes or ARTIM expires (PS3.8 table 9-10, last column)."""
        self._skip_rest()
        while self.machine.state is State.STA13:
            try:
                kind, length = self._header()
                if kind == PduType.DATA_TF:
                    self._skip(length)
                else:
                    self.connection.take(length)
                self._reason = AbortReason.UNEXPECTED_PDU
                self.act(RECEIVED[kind])
            except InvalidPdu as error:
                self._reason = AbortReason(error.reason)
                self.act(Event.INVALID_PDU)
                self.connection.discard(_DISCARDED)
                return
            except Lost:
                self.act(Event.CONNECTION_CLOSED)
            except TooSlow:
                self.act(Event.ARTIM_EXPIRED)

    def _skip_rest(self) -> None:
        left = self._left + self._unread
        self._left = self._unread = 0
        if left and self.machine.state is State.STA13:
            self._skip(left)
