"""The upper layer on pynetdicom's own reactor, behind the seam of `service.py`. Knows no stage."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any, cast

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.dsutils import decode
from pynetdicom.presentation import build_context

from broker import failpoints
from broker.clock import Clock
from broker.dimse.contexts import Supported
from broker.dimse.service import (
    AcceptedAssociation,
    AcceptedContext,
    Answer,
    AssociationRefused,
    AssociationRequest,
    ContextRefused,
    FindAnswer,
    FindRequest,
    OutgoingInstance,
    Peer,
    ProposedContext,
    Provider,
    Rejection,
    RequestedAssociation,
    StoreRequest,
)
from broker.errors import Unavailable
from broker.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, new_id

_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"
_config.STORE_SEND_CHUNKED_DATASET = True


class PlainServer:
    """Answers associations through a Provider."""

    def __init__(
        self,
        host: str,
        port: int,
        provider: Provider,
        clock: Clock,
        supported: Mapping[str, Supported],
    ) -> None:
        self._address = (host, port)
        self._provider = provider
        self._clock = clock
        self._associations: dict[int, AcceptedAssociation] = {}
        self._ae = AE(ae_title="BROKER")
        self._ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self._ae.maximum_associations = 200
        self._ae.maximum_pdu_size = 131072
        for abstract_syntax, support in supported.items():
            self._ae.add_supported_context(abstract_syntax, list(support.transfer_syntaxes))

    def start(self) -> int:
        """Listen; return the bound port."""
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ESTABLISHED, self._established),
            (evt.EVT_RELEASED, self._ended, ["released"]),
            (evt.EVT_ABORTED, self._ended, ["aborted by the peer"]),
            (evt.EVT_CONN_CLOSE, self._ended, ["the connection closed"]),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_STORE, self._store),
        ]
        self._server = self._ae.start_server(self._address, block=False, evt_handlers=handlers)
        return int(self._server.server_address[1])

    def stop(self, grace: float) -> None:
        """Stop listening; associations in flight have `grace` seconds to end."""
        self._server.shutdown()
        deadline = self._clock.monotonic() + grace
        for association in self._ae.active_associations:
            association.join(max(0.0, deadline - self._clock.monotonic()))
            if association.is_alive():
                association.abort()

    def _requested(self, event: Any) -> None:
        rejection = self._provider.admit(_request(event.assoc))
        if rejection:
            event.assoc.acse.send_reject(rejection.result, rejection.source, rejection.reason)
            event.assoc.kill()

    def _established(self, event: Any) -> None:
        association = event.assoc
        contexts = tuple(
            AcceptedContext(c.context_id, str(c.abstract_syntax), str(c.transfer_syntax[0]))
            for c in association.accepted_contexts
        )
        accepted = AcceptedAssociation(new_id(self._clock.now()), _request(association), contexts)
        self._associations[id(association)] = accepted
        self._provider.established(accepted)

    def _ended(self, event: Any, reason: str) -> None:
        accepted = self._associations.pop(id(event.assoc), None)
        if accepted:
            self._provider.ended(accepted, reason == "released", reason)

    def _echo(self, event: Any) -> int:
        answer = self._provider.echo(self._associations[id(event.assoc)])
        failpoints.hit("echo.answer.before")
        return answer.status

    def _find(self, event: Any) -> Iterator[tuple[Any, Dataset | None]]:
        cancelled = False

        def is_cancelled() -> bool:
            nonlocal cancelled
            cancelled = cancelled or bool(event.is_cancelled)
            return cancelled

        syntax = UID(event.context.transfer_syntax)
        request = FindRequest(
            event.request.MessageID,
            str(event.request.AffectedSOPClassUID),
            str(syntax),
            event.request.Identifier.getvalue(),
            is_cancelled,
        )
        for answer in self._provider.find(self._associations[id(event.assoc)], request):
            failpoints.hit("find.answer.before")
            yield _status(answer), _identifier(answer, syntax)

    def _store(self, event: Any) -> Dataset:
        data = event.request.DataSet.getvalue()
        request = StoreRequest(
            event.request.MessageID,
            str(event.request.AffectedSOPClassUID),
            str(event.request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
            event.request.MoveOriginatorApplicationEntityTitle or "",
            iter([memoryview(data)]),
        )
        answer = self._provider.store(self._associations[id(event.assoc)], request)
        failpoints.hit("store.answer.before")
        return _status(answer)


class PlainRequestor:
    """Opens associations as the requestor."""

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout

    @contextmanager
    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> Iterator[RequestedAssociation]:
        """Open an association, and release it at the end of the block."""
        entity = AE(ae_title=peer.calling_ae_title)
        entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = self._timeout
        proposed = [build_context(abstract, transfer) for abstract, transfer in contexts]
        association = entity.associate(peer.host, peer.port, contexts=proposed, ae_title=peer.called_ae_title)
        if not association.is_established:
            raise _failure(association, peer)
        try:
            yield _PlainAssociation(association)
        finally:
            if association.is_established:
                association.release()


class _PlainAssociation:
    def __init__(self, association: Any) -> None:
        self._association = association

    def echo(self) -> int:
        status = self._association.send_c_echo()
        if "Status" not in status:
            raise Unavailable("the peer did not answer C-ECHO")
        return int(status.Status)

    def store(self, instance: OutgoingInstance) -> Answer:
        if not self._association.is_established:
            raise Unavailable("the association is gone")
        try:
            status = self._association.send_c_store(instance.path)
        except ValueError as error:
            result = self._result_of(instance)
            text = f"the peer did not accept {instance.sop_class_uid} in {instance.transfer_syntax}"
            raise ContextRefused(text, result) from error
        if "Status" not in status:
            raise Unavailable("the peer did not answer C-STORE: the outcome is unknown")
        return Answer(int(status.Status), str(status.get("ErrorComment", "")))

    def _result_of(self, instance: OutgoingInstance) -> int:
        for context in self._association.rejected_contexts:
            if (
                context.abstract_syntax == instance.sop_class_uid
                and instance.transfer_syntax in context.transfer_syntax
            ):
                return int(context.result)
        return 3


def _request(association: Any) -> AssociationRequest:
    requestor = association.requestor
    primitive = requestor.primitive
    return AssociationRequest(
        calling_ae_title=str(primitive.calling_ae_title).strip(),
        called_ae_title=str(primitive.called_ae_title).strip(),
        address=str(requestor.address),
        port=int(requestor.port or 0),
        implementation_class_uid=str(requestor.implementation_class_uid or ""),
        implementation_version_name=str(requestor.implementation_version_name or ""),
        contexts=tuple(
            ProposedContext(c.context_id, str(c.abstract_syntax), tuple(map(str, c.transfer_syntax)))
            for c in primitive.presentation_context_definition_list
        ),
    )


def _status(answer: Answer | FindAnswer) -> Dataset:
    status = Dataset()
    status.Status = answer.status
    if answer.error_comment:
        status.ErrorComment = answer.error_comment
    return status


def _identifier(answer: FindAnswer, syntax: UID) -> Dataset | None:
    if answer.identifier is None:
        return None
    data = BytesIO(answer.identifier)
    return cast(Dataset, decode(data, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated))


def _failure(association: Any, peer: Peer) -> Unavailable:
    if association.is_rejected:
        answer = association.acceptor.primitive
        rejection = Rejection(answer.result, answer.result_source, answer.diagnostic)
        return AssociationRefused(f"{peer.called_ae_title} refused the association", rejection)
    if association.rejected_contexts:
        return AssociationRefused(f"{peer.called_ae_title} accepted none of the presentation contexts", None)
    return Unavailable(f"no DICOM answer from {peer.host}:{peer.port}")
