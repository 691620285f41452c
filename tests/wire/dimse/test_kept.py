"""An association that is used again for the next batch, and each reason for which it is not."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from broker.dimse.contexts import VERIFICATION
from broker.dimse.kept import AGE_SECONDS, IDLE_SECONDS, KeptAssociations
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import Peer
from broker.errors import Unavailable
from tests.wire.dimse import raw_peer
from tests.wire.dimse.conftest import QUICK, Serve
from tests.wire.dimse.provider import Keeping
from tests.wire.dimse.test_requestor_states import ACCEPT, ECHO_RESPONSE, scripted

ECHO = ((VERIFICATION, raw_peer.IMPLICIT),)
STORE = ((raw_peer.ULTRASOUND, raw_peer.EXPLICIT),)


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def served(serve: Serve) -> tuple[Peer, Keeping]:
    port, provider = serve()
    return Peer("127.0.0.1", port, "CALLED", "CALLING"), provider


@pytest.fixture
def kept(clock: Seconds) -> Iterator[KeptAssociations]:
    with closing(KeptAssociations(EngineRequestor(QUICK), clock)) as made:
        yield made


def echo(kept: KeptAssociations, peer: Peer, contexts: tuple[tuple[str, str], ...] = ECHO) -> None:
    with kept.associate(peer, contexts) as association:
        assert association.echo() == 0


def test_the_next_batch_goes_over_the_same_association(served: tuple[Peer, Keeping], kept: KeptAssociations) -> None:
    peer, provider = served
    for _ in range(3):
        echo(kept, peer)
    assert (len(provider.requests), provider.echoes) == (1, 3)
    kept.close()
    assert provider.ended_one.acquire(timeout=5)
    assert provider.ends == [(True, "")]


def test_a_batch_that_wants_less_is_content_and_one_that_wants_more_is_not(
    served: tuple[Peer, Keeping], kept: KeptAssociations
) -> None:
    peer, provider = served
    echo(kept, peer, ECHO + STORE)
    echo(kept, peer, ECHO)
    assert len(provider.requests) == 1
    echo(kept, peer, ((VERIFICATION, raw_peer.EXPLICIT), *ECHO))
    assert len(provider.requests) == 2
    assert provider.ended_one.acquire(timeout=5)
    assert provider.ends == [(True, "")]  # the first was released before the second was opened


def test_another_title_needs_another_association(served: tuple[Peer, Keeping], kept: KeptAssociations) -> None:
    peer, provider = served
    echo(kept, peer)
    echo(kept, Peer(peer.host, peer.port, peer.called_ae_title, "OTHER"))
    assert [request.calling_ae_title for request in provider.requests] == ["CALLING", "OTHER"]


@pytest.mark.parametrize(
    "steps", [[IDLE_SECONDS + 1], [IDLE_SECONDS - 1] * round(AGE_SECONDS / (IDLE_SECONDS - 1) + 1)]
)
def test_one_that_idles_long_or_is_old_is_released(
    served: tuple[Peer, Keeping], kept: KeptAssociations, clock: Seconds, steps: list[float]
) -> None:
    peer, provider = served
    for step in steps:
        echo(kept, peer)
        clock.now += step
    assert len(provider.requests) == 1
    kept.sweep()
    assert provider.ended_one.acquire(timeout=5)
    echo(kept, peer)
    assert len(provider.requests) == 2


def test_a_fresh_one_stays_when_the_others_are_swept(served: tuple[Peer, Keeping], kept: KeptAssociations) -> None:
    peer, provider = served
    echo(kept, peer)
    kept.sweep()
    echo(kept, peer)
    assert len(provider.requests) == 1


def test_one_whose_block_raised_is_aborted(served: tuple[Peer, Keeping], kept: KeptAssociations) -> None:
    peer, provider = served
    with pytest.raises(KeyError), kept.associate(peer, ECHO):
        raise KeyError
    assert provider.ended_one.acquire(timeout=5)
    assert [released for released, _ in provider.ends] == [False]
    echo(kept, peer)
    assert len(provider.requests) == 2


@pytest.mark.parametrize("goodbye", [raw_peer.ABORT, raw_peer.RELEASE_REQUEST, b""])
def test_one_that_the_peer_has_left_meanwhile_is_not_used_again(kept: KeptAssociations, goodbye: bytes) -> None:
    said = threading.Event()

    def leave(peer: raw_peer.RawPeer) -> None:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        peer.send(ECHO_RESPONSE, goodbye)
        if not goodbye:
            peer.socket.shutdown(1)
        said.set()
        peer.is_closed()

    with scripted(leave) as (peer, _):
        echo(kept, peer)
        assert said.wait(5)
        # Nobody accepts a second connection: it is opened, and finds no DICOM.
        with pytest.raises(Unavailable), kept.associate(peer, ECHO):
            pass


def test_one_that_owes_an_answer_is_not_used_again(kept: KeptAssociations) -> None:
    def keep_silent(peer: raw_peer.RawPeer) -> None:
        peer.read()
        peer.send(ACCEPT)
        peer.read()
        peer.is_closed()

    with scripted(keep_silent) as (peer, _):
        with kept.associate(peer, ECHO) as association, pytest.raises(Unavailable):
            association.echo()
        with pytest.raises(Unavailable), kept.associate(peer, ECHO):
            pass
