"""Peers that are silent, drip or come in crowds."""

import threading
import time

import pytest

from broker.dimse.limits import Limits
from broker.dimse.service import FindAnswer
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import Serve
from tests.wire.dimse.raw_peer import RawPeer, data, pdv
from tests.wire.dimse.test_acceptor_states import echoes
from tests.wire.dimse.test_bad_input import DATA, FIND, STORE, command


def drip(peer: RawPeer, content: bytes, seconds: float) -> float:
    """Send a byte every 50 ms until the peer objects; return how long that took."""
    begun = time.monotonic()
    peer.socket.settimeout(0.05)
    for byte in content:
        try:
            peer.socket.sendall(bytes((byte,)))
            if peer.socket.recv(1) == b"" or time.monotonic() - begun > seconds:
                break
            break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


def test_dripping_a_request_cannot_extend_its_deadline(serve: Serve) -> None:
    port, _ = serve()
    with RawPeer.connect(port) as peer:
        assert drip(peer, raw_peer.rq(), 10) < 2.5
    assert echoes(port)


def test_dripping_a_pdu_cannot_extend_its_deadline(serve: Serve) -> None:
    port, _ = serve()
    with RawPeer.associated(port) as peer:
        assert drip(peer, data(1, 1, bytes(1000)), 10) < 2.5
    assert echoes(port)


def test_dripping_small_pdus_cannot_extend_a_message(serve: Serve) -> None:
    port, _ = serve()
    with RawPeer.associated(port) as peer:
        peer.send(data(5, 3, command(**STORE, **DATA)))
        begun = time.monotonic()
        peer.socket.settimeout(0.2)
        try:
            while time.monotonic() - begun < 10:
                peer.send(data(5, 0, b"xx"))
                try:
                    peer.socket.recv(10)
                    break
                except TimeoutError:
                    continue
        except OSError:
            pass
        assert time.monotonic() - begun < 4
    assert echoes(port)


def test_idle_association_is_aborted(serve: Serve) -> None:
    port, provider = serve(Limits(idle=0.5, artim=0.5))
    with RawPeer.associated(port) as peer:
        assert peer.read()[0] == 7
    assert provider.ended_one.acquire(timeout=2)
    assert provider.ends == [(False, "the peer is too slow")]


def test_peer_that_does_not_read_its_answers_is_cut(serve: Serve) -> None:
    port, provider = serve(Limits(send=0.5, rate=10_000_000))
    provider.find_answers = (FindAnswer(0xFF00, bytes(200_000)) for _ in range(200))
    with RawPeer.associated(port) as peer:
        peer.send(data(3, 3, command(**FIND, **DATA)), data(3, 2, b""))
        assert provider.ended_one.acquire(timeout=10)
    assert provider.ends == [(False, "the peer does not take what we send")]


def test_silent_connections_lock_nobody_out(serve: Serve) -> None:
    port, _ = serve(Limits(silent=20, silent_per_address=20))
    silent = [RawPeer.connect(port) for _ in range(60)]
    try:
        assert echoes(port)
        assert silent[0].is_closed()
    finally:
        for peer in silent:
            peer.socket.close()


def test_half_spoken_connections_lock_nobody_out(serve: Serve) -> None:
    port, _ = serve(Limits(negotiating=10, negotiating_per_address=10))
    half = [RawPeer.connect(port) for _ in range(30)]
    try:
        for peer in half:
            peer.send(raw_peer.rq()[:20])
        assert echoes(port)
    finally:
        for peer in half:
            peer.socket.close()


def test_over_the_limit_callers_wait_and_are_not_refused(serve: Serve) -> None:
    port, _ = serve(Limits(established=2, artim=0.5))
    first, second = RawPeer.associated(port), RawPeer.associated(port)
    with RawPeer.connect(port) as third:
        third.send(raw_peer.rq())
        third.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            third.socket.recv(1)
        first.send(raw_peer.RELEASE_REQUEST)
        assert third.read()[0] == 2
    first.socket.close()
    second.socket.close()


def test_hundred_associations_at_once_are_all_served(serve: Serve) -> None:
    port, _ = serve(Limits())
    outcomes: list[bool] = []
    barrier = threading.Barrier(100)

    def one() -> None:
        barrier.wait(30)
        outcomes.append(echoes(port))

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [True] * 100


def test_many_pdvs_in_one_pdu_are_one_message_each(serve: Serve) -> None:
    port, _ = serve()
    echo = raw_peer.echo()[6:]
    with RawPeer.associated(port) as peer:
        peer.send(raw_peer.pdu(4, echo * 3 + pdv(1, 1, b"")))
        assert [peer.response().field for _ in range(3)] == [0x8030] * 3
