"""N-EVENT-REPORT in either direction, on the association of the N-ACTION and on one of its own (PS3.4 J.3.3)."""

import threading
from queue import Queue
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_role, evt

from broker.clock import SystemClock
from broker.dimse import contexts
from broker.dimse.acceptor import Server
from broker.dimse.items import Role
from broker.dimse.message import CommandField
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import NormalizedAnswer, NormalizedRequest, Peer
from tests.peers.steady import steady
from tests.wire.dimse.conftest import EVERYTHING, QUICK, Serve
from tests.wire.dimse.provider import Keeping
from tests.wire.dimse.raw_peer import IMPLICIT
from tests.wire.dimse.test_foreign import pynetdicom_server

PUSH = contexts.STORAGE_COMMITMENT_PUSH
INSTANCE = "1.2.840.10008.1.20.1.1"
ACTION = NormalizedRequest(CommandField.N_ACTION_RQ, PUSH, INSTANCE, type_id=1, data_set=b"")
REPORT = NormalizedRequest(
    CommandField.N_EVENT_REPORT_RQ, PUSH, INSTANCE, type_id=1, data_set=b"\x08\0\x95\x11\4\0\0\0001.2\0"
)


def test_report_on_the_association_of_the_action() -> None:
    provider = Keeping()
    server = Server("127.0.0.1", 0, provider, SystemClock(), EVERYTHING, limits=QUICK)
    peer = Peer("127.0.0.1", server.start(), "BROKER", "DEVICE")
    reports: list[NormalizedRequest] = []
    answers: Queue[NormalizedAnswer | None] = Queue()

    def report(request: NormalizedRequest) -> NormalizedAnswer:
        reports.append(request)
        return NormalizedAnswer(0x0000)

    try:
        with EngineRequestor(QUICK).associate(peer, [(PUSH, IMPLICIT)], reports=report) as association:
            assert association.request(ACTION).status == 0
            assert not association.await_report(0.1)
            assert server.notify(provider.associations[0].id, REPORT, answers.put)
            assert association.await_report(2.0)
            assert association.request(ACTION).status == 0  # and life goes on
        answered = answers.get(timeout=2)
        assert answered is not None
        assert answered.status == 0
        assert (reports[0].data_set, reports[0].type_id) == (REPORT.data_set, 1)
        provider.ended_one.acquire(timeout=2)
        assert not server.notify(provider.associations[0].id, REPORT, answers.put)
    finally:
        server.stop(1)


def test_report_that_is_never_answered_has_an_unknown_outcome() -> None:
    provider = Keeping()
    server = Server("127.0.0.1", 0, provider, SystemClock(), EVERYTHING, limits=QUICK)
    peer = Peer("127.0.0.1", server.start(), "BROKER", "DEVICE")
    answers: Queue[NormalizedAnswer | None] = Queue()
    try:
        with EngineRequestor(QUICK).associate(peer, [(PUSH, IMPLICIT)]) as association:
            association.request(ACTION)
            assert server.notify(provider.associations[0].id, REPORT, answers.put)
        assert answers.get(timeout=3) is None
    finally:
        server.stop(1)


def test_report_that_crosses_our_request_is_answered_first() -> None:
    """The acceptor's report may arrive where the requestor waits for a response."""
    provider = Keeping()
    server = Server("127.0.0.1", 0, provider, SystemClock(), EVERYTHING, limits=QUICK)
    peer = Peer("127.0.0.1", server.start(), "BROKER", "DEVICE")
    seen = threading.Event()

    def report(request: NormalizedRequest) -> NormalizedAnswer:
        seen.set()
        return NormalizedAnswer(0x0000)

    answers: Queue[NormalizedAnswer | None] = Queue()
    try:
        with EngineRequestor(QUICK).associate(peer, [(PUSH, IMPLICIT)], reports=report) as association:
            association.request(ACTION)
            server.notify(provider.associations[0].id, REPORT, answers.put)
            while not seen.is_set():
                assert association.request(ACTION).status == 0
        answered = answers.get(timeout=2)
        assert answered is not None
        assert answered.status == 0
    finally:
        server.stop(1)


def test_our_report_on_an_association_of_its_own_reaches_pynetdicom() -> None:
    received: list[Any] = []

    def report(event: Any) -> tuple[int, None]:
        received.append(event.event_information.TransactionUID)
        return 0x0000, None

    with pynetdicom_server([(evt.EVT_N_EVENT_REPORT, report)]) as port:
        roles = [Role(PUSH, scu=False, scp=True)]
        peer = Peer("127.0.0.1", port, "PACS", "BROKER")
        with EngineRequestor(QUICK).associate(peer, [(PUSH, IMPLICIT)], roles) as association:
            assert association.request(REPORT).status == 0
    assert received == ["1.2"]


def test_report_of_pynetdicom_reaches_our_provider(serve: Serve) -> None:
    port, provider = serve()
    entity = AE("PACS")
    entity.add_requested_context(PUSH, IMPLICIT)
    association = steady(entity.associate("127.0.0.1", port, ext_neg=[build_role(PUSH, scp_role=True)]))
    assert association.is_established
    assert association.accepted_contexts[0].as_scp
    information = Dataset()
    information.TransactionUID = "1.2"
    status, _ = association.send_n_event_report(information, 1, PUSH, INSTANCE)
    association.release()
    assert status.Status == 0
    assert provider.normalizeds[0].data_set == REPORT.data_set
