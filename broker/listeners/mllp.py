"""The HL7 port: gives each message to the flow and turns its outcome into an acknowledgement. Reads no message."""

from collections.abc import Callable

from broker import failpoints
from broker.clock import Clock
from broker.errors import Unavailable
from broker.identifiers import new_id
from broker.inbox.model import Arrival, Outcome
from broker.journal import log
from broker.listeners.replies import acknowledgement_code
from hl7.errors import CloseConnection
from hl7.header import Header, read_batch_header, read_header
from hl7.reply import ReplyError, acknowledge
from hl7.server import Limits, MllpServer, PeerAddress

Take = Callable[[bytes, Arrival], Outcome]


def listen(host: str, port: int, take: Take, clock: Clock) -> MllpServer:
    """Return the listener, not yet started. `take` returns only when what it says is durable.

    It may raise Unavailable when nothing could be made durable: then the connection is closed without an answer,
    and the sender keeps the message and sends it again.
    """

    def handle(raw: bytes, peer: PeerAddress) -> bytes | None:
        try:
            outcome = take(raw, Arrival(clock.now(), peer.host, peer.port))
        except Unavailable as error:
            log.error("message.unanswered", address=peer.host, why=str(error))
            raise CloseConnection("nothing can be made durable") from error
        return acknowledgement(raw, outcome, clock)

    return MllpServer(host, port, handle, Limits(), _on_event)


def acknowledgement(raw: bytes, outcome: Outcome, clock: Clock) -> bytes | None:
    """Return the bytes that answer a message, or None where it gets no answer: an acknowledgement never gets one."""
    header = read_header(raw) or read_batch_header(raw)
    if header is None or header.is_acknowledgement or not outcome.code:
        return None
    now = clock.now()
    return acknowledge(header, _code(header, outcome), now, new_id(now), _error(outcome))


def _code(header: Header, outcome: Outcome) -> str:
    return acknowledgement_code(outcome.code, header.accept_acknowledgement)


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
