"""The HL7 port: gives each message to the flow and turns its outcome into an acknowledgement. Reads no message."""

from collections.abc import Callable
from functools import partial

from broker import failpoints
from broker.clock import Clock
from broker.environments.model import AcknowledgedBy
from broker.errors import Unavailable
from broker.identifiers import new_id
from broker.inbox.model import Arrival, Outcome
from broker.intake import Answer
from broker.journal import log
from broker.listeners.replies import acknowledgement_code
from hl7.errors import CloseConnection
from hl7.header import read_batch_header, read_header
from hl7.reply import ReplyError, acknowledge
from hl7.server import Limits, MllpServer, PeerAddress

Take = Callable[[bytes, Arrival, Answer], bytes | None]

_NOT_NOW = Outcome("AR", "", "207", "nothing can be made durable now: send it again")


def listen(
    host: str, port: int, take: Take, rejects_when_unavailable: Callable[[bytes], bool], clock: Clock
) -> MllpServer:
    """Return the listener, not yet started. `take` returns only when what it says is durable.

    It may raise Unavailable when nothing could be made durable: then the connection is closed without an answer, and
    the sender keeps the message and sends it again; a sender that does so after AR 207 only gets that.
    """

    def handle(raw: bytes, peer: PeerAddress) -> bytes | None:
        try:
            return take(raw, Arrival(clock.now(), peer.host, peer.port), partial(acknowledgement, raw, clock))
        except Unavailable as error:
            log.error("message.unanswered", address=peer.host, why=str(error))
            if rejects_when_unavailable(raw):
                return acknowledgement(raw, clock, _NOT_NOW, AcknowledgedBy.ACK)
            raise CloseConnection("nothing can be made durable") from error

    return MllpServer(host, port, handle, Limits(), _on_event)


def acknowledgement(raw: bytes, clock: Clock, outcome: Outcome, acknowledged_by: AcknowledgedBy) -> bytes | None:
    """Return the bytes that answer a message, or None where it gets no answer: an acknowledgement never gets one."""
    header = read_header(raw) or read_batch_header(raw)
    if header is None or header.is_acknowledgement or not outcome.code:
        return None
    code = acknowledgement_code(outcome.code, header.accept_acknowledgement)
    now = clock.now()
    return acknowledge(header, code, now, new_id(now), _error(outcome), text=outcome.text)


def _error(outcome: Outcome) -> ReplyError | None:
    if not outcome.error_code:
        return None
    return ReplyError(location=outcome.location, code=outcome.error_code, text=outcome.text)


def _on_event(name: str, facts: dict[str, object]) -> None:
    match name:
        case "mllp.answering":
            failpoints.hit("hl7.answer.before")
        case "mllp.answered":
            failpoints.hit("hl7.answer.after")
        case "mllp.discarded" | "mllp.handler_failed" | "mllp.accept_failed":
            log.warning(name, **facts)
        case _:
            log.info(name, **facts)
