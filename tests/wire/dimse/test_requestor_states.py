"""PS3.8 table 9-10 as seen by a scripted acceptor of our calls."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue

import pytest

from broker.dimse import message
from broker.dimse.limits import Limits
from broker.dimse.pdu import AnsweredContext, AssociateAc, encode_associate_ac, encode_associate_rj
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import AssociationRefused, Peer, Rejection
from broker.errors import Unavailable
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import QUICK
from tests.wire.dimse.raw_peer import RawPeer, pdu

ACCEPT = encode_associate_ac(AssociateAc("A", "B", (AnsweredContext(1, 0, raw_peer.IMPLICIT),)))
ECHO_RESPONSE = raw_peer.data(
    1, 3, message.response(message.decode(message.echo_request(1, raw_peer.VERIFICATION)), 0x0000)
)
PDUS = {
    "rq": raw_peer.rq(),
    "ac": ACCEPT,
    "rj": encode_associate_rj(Rejection(1, 1, 7)),
    "data": ECHO_RESPONSE,
    "release-rq": raw_peer.RELEASE_REQUEST,
    "release-rp": raw_peer.RELEASE_RESPONSE,
    "abort": raw_peer.ABORT,
    "unknown": pdu(0x99, b"1234"),
}
WANTED = [(raw_peer.VERIFICATION, raw_peer.IMPLICIT)]
Script = Callable[[RawPeer], object]


@contextmanager
def scripted(script: Script) -> Iterator[tuple[Peer, Queue[object]]]:
    """Accept one connection and run `script` on it; its result or error arrives in the queue."""
    results: Queue[object] = Queue()

    def run() -> None:
        sock, _ = listening.accept()
        with RawPeer(sock, 2.0) as peer:
            try:
                results.put(script(peer))
            except (AssertionError, OSError) as error:
                results.put(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        yield Peer("127.0.0.1", listening.getsockname()[1], "CALLED", "CALLING"), results
        thread.join(5)


def call(peer: Peer, limits: Limits = QUICK) -> int:
    with EngineRequestor(limits).associate(peer, WANTED) as association:
        return association.echo()


@pytest.mark.parametrize("name", list(PDUS))
def test_state_5_waiting_for_the_answer(name: str) -> None:
    def script(peer: RawPeer) -> object:
        assert peer.read()[0] == 1
        peer.send(PDUS[name])
        return peer.read()

    with scripted(script) as (peer, results):
        with pytest.raises(Unavailable) as caught:
            call(peer)
        kind, body = results.get(timeout=3)
        if name == "ac":
            assert kind == 4  # our C-ECHO-RQ
        elif name in ("rj", "abort"):
            assert kind == 0
            assert isinstance(caught.value, AssociationRefused) == (name == "rj")
        else:
            assert (kind, body[2:]) == (7, bytes((2, 1 if name == "unknown" else 2)))


@pytest.mark.parametrize("name", list(PDUS))
def test_state_6_waiting_for_a_response(name: str) -> None:
    def script(peer: RawPeer) -> object:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        peer.send(PDUS[name])
        return peer.read()

    with scripted(script) as (peer, results):
        if name == "data":
            assert call(peer) == 0
        else:
            with pytest.raises(Unavailable):
                call(peer)
        expected = {"data": 5, "release-rq": 6, "abort": 0}.get(name, 7)
        assert results.get(timeout=3)[0] == expected


@pytest.mark.parametrize("name", list(PDUS))
def test_state_7_waiting_for_the_release(name: str) -> None:
    def script(peer: RawPeer) -> object:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        peer.send(ECHO_RESPONSE)
        assert peer.read()[0] == 5
        peer.send(PDUS[name])
        if name == "release-rq":  # collision: Sta9, then Sta11
            assert peer.read()[0] == 6
            peer.send(raw_peer.RELEASE_RESPONSE)
        if name == "data":  # AR-6: taken, and the release still awaited
            peer.send(raw_peer.RELEASE_RESPONSE)
        return peer.read()

    with scripted(script) as (peer, results):
        assert call(peer) == 0
        expected = 0 if name in ("data", "release-rq", "release-rp", "abort") else 7
        assert results.get(timeout=3)[0] == expected


def test_silent_acceptor_is_given_up_with_the_plain_cause() -> None:
    with scripted(lambda peer: peer.is_closed()) as (peer, _), pytest.raises(Unavailable, match="no DICOM answer"):
        call(peer)


def test_no_response_is_an_unknown_outcome_and_the_association_is_aborted() -> None:
    def script(peer: RawPeer) -> object:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        return peer.read()

    with scripted(script) as (peer, results):
        with pytest.raises(Unavailable, match="too slow"):
            call(peer, Limits(response=0.5, artim=0.5))
        assert results.get(timeout=3)[0] == 7


def test_none_of_our_contexts_accepted_is_a_refusal_without_rejection() -> None:
    def script(peer: RawPeer) -> object:
        peer.read()
        peer.send(encode_associate_ac(AssociateAc("A", "B", (AnsweredContext(1, 3, ""),))))
        return peer.read()

    with scripted(script) as (peer, results):
        with pytest.raises(AssociationRefused) as caught:
            call(peer)
        assert caught.value.rejection is None
        assert results.get(timeout=3)[0] == 7


def test_response_to_another_message_is_not_taken_for_ours() -> None:
    other = message.response(message.decode(message.echo_request(9, raw_peer.VERIFICATION)), 0x0000)

    def script(peer: RawPeer) -> object:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        peer.send(raw_peer.data(1, 3, other))
        return peer.read()

    with scripted(script) as (peer, results):
        with pytest.raises(Unavailable):
            call(peer)
        assert results.get(timeout=3)[0] == 7


def test_closed_port_says_that_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unavailable, match="nothing listens"):
        call(Peer("127.0.0.1", port, "A", "B"))
