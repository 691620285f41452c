"""One accepted connection from its first byte to its end, on its own thread. What is answered is in `answering.py`."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from broker.clock import Clock
from broker.dimse import negotiation
from broker.dimse.answering import Answering
from broker.dimse.connection import Connection, Interrupted, Lost
from broker.dimse.items import InvalidPdu
from broker.dimse.limits import Limits
from broker.dimse.link import Link
from broker.dimse.message import fragment_size
from broker.dimse.notices import Mailbox, Notices
from broker.dimse.pdu import AssociateRq
from broker.dimse.pdu_link import ReleaseAsked
from broker.dimse.places import Places
from broker.dimse.remembered import Remembered
from broker.dimse.service import (
    TEMPORARY_CONGESTION,
    AcceptedAssociation,
    AssociationRequest,
    Provider,
    Rejection,
)
from broker.dimse.state import Event, Machine
from broker.errors import Unavailable
from broker.identifiers import new_id

log = structlog.get_logger()

_MOMENT = 0.05  # seconds in which most consoles ask for more or to release, once they have their answers

TlsContext = Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions of one listener share."""

    provider: Provider
    remembered: Remembered
    limits: Limits
    clock: Clock
    places: Places
    tls: TlsContext | None
    stopping: threading.Event
    notices: Notices


class Session:
    """One connection that has begun to speak."""

    def __init__(self, sock: socket.socket, address: str, port: int, house: House) -> None:
        self.address = address
        self._port = port
        self._socket = sock
        self._house = house
        self._mailbox = Mailbox()

    def drop(self) -> None:
        """Break the connection, from any thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def run(self) -> None:
        """Serve until the end; raises nothing."""
        try:
            with self._socket:
                if self._house.tls is None or self._handshake(self._house.tls):
                    self._serve()
        except Exception:  # outermost loop: one association ends, the others go on
            log.error("association.failed", address=self.address, exc_info=True)
        finally:
            self._house.places.leave(self)

    def _handshake(self, tls: TlsContext) -> bool:
        try:
            self._socket.settimeout(self._house.limits.associate)  # for the whole handshake, not for each read
            self._socket = wrapped = tls().wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            wrapped.do_handshake()
        except OSError as error:
            self._socket.close()
            log.warning("association.tls-failed", address=self.address, why=getattr(error, "reason", None))
            return False
        return True

    def _serve(self) -> None:
        limits = self._house.limits
        connection = Connection(self._socket, limits, self._is_wanted)
        link = Link(connection, limits, Machine(requestor=False))
        link.act(Event.CONNECTION_INDICATED)
        error: BaseException | None = None
        try:
            self._negotiate(link, link.await_request(negotiation.objection, self._house.remembered.read))
        except (Unavailable, InvalidPdu) as expected:
            error = expected
        except ConnectionError:
            error = Lost("the connection broke")  # only a failpoint lets it come this far
        except BaseException as unexpected:
            error = unexpected
            raise
        finally:
            link.end(error)

    def _negotiate(self, link: Link, asked: AssociateRq) -> None:
        request = self._request(asked)
        rejection = self._admitted(request)
        link.take_unasked()
        if rejection is not None:
            link.refuse(rejection)
            return
        if not self._placed(link):
            link.refuse(TEMPORARY_CONGESTION)
            return
        try:
            self._associate(link, asked, request)
        finally:
            self._house.places.end()

    def _admitted(self, request: AssociationRequest) -> Rejection | None:
        try:
            return self._house.provider.admit(request)
        except Unavailable:
            log.warning("association.not-admitted", address=self.address, why="unavailable")
            return TEMPORARY_CONGESTION

    def _placed(self, link: Link) -> bool:
        """Wait for a free place: over the limit callers wait, they are not refused."""
        deadline = self._house.clock.monotonic() + self._house.limits.congestion
        while not self._house.places.wait(self, 0.5):
            link.take_unasked()
            if self._house.stopping.is_set() or self._house.clock.monotonic() > deadline:
                return False
        return True

    def _associate(self, link: Link, asked: AssociateRq, request: AssociationRequest) -> None:
        house = self._house
        agreement, answer = house.remembered.agree(asked)
        link.fragment = fragment_size(agreement.maximum_length)
        association = AcceptedAssociation(new_id(house.clock.now()), request, agreement.contexts)
        try:
            house.provider.established(association)
        except Unavailable:
            log.warning("association.not-established", address=self.address, why="unavailable")
            link.refuse(TEMPORARY_CONGESTION)
            return
        released, reason = False, "an error of ours"
        try:
            link.take_unasked()
            link.act(Event.ACCEPT, answer)
            self._answer(link, association)
            released, reason = True, ""
        except (Unavailable, InvalidPdu) as error:
            reason = str(error)
            raise
        finally:
            house.provider.ended(association, released, reason)

    def _settle(self, association: AcceptedAssociation, answering: Answering, *, released: bool = False) -> None:
        if not answering.owes_record:
            return
        answering.owes_record = False
        try:
            self._house.provider.settle(association, released)
        except Unavailable:  # the end tries again
            log.warning("association.not-settled", address=self.address, why="unavailable")

    def _answer(self, link: Link, association: AcceptedAssociation) -> None:
        """Answer messages, and send notices between them, until the peer releases, or we do when we stop."""
        answering = Answering(link, self._house.provider, association, self._house.limits)
        self._mailbox = self._house.notices.open(association.id)
        try:
            while self._answer_next(link, answering, association):
                pass
            link.release(self._house.limits.artim)
        except ReleaseAsked:
            self._settle(association, answering, released=True)
            with suppress(Lost):  # it asked, and did not wait for the answer
                link.answer_release()
        finally:
            answering.abandon(self._house.notices.close(association.id))

    def _answer_next(self, link: Link, answering: Answering, association: AcceptedAssociation) -> bool:
        """Answer one message, or send what waits; tell whether to go on.

        What a query leaves is recorded with the association's end, since most consoles ask to release at once.
        """
        if answering.owes_record and not link.connection.comes(_MOMENT):
            self._settle(association, answering)
        try:
            received = link.next_command(self._house.limits.idle)
            self._settle(association, answering)
            answering.answer(received)
        except Interrupted:
            if self._house.stopping.is_set():
                return False
        if not self._mailbox.is_empty():
            for request, answered in self._mailbox.take():
                answering.ask(request, answered)
        return True

    def _is_wanted(self) -> bool:
        return self._house.stopping.is_set() or not self._mailbox.is_empty()

    def _request(self, asked: AssociateRq) -> AssociationRequest:
        return AssociationRequest(
            calling_ae_title=asked.calling_ae_title,
            called_ae_title=asked.called_ae_title,
            address=self.address,
            port=self._port,
            implementation_class_uid=asked.user.implementation_class_uid,
            implementation_version_name=asked.user.implementation_version_name,
            contexts=asked.contexts,
            certificate_subject=_subject(self._socket),
        )


def _subject(sock: socket.socket) -> str:
    """Return the subject of a verified certificate as `name=value` pairs."""
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    certificate: dict[str, Any] = sock.getpeercert() or {}
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    return ", ".join(f"{name}={value}" for name, value in pairs)
