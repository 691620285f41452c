"""PS3.8 table 9-10 as seen by a peer of our acceptor: every PDU in every state that it can wait in."""

import pytest

from broker.dimse.pdu import AnsweredContext, AssociateAc, encode_associate_ac, encode_associate_rj
from broker.dimse.service import Rejection
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import Serve
from tests.wire.dimse.raw_peer import RawPeer, pdu

CLOSED = (0, b"")
USER_ABORT = (7, b"\0\0\0\0")
PDUS = {
    "rq": raw_peer.rq(),
    "ac": encode_associate_ac(AssociateAc("A", "B", (AnsweredContext(1, 0, raw_peer.IMPLICIT),))),
    "rj": encode_associate_rj(Rejection(1, 1, 1)),
    "data": raw_peer.echo(),
    "release-rq": raw_peer.RELEASE_REQUEST,
    "release-rp": raw_peer.RELEASE_RESPONSE,
    "abort": raw_peer.ABORT,
    "unknown": pdu(0x99, b"1234"),
    "invalid": pdu(5, b"12345"),
}


def aborted(reason: int) -> tuple[int, bytes]:
    return (7, bytes((0, 0, 2, reason)))


def echoes(port: int) -> bool:
    with RawPeer.associated(port) as peer:
        peer.send(raw_peer.echo())
        return peer.response().field == 0x8030


@pytest.mark.parametrize("name", list(PDUS))
def test_state_2_waiting_for_a_request(serve: Serve, name: str) -> None:
    port, _ = serve()
    with RawPeer.connect(port) as peer:
        peer.send(PDUS[name])
        kind, body = peer.read()
        if name == "rq":
            assert kind == 2
        else:
            assert (kind, body) == (CLOSED if name == "abort" else USER_ABORT)
    assert echoes(port)


@pytest.mark.parametrize("name", list(PDUS))
def test_state_6_established(serve: Serve, name: str) -> None:
    port, provider = serve()
    with RawPeer.associated(port) as peer:
        peer.send(PDUS[name])
        kind, body = peer.read()
        match name:
            case "data":
                assert kind == 4
            case "release-rq":
                assert kind == 6
            case "abort":
                assert (kind, body) == CLOSED
            case "unknown":
                assert (kind, body) == aborted(1)
            case "invalid":
                assert (kind, body) == aborted(6)
            case _:
                assert (kind, body) == aborted(2)
    provider.ended_one.acquire(timeout=2)
    assert provider.ends[0][0] == (name == "release-rq")
    assert echoes(port)


@pytest.mark.parametrize("name", list(PDUS))
def test_state_13_about_to_close(serve: Serve, name: str) -> None:
    port, _ = serve()
    with RawPeer.associated(port) as peer:
        peer.send(raw_peer.RELEASE_REQUEST)
        assert peer.read()[0] == 6
        peer.send(PDUS[name])
        expected = {"rq": aborted(2), "unknown": aborted(1)}.get(name, CLOSED)
        assert peer.read() == expected
    assert echoes(port)


def test_state_3_refusing_services_answer_with_their_reason(serve: Serve) -> None:
    port, provider = serve()
    provider.rejection = Rejection(1, 1, 3)
    with RawPeer.connect(port) as peer:
        peer.send(raw_peer.rq())
        assert peer.read() == (3, b"\0\1\1\3")
        assert peer.is_closed()
    assert provider.associations == []


def test_release_and_abort_in_the_middle_of_a_message(serve: Serve) -> None:
    port, _ = serve()
    half = raw_peer.data(5, 1, b"\0" * 10)
    for sent, expected in ((raw_peer.RELEASE_REQUEST, 6), (raw_peer.ABORT, 0)):
        with RawPeer.associated(port) as peer:
            peer.send(half, sent)
            assert peer.read()[0] == expected
    assert echoes(port)


def test_peer_that_vanishes_is_noted(serve: Serve) -> None:
    port, provider = serve()
    RawPeer.associated(port).socket.close()
    assert provider.ended_one.acquire(timeout=2)
    assert provider.ends == [(False, "the peer closed the connection")]
