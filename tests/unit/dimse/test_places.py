import socket
from dataclasses import dataclass

from broker.dimse.limits import Limits
from broker.dimse.places import Places
from broker.dimse.silence import Silence

LIMITS = Limits(silent=3, silent_per_address=2, negotiating=3, negotiating_per_address=2, waiting=1, established=1)


@dataclass(frozen=True)
class Guest:
    name: str
    address: str = "a"


def test_oldest_of_an_address_goes_when_it_has_too_many() -> None:
    places = Places(LIMITS)
    first, second, third = Guest("1"), Guest("2"), Guest("3")
    assert places.enter(first) is None
    assert places.enter(second) is None
    assert places.enter(third) is first


def test_oldest_of_all_goes_when_there_are_too_many() -> None:
    places = Places(LIMITS)
    guests = [Guest(str(n), address=str(n)) for n in range(4)]
    assert [places.enter(guest) for guest in guests] == [None, None, None, guests[0]]


def test_association_waits_for_a_place_and_is_not_refused() -> None:
    places = Places(LIMITS)
    first, second = Guest("1"), Guest("2")
    places.enter(first)
    places.enter(second)
    assert places.wait(first, 0.01)
    assert not places.wait(second, 0.01)
    places.end()
    assert places.wait(second, 0.01)


def test_silent_connections_are_bounded_by_address_and_in_all_and_expire_in_order() -> None:
    silence = Silence(LIMITS)
    sockets = [socket.socket() for _ in range(5)]
    try:
        assert silence.add(sockets[0], "a", 1, now=0.0) == []
        assert silence.add(sockets[1], "a", 2, now=1.0) == []
        assert silence.add(sockets[2], "a", 3, now=2.0) == [sockets[0]]
        silence.remove(sockets[0])
        assert silence.add(sockets[3], "b", 4, now=3.0) == []
        assert silence.add(sockets[4], "c", 5, now=4.0) == [sockets[1]]
        assert silence.expired(5.9) == []
        assert silence.expired(6.0) == [sockets[1]]
    finally:
        for sock in sockets:
            sock.close()
