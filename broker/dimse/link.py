"""One association on one connection, either side: PDUs drive the state machine, messages come and go as values.

Knows no service. All waiting happens here on the association's own thread.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from broker.dimse import message
from broker.dimse.connection import Connection, Lost, TooSlow
from broker.dimse.items import InvalidPdu
from broker.dimse.limits import GRACE, LARGEST_NEGOTIATION, Limits
from broker.dimse.message import Command
from broker.dimse.pdu import (
    HEADER,
    PDV_HEADER,
    RELEASE_RP,
    RELEASE_RQ,
    Abort,
    AbortReason,
    AssociateAc,
    AssociateRq,
    PduType,
    check_release,
    decode_abort,
    decode_associate_ac,
    decode_associate_rj,
    decode_associate_rq,
    encode_abort,
    encode_associate_rj,
)
from broker.dimse.service import Rejection
from broker.dimse.state import Effect, Event, Machine, State
from broker.errors import Unavailable

_RECEIVED: dict[int, Event] = {
    PduType.ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    PduType.ASSOCIATE_AC: Event.ASSOCIATE_AC,
    PduType.ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    PduType.DATA_TF: Event.DATA_TF,
    PduType.RELEASE_RQ: Event.RELEASE_RQ,
    PduType.RELEASE_RP: Event.RELEASE_RP,
    PduType.ABORT: Event.ABORT,
}
_SENDING = frozenset(
    {
        Effect.SEND_ASSOCIATE_RQ,
        Effect.SEND_ASSOCIATE_AC,
        Effect.SEND_ASSOCIATE_RJ,
        Effect.SEND_DATA,
    }
)
_DISCARDED = 16 * 1024 * 1024  # after an abort, so that the peer reads it before the connection is reset
_ABORTING = 1.0  # seconds to take an A-ABORT: who does not read it then loses the connection
_CANCEL = 256  # no C-CANCEL-RQ is longer


class Aborted(Unavailable):
    """The peer sent A-ABORT."""

    def __init__(self, abort: Abort) -> None:
        by = {0: "the peer's application", 2: "the peer's upper layer"}.get(abort.source, "the peer")
        super().__init__(f"{by} aborted the association (source {abort.source}, reason {abort.reason})")
        self.abort = abort


class Quiet(TooSlow):
    """The peer has begun no message in the time it was given."""


class ReleaseAsked(Unavailable):
    """The peer asks to release the association."""


class Unexpected(Unavailable):
    """The peer sent a PDU that the state does not allow, and has been answered A-ABORT."""


class TooLarge(Unavailable):
    """The peer sends a larger data set than we take."""


@dataclass(frozen=True, slots=True)
class Received:
    """A command set and the presentation context it came on."""

    context_id: int
    command: Command


class Link:
    """An association as seen by the thread that runs it."""

    def __init__(self, connection: Connection, limits: Limits, requestor: bool) -> None:
        self.connection = connection
        self.machine = Machine(requestor)
        self.fragment = message.fragment_size(0)
        self._limits = limits
        self._left = 0  # bytes of the current P-DATA-TF behind the current PDV
        self._unread = 0  # bytes of the current PDV that have not been read
        self._length = 0  # its whole length
        self._granted = 0.0  # patience when it began
        self._credit = limits.message
        self._reason = AbortReason.NOT_SPECIFIED

    # --- events and effects ------------------------------------------------------------------------------------

    def act(self, event: Event, payload: bytes | bytearray | memoryview = b"") -> None:
        """Take `event` and do what the table asks; `payload` is what a send effect sends."""
        self._perform(self.machine.step(event), payload)

    def _perform(self, effects: tuple[Effect, ...], payload: bytes | bytearray | memoryview) -> None:
        for effect in effects:
            if effect in _SENDING:
                self.connection.send(payload)
            elif effect is Effect.SEND_RELEASE_RQ:
                self.connection.send(RELEASE_RQ)
            elif effect is Effect.SEND_RELEASE_RP:
                self.connection.send(RELEASE_RP)
            elif effect is Effect.SEND_USER_ABORT:
                self._send_abort(Abort(0, 0))
            elif effect is Effect.SEND_PROVIDER_ABORT:
                self._send_abort(Abort(2, self._reason))
            elif effect is Effect.START_ARTIM:
                self.connection.patience = self._limits.artim
            elif effect is Effect.CLOSE:
                self.connection.close()

    def _send_abort(self, abort: Abort) -> None:
        with suppress(Unavailable):  # the peer may have gone: there is nobody left to tell
            self.connection.send(encode_abort(abort), _ABORTING)

    # --- establishing --------------------------------------------------------------------------------------------

    def await_request(self, objection: Callable[[AssociateRq], Rejection | None]) -> AssociateRq:
        """Return the A-ASSOCIATE-RQ that the peer begins with; raise Unexpected where `objection` has refused it."""
        self.connection.patience = self._limits.associate
        kind, length = self._header()
        body = self._body(kind, length)
        request = decode_associate_rq(body) if kind == PduType.ASSOCIATE_RQ else None
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
        self.connection.patience = self._limits.associate
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

    # --- messages ------------------------------------------------------------------------------------------------

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
        self.act(Event.DATA_REQUEST, payload)

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

    # --- ending --------------------------------------------------------------------------------------------------

    def answer_release(self) -> None:
        """Answer the peer's A-RELEASE-RQ."""
        self.act(Event.RELEASE_RESPONSE)

    def release(self) -> None:
        """Ask to release and wait for the answer; a collision ends well too (PS3.8 9.2.2.3)."""
        self.connection.patience = self._limits.response
        self.act(Event.RELEASE_REQUEST)
        while self.machine.state not in (State.STA1, State.STA13):
            self._release_step()

    def _release_step(self) -> None:
        kind, length = self._header()
        body = b"" if kind == PduType.DATA_TF else self._body(kind, length)
        if kind == PduType.DATA_TF:
            self.act(Event.DATA_TF)
            self._skip(length)
        elif kind == PduType.ABORT:
            self._received(kind, body)
        else:
            self._step_unless_aborted(_RECEIVED[kind])
        if self.machine.state in (State.STA9, State.STA12):
            self.act(Event.RELEASE_RESPONSE)

    def _step_unless_aborted(self, event: Event) -> None:
        self._reason = AbortReason.UNEXPECTED_PDU
        self.act(event)

    def end(self, error: BaseException | None = None) -> None:
        """End in whatever state we are: tell the peer what `error` deserves, wait for it to close, and close."""
        try:
            self._tell(error)
            self._linger()
        except Unavailable:
            return  # gone, or out of time: both end here
        finally:
            self.connection.close()

    def _tell(self, error: BaseException | None) -> None:
        state = self.machine.state
        if state in (State.STA1, State.STA13):
            return
        if isinstance(error, Lost) or self.connection.is_torn:
            self.act(Event.CONNECTION_CLOSED)
        elif isinstance(error, InvalidPdu):
            self._reason = AbortReason(error.reason)
            self.act(Event.INVALID_PDU)
        elif state is State.STA2:
            self.act(Event.ARTIM_EXPIRED)
        elif state is State.STA8:
            self.act(Event.RELEASE_RESPONSE)
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
                self._step_unless_aborted(_RECEIVED[kind])
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

    # --- PDUs ----------------------------------------------------------------------------------------------------

    def _header(self) -> tuple[int, int]:
        """Return type and length of the next PDU, both checked before anything is believed."""
        self.connection.need(HEADER.size)
        kind, length = self.connection.unpack(HEADER)
        if kind not in _RECEIVED:
            raise InvalidPdu(f"PDU of unknown type {kind:02X}H", AbortReason.UNRECOGNIZED_PDU)
        most = self._limits.maximum_length + GRACE if kind == PduType.DATA_TF else LARGEST_NEGOTIATION
        if length > most:
            raise InvalidPdu(f"PDU of {length} bytes, at most {most} are allowed")
        self.connection.skip(HEADER.size)
        return kind, length

    def _body(self, kind: int, length: int) -> bytes:
        if kind != PduType.DATA_TF:
            return self.connection.take(length)
        self._left = length  # skipped when the connection ends
        return b""

    def _received(self, kind: int, body: bytes) -> None:
        """Let a PDU other than P-DATA-TF in Sta6 drive the machine; raise when it ends or releases something."""
        if kind in (PduType.RELEASE_RQ, PduType.RELEASE_RP):
            check_release(body)
        abort = decode_abort(body) if kind == PduType.ABORT else None
        self._reason = AbortReason.UNEXPECTED_PDU
        self.act(_RECEIVED[kind])
        if abort is not None:
            raise Aborted(abort)
        if self.machine.state is State.STA8:
            raise ReleaseAsked("the peer asks to release the association")
        if self.machine.state is State.STA13:
            raise Unexpected(f"the peer sent {PduType(kind).name}, which was not expected")

    def _skip(self, length: int) -> None:
        while length:
            length -= len(self.connection.piece(length))

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

    def _next_pdv(self) -> tuple[int, int, int]:
        """Return context id, message control header and length of the next PDV, whose data comes next."""
        while not self._left:
            self._next_data_pdu()
        connection = self.connection
        if self._left < PDV_HEADER.size:
            raise InvalidPdu("PDV header cut off by the end of its PDU")
        connection.need(PDV_HEADER.size)
        length, context_id, control = connection.unpack(PDV_HEADER)
        if length < 2 or length + 4 > self._left:
            raise InvalidPdu("PDV longer than its PDU, or too short")
        connection.skip(PDV_HEADER.size)
        self._left -= length + 4
        self._unread = length - 2
        return context_id, control, length - 2

    def _next_data_pdu(self) -> None:
        goes_on = self._length > 0
        if goes_on:
            self._settle()
        kind, length = self._header()
        if goes_on:
            self._credit = self.connection.patience  # the wait between two PDUs of a message counts as well
        if kind != PduType.DATA_TF:
            self._received(kind, self._body(kind, length))
            return
        self._reason = AbortReason.UNEXPECTED_PDU
        self.act(Event.DATA_TF)
        if length < PDV_HEADER.size:
            raise InvalidPdu("P-DATA-TF without a PDV")
        self._left = self._length = length
        earned = length / self._limits.rate
        self._granted = min(self._limits.pdu, self._credit) + earned
        self.connection.patience = self._granted

    def _settle(self) -> None:
        """Charge the time that the last PDU took to the message, less what its length has earned."""
        used = self._granted - self.connection.patience
        earned = self._length / self._limits.rate
        self._credit = min(self._credit - used + earned, self._limits.message)
        self.connection.patience = self._credit
        self._length = 0
