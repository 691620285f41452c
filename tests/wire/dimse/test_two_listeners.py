"""Two listeners of one house, and a house with more descriptors than select() knows."""

import fcntl
import resource
import socket
from collections.abc import Iterator

import pytest

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.connection import Connection, Lost
from broker.dimse.limits import Limits
from broker.dimse.places import Places
from broker.dimse.requestor import EngineRequestor
from broker.dimse.service import TEMPORARY_CONGESTION, AssociationRefused, Peer
from tests.peers.processes import wait_for
from tests.wire.dimse.provider import Keeping
from tests.wire.dimse.raw_peer import IMPLICIT, VERIFICATION

WANTED = [(VERIFICATION, IMPLICIT)]


def test_two_listeners_share_one_number_of_associations() -> None:
    limits = Limits(established=1, congestion=0.5)
    places = Places(limits)
    servers = [Server("127.0.0.1", 0, Keeping(), SystemClock(), limits=limits, places=places) for _ in range(2)]
    first, second = (Peer("127.0.0.1", server.start(), "BROKER", "DEVICE") for server in servers)
    try:
        with EngineRequestor().associate(first, WANTED):
            with pytest.raises(AssociationRefused) as caught, EngineRequestor().associate(second, WANTED):
                pass
            assert caught.value.rejection == TEMPORARY_CONGESTION
        with EngineRequestor().associate(second, WANTED) as association:
            assert association.echo() == 0
    finally:
        for server in servers:
            server.stop(0.5)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_connection_with_a_descriptor_beyond_a_thousand_is_looked_at_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    with accepted, theirs, socket.socket(fileno=fcntl.fcntl(accepted, fcntl.F_DUPFD_CLOEXEC, 1500)) as high:
        connection = Connection(high, Limits())
        connection.fill_now()
        assert connection.available == 0
        theirs.sendall(b"abc")
        connection.need(3)
        theirs.close()
        wait_for("the end is seen", lambda: _has_ended(connection))


def _has_ended(connection: Connection) -> bool:
    try:
        connection.fill_now()
    except Lost:
        return True
    return False
