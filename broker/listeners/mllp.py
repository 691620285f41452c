"""The HL7 port: gives each message to the flow and turns its outcome into an acknowledgement. Reads no message."""

from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Protocol

from broker import failpoints
from broker.clock import Clock
from broker.environments.model import AcknowledgedBy, Hl7Settings
from broker.errors import Unavailable
from broker.identifiers import new_id
from broker.inbox.model import Arrival, Outcome
from broker.intake import Answer
from broker.journal import log
from broker.listeners.replies import acknowledgement_code
from hl7.errors import CloseConnection
from hl7.header import read_batch_header, read_header
from hl7.reply import ReplyError, acknowledge
from hl7.response import order_response
from hl7.server import Limits, MllpServer, PeerAddress, TlsContexts

_NOT_NOW = Outcome("AR", "", "207", "nothing can be made durable now: send it again")


class MessageFlows(Protocol):
    """What takes messages (`Flows`)."""

    def take_message(self, raw: bytes, arrival: Arrival, answer: Answer) -> bytes | None:
        """Return the acknowledgement, once what it says is durable; raise Unavailable when nothing could be."""
        ...

    def rejects_when_unavailable(self, raw: bytes) -> bool:
        """Tell whether the sender is known to send again after AR."""
        ...


def listen(
    settings: Hl7Settings, port: int, flows: MessageFlows, clock: Clock, tls: TlsContexts | None = None
) -> MllpServer:
    """Return the listener on `port`, with TLS where there are contexts for it, not yet started.

    When nothing can be made durable the connection is closed without an answer, and the sender keeps the message and
    sends it again; a sender that does so after AR 207 only gets that.
    """

    def handle(raw: bytes, peer: PeerAddress) -> bytes | None:
        try:
            arrival = Arrival(clock.now(), peer.host, peer.port)
            return flows.take_message(raw, arrival, partial(acknowledgement, raw, clock))
        except Unavailable as error:
            log.error("message.unanswered", address=peer.host, why=str(error))
            if flows.rejects_when_unavailable(raw):
                return acknowledgement(raw, clock, _NOT_NOW, AcknowledgedBy.ACK)
            raise CloseConnection("nothing can be made durable") from error

    limits = Limits(connections=settings.connections)
    admits = admission(settings.allow)
    return MllpServer(settings.host, port, handle, limits, _on_event, tls=tls, admits=admits)


def admission(networks: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether an address may connect: any, where no network is named."""
    allowed = tuple(ip_network(network) for network in networks)

    def admits(host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in allowed)

    return admits if allowed else lambda _host: True


def acknowledgement(raw: bytes, clock: Clock, outcome: Outcome, acknowledged_by: AcknowledgedBy) -> bytes | None:
    """Return the bytes that answer a message, or None where it gets no answer: an acknowledgement never gets one."""
    header = read_header(raw) or read_batch_header(raw)
    if header is None or header.is_acknowledgement or not outcome.code:
        return None
    code = acknowledgement_code(outcome.code, header.accept_acknowledgement)
    now = clock.now()
    error = _error(outcome)
    warnings = (outcome.text,) if outcome.text and error is None else ()
    if acknowledged_by is AcknowledgedBy.ORDER:
        return order_response(header, raw, code, now, new_id(now), error, warnings=warnings)
    return acknowledge(header, code, now, new_id(now), error, warnings=warnings)


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
        case "mllp.discarded" | "mllp.handler_failed" | "mllp.accept_failed" | "mllp.refused":
            log.warning(name, **facts)
        case _:
            log.info(name, **facts)
