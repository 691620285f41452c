"""The sender over real sockets: what it keeps, what it gives up, and whose answer it takes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

from hl7.client import Sender, send
from hl7.mllp import Frame, Framer, TooLong, frame

WAIT = 10.0
Play = Callable[[socket.socket, int], None]


@contextmanager
def peer(play: Play) -> Iterator[tuple[int, list[int]]]:
    """Run a peer that plays its part on each connection; yields its port and the connections so far."""
    connections: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                with accepted:
                    connections.append(len(connections) + 1)
                    accepted.settimeout(WAIT)
                    try:
                        play(accepted, len(connections))
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], connections
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT)


def messages(connection: socket.socket) -> Iterator[bytes]:
    framer = Framer()
    while data := connection.recv(65_536):
        yield from (event.payload for event in framer.feed(data) if isinstance(event, Frame))


def echo(connection: socket.socket, _: int) -> None:
    for payload in messages(connection):
        connection.sendall(frame(b"got " + payload))


def test_one_connection_carries_all_exchanges() -> None:
    with peer(echo) as (port, connections):
        with Sender("127.0.0.1", port, WAIT) as sender:
            assert [sender.exchange(str(n).encode()) for n in range(100)] == [f"got {n}".encode() for n in range(100)]
        assert connections == [1]


def test_late_answer_is_never_taken_for_the_next_one() -> None:
    go_on = threading.Event()

    def late_once(connection: socket.socket, number: int) -> None:
        for payload in messages(connection):
            if number == 1:
                go_on.wait(WAIT)
            connection.sendall(frame(b"got " + payload))

    with peer(late_once) as (port, connections), Sender("127.0.0.1", port, 0.2) as sender:
        with pytest.raises(TimeoutError):
            sender.exchange(b"first")
        go_on.set()
        assert sender.exchange(b"second") == b"got second"
        assert connections == [1, 2]


@pytest.mark.parametrize("extra", [frame(b"unasked"), b"\x0bhalf of an"])
def test_what_nobody_asked_for_is_not_the_next_answer(extra: bytes) -> None:
    def talkative(connection: socket.socket, _: int) -> None:
        for payload in messages(connection):
            connection.sendall(frame(b"got " + payload) + extra)

    with peer(talkative) as (port, connections), Sender("127.0.0.1", port, WAIT) as sender:
        assert [sender.exchange(payload) for payload in (b"1", b"2")] == [b"got 1", b"got 2"]
        assert connections == [1, 2]


def test_what_comes_unasked_between_exchanges_is_not_the_next_answer() -> None:
    said = threading.Event()

    def twice(connection: socket.socket, _: int) -> None:
        for payload in messages(connection):
            connection.sendall(frame(b"got " + payload))
            sleep(0.05)
            connection.sendall(frame(b"and again"))
            said.set()

    with peer(twice) as (port, connections), Sender("127.0.0.1", port, WAIT) as sender:
        assert sender.exchange(b"1") == b"got 1"
        assert said.wait(WAIT)
        assert sender.exchange(b"2") == b"got 2"
        assert connections == [1, 2]


def test_connection_that_the_peer_has_closed_meanwhile_is_opened_again() -> None:
    def one_each(connection: socket.socket, _: int) -> None:
        connection.sendall(frame(b"got " + next(messages(connection))))

    with peer(one_each) as (port, connections), Sender("127.0.0.1", port, WAIT) as sender:
        assert sender.exchange(b"1") == b"got 1"
        sleep(0.1)
        assert sender.exchange(b"2") == b"got 2"
        assert connections == [1, 2]


def test_peer_that_closes_instead_of_answering_is_an_error_and_the_next_exchange_begins_anew() -> None:
    def not_at_first(connection: socket.socket, number: int) -> None:
        payload = next(messages(connection))
        if number > 1:
            connection.sendall(frame(b"got " + payload))

    with peer(not_at_first) as (port, _), Sender("127.0.0.1", port, WAIT) as sender:
        with pytest.raises(ConnectionError):
            sender.exchange(b"1")
        assert sender.exchange(b"1") == b"got 1"


def test_dripping_answer_does_not_extend_the_time() -> None:
    def dripping(connection: socket.socket, _: int) -> None:
        next(messages(connection))
        connection.sendall(b"\x0b")
        while True:
            connection.sendall(b"x")
            sleep(0.02)

    with peer(dripping) as (port, _), Sender("127.0.0.1", port, 0.3) as sender:
        began = monotonic()
        with pytest.raises(TimeoutError):
            sender.exchange(b"1")
        assert monotonic() - began < 3


def test_peer_that_reads_nothing_is_given_up() -> None:
    def deaf(_: socket.socket, __: int) -> None:
        sleep(1)

    with peer(deaf) as (port, _), Sender("127.0.0.1", port, 0.3) as sender, pytest.raises(TimeoutError):
        sender.exchange(b"x" * 30_000_000)


def test_endless_answer_is_given_up() -> None:
    def endless(connection: socket.socket, _: int) -> None:
        next(messages(connection))
        connection.sendall(b"\x0b" + b"x" * (11 * 1024 * 1024))

    with peer(endless) as (port, _), Sender("127.0.0.1", port, WAIT) as sender, pytest.raises(TooLong):
        sender.exchange(b"1")


def test_closing_twice_does_no_harm_and_nothing_is_opened_before_it_is_needed() -> None:
    with peer(echo) as (port, connections):
        sender = Sender("127.0.0.1", port, WAIT)
        sender.close()
        assert connections == []
        sender.exchange(b"1")
        sender.close()
        sender.close()


def test_many_payloads_are_sent_one_after_the_other() -> None:
    with peer(echo) as (port, connections):
        assert list(send("127.0.0.1", port, [b"1", b"2"], WAIT)) == [b"got 1", b"got 2"]
        assert connections == [1]
