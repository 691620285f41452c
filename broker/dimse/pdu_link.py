"""PDUs on one connection, either side: what arrives drives the state machine, what it asks for is done.

Knows no message. Every length is checked, and every wait is paid for, before anything is believed.
"""

from collections.abc import Callable
from contextlib import suppress

from broker.dimse import message
from broker.dimse.connection import Connection, Lost
from broker.dimse.items import InvalidPdu
from broker.dimse.limits import GRACE, LARGEST_NEGOTIATION, Limits
from broker.dimse.pdu import (
    HEADER,
    PDV_HEADER,
    RELEASE_RP,
    RELEASE_RQ,
    Abort,
    AbortReason,
    PduType,
    check_release,
    decode_abort,
    encode_abort,
)
from broker.dimse.state import Effect, Event, Machine, State
from broker.errors import Unavailable

RECEIVED: dict[int, Event] = {
    PduType.ASSOCIATE_RQ: Event.ASSOCIATE_RQ,
    PduType.ASSOCIATE_AC: Event.ASSOCIATE_AC,
    PduType.ASSOCIATE_RJ: Event.ASSOCIATE_RJ,
    PduType.DATA_TF: Event.DATA_TF,
    PduType.RELEASE_RQ: Event.RELEASE_RQ,
    PduType.RELEASE_RP: Event.RELEASE_RP,
    PduType.ABORT: Event.ABORT,
}
# Members of enumerations that every PDU needs, looked up once: naming one costs a third of a microsecond.
_DATA_TF = int(PduType.DATA_TF)
_DATA_CAME = Event.DATA_TF
_UNEXPECTED = AbortReason.UNEXPECTED_PDU
Payload = bytes | bytearray | memoryview
_ABORTING = 1.0  # seconds to take an A-ABORT: who does not read it then loses the connection


class Aborted(Unavailable):
    """The peer sent A-ABORT."""

    def __init__(self, abort: Abort) -> None:
        by = {0: "the peer's application", 2: "the peer's upper layer"}.get(abort.source, "the peer")
        super().__init__(f"{by} aborted the association (source {abort.source}, reason {abort.reason})")
        self.abort = abort


class ReleaseAsked(Unavailable):
    """The peer asks to release the association."""


class Unexpected(Unavailable):
    """The peer sent a PDU that the state does not allow, and has been answered A-ABORT."""


class PduLink:
    """The upper layer of one association below its messages."""

    def __init__(self, connection: Connection, limits: Limits, machine: Machine) -> None:
        self.connection = connection
        self.machine = machine
        self.fragment = message.fragment_size(0)
        self._limits = limits
        self._left = 0  # bytes of the current P-DATA-TF behind the current PDV
        self._unread = 0  # bytes of the current PDV that have not been read
        self._length = 0  # its whole length
        self._granted = 0.0  # patience when it began
        self._credit = limits.message
        self._reason = AbortReason.NOT_SPECIFIED

    def act(self, event: Event, payload: Payload = b"") -> None:
        """Take `event` and do what the table asks; `payload` is what a send effect sends."""
        self._perform(self.machine.step(event), payload)

    def _perform(self, effects: tuple[Effect, ...], payload: Payload) -> None:
        for effect in effects:
            if (do := _DOES.get(effect)) is not None:
                do(self, payload)

    def send(self, payload: Payload) -> None:
        """Send bytes that are ready, whatever the state."""
        self.connection.send(payload)

    def start_artim(self) -> None:
        """Give the peer its time to close."""
        self.connection.patience = self._limits.artim

    def send_user_abort(self) -> None:
        """Send the A-ABORT of our services."""
        self._send_abort(Abort(0, 0))

    def send_provider_abort(self) -> None:
        """Send the A-ABORT of the upper layer."""
        self._send_abort(Abort(2, self._reason))

    def _send_abort(self, abort: Abort) -> None:
        with suppress(Unavailable):  # the peer may have gone: there is nobody left to tell
            self.connection.send(encode_abort(abort), _ABORTING)

    def _header(self) -> tuple[int, int]:
        """Return type and length of the next PDU, both checked before anything is believed."""
        self.connection.need(HEADER.size)
        kind, length = self.connection.unpack(HEADER)
        if kind not in RECEIVED:
            raise InvalidPdu(f"PDU of unknown type {kind:02X}H", AbortReason.UNRECOGNIZED_PDU)
        most = self._limits.maximum_length + GRACE if kind == _DATA_TF else LARGEST_NEGOTIATION
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
        self.act(RECEIVED[kind])
        if abort is not None:
            raise Aborted(abort)
        if self.machine.state is State.STA8:
            raise ReleaseAsked("the peer asks to release the association")
        if self.machine.state is State.STA13:
            raise Unexpected(f"the peer sent {PduType(kind).name}, which was not expected")

    def take_unasked(self) -> None:
        """Take what came while our services decided (Sta3, Sta8, Sta9, Sta12), without waiting for anything to come.

        Whatever it is, it ends the association (PS3.8 table 9-10): raises Unexpected, Aborted, Lost, InvalidPdu.
        """
        try:
            if not self.connection.available:
                self.connection.fill_now()
            if not self.connection.available:
                return
            self.connection.patience = self._limits.pdu  # for the rest of what has begun
            kind, length = self._header()
            body = self._body(kind, length)
        except Lost:
            self.act(Event.CONNECTION_CLOSED)
            raise
        self._received(kind, body)

    def _skip(self, length: int) -> None:
        while length:
            length -= len(self.connection.piece(length))

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
        if kind != _DATA_TF:
            self._received(kind, self._body(kind, length))
            return
        self._reason = _UNEXPECTED
        self.act(_DATA_CAME)
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


# What the transport does for an effect. The others are indications to our services, who have called us.
_DOES: dict[Effect, Callable[[PduLink, Payload], None]] = {
    Effect.SEND_ASSOCIATE_RQ: PduLink.send,
    Effect.SEND_ASSOCIATE_AC: PduLink.send,
    Effect.SEND_ASSOCIATE_RJ: PduLink.send,
    Effect.SEND_DATA: PduLink.send,
    Effect.SEND_RELEASE_RQ: lambda link, _: link.send(RELEASE_RQ),
    Effect.SEND_RELEASE_RP: lambda link, _: link.send(RELEASE_RP),
    Effect.SEND_USER_ABORT: lambda link, _: link.send_user_abort(),
    Effect.SEND_PROVIDER_ABORT: lambda link, _: link.send_provider_abort(),
    Effect.START_ARTIM: lambda link, _: link.start_artim(),
    Effect.CLOSE: lambda link, _: link.connection.close(),
}
