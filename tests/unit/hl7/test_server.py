"""The listener and the sender over real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, sleep

import pytest

from hl7.client import send
from hl7.errors import CloseConnection
from hl7.mllp import Frame, Framer, TooLong, frame
from hl7.server import Limits, MllpServer, PeerAddress

LIMITS = Limits(maximum_frame=4096, idle_in_frame=5, frame=10, idle_between_frames=30, write=5, connections=8)
WAIT = 10.0


@dataclass
class Running:
    """A listener under test, and what it told."""

    server: MllpServer
    port: int = 0
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT)

    def why(self, name: str = "mllp.closed") -> list[object]:
        return [facts["why"] for told, facts in list(self.events) if told == name]

    def closed(self, count: int = 1) -> list[object]:
        until = monotonic() + WAIT
        while len(self.why()) < count and monotonic() < until:
            sleep(0.005)
        return self.why()


Serve = Callable[[bytes, PeerAddress], bytes | None]


def echo(payload: bytes, _: PeerAddress) -> bytes:
    return b"got " + payload


@contextmanager
def serving(handle: Serve = echo, limits: Limits = LIMITS) -> Iterator[Running]:
    events: list[tuple[str, dict[str, object]]] = []
    server = MllpServer("127.0.0.1", 0, handle, limits, lambda name, facts: events.append((name, facts)))
    running = Running(server, server.start(), events)
    try:
        yield running
    finally:
        server.stop(WAIT)


def answers(connection: socket.socket, count: int) -> list[bytes]:
    framer = Framer(100_000)
    found: list[bytes] = []
    while len(found) < count and (data := connection.recv(65_536)):
        found += [event.payload for event in framer.feed(data) if isinstance(event, Frame)]
    return found


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(WAIT)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_each_message_gets_its_answer_on_one_connection() -> None:
    with serving() as running:
        payloads = [b"one", b"two", b"", b"three"]
        assert list(send("127.0.0.1", running.port, payloads, WAIT)) == [b"got " + p for p in payloads]
        assert running.closed() == ["the peer closed"]
    assert running.events[-1][1]["messages"] == 4


def test_handler_is_told_the_peer() -> None:
    def who(_: bytes, peer: PeerAddress) -> bytes:
        return f"{peer.host}:{peer.port}".encode()

    with serving(who) as running, running.connect() as connection:
        connection.sendall(frame(b"x"))
        assert answers(connection, 1) == ["{}:{}".format(*connection.getsockname()).encode()]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_cuts_of_the_stream_do_not_matter(step: int) -> None:
    wire = b"\r\n" + frame(b"one\x1ctwo") + b"\0\0" + frame(b"three") + b"\n" + frame(b"four")
    with serving() as running, running.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(wire), step):
            connection.sendall(wire[at : at + step])
        assert answers(connection, 3) == [b"got one\x1ctwo", b"got three", b"got four"]
    assert [facts["count"] for name, facts in running.events if name == "mllp.discarded"] == [2, 2, 1]


def test_a_hundred_messages_in_one_write_are_answered_in_order() -> None:
    payloads = [str(number).encode() for number in range(100)]
    with serving() as running, running.connect() as connection:
        connection.sendall(b"".join(map(frame, payloads)))
        assert answers(connection, 100) == [b"got " + payload for payload in payloads]


def test_answer_is_written_before_the_next_message_is_handled() -> None:
    order: list[str] = []
    go_on = threading.Event()

    def handle(payload: bytes, _: PeerAddress) -> bytes:
        order.append(payload.decode())
        if payload == b"second":
            assert go_on.wait(WAIT)
        return payload

    with serving(handle) as running, running.connect() as connection:
        connection.sendall(frame(b"first") + frame(b"second"))
        assert answers(connection, 1) == [b"first"]
        go_on.set()
        assert answers(connection, 1) == [b"second"]
    assert order == ["first", "second"]


def test_begun_anew_drops_the_partial_frame() -> None:
    with serving() as running, running.connect() as connection:
        connection.sendall(b"\x0bhalf" + frame(b"whole"))
        assert answers(connection, 1) == [b"got whole"]
    assert running.why("mllp.discarded") == ["a start block inside a frame"]


def test_frame_at_the_limit_is_taken_and_one_over_closes_after_the_earlier_answer() -> None:
    with serving() as running:
        with running.connect() as connection:
            connection.sendall(frame(b"x" * 4096))
            assert answers(connection, 1) == [b"got " + b"x" * 4096]
        with running.connect() as connection:
            connection.sendall(frame(b"first") + b"\x0b" + b"x" * 4097)
            assert answers(connection, 1) == [b"got first"]
            assert is_closed(connection)
        assert "a frame of more than 4096 bytes" in running.closed(2)  # the one before may be noticed after it


def test_silence_inside_a_frame_closes_without_an_answer() -> None:
    with serving(limits=replace(LIMITS, idle_in_frame=0.1)) as running, running.connect() as connection:
        connection.sendall(frame(b"whole") + b"\x0bhalf")
        assert answers(connection, 1) == [b"got whole"]
        assert is_closed(connection)
        assert running.closed() == ["idle inside a frame"]


@pytest.mark.parametrize("drop", [b"x", b"\x0b", b"\x1c"])
def test_dripping_does_not_extend_a_frame(drop: bytes) -> None:
    limits = replace(LIMITS, idle_in_frame=0.3, frame=0.5)
    with serving(limits=limits) as running, running.connect() as connection:
        connection.sendall(b"\x0b")
        until = monotonic() + WAIT
        while not running.why() and monotonic() < until:
            try:
                connection.sendall(drop)
            except ConnectionError:
                break
            sleep(0.02)
        assert running.closed() == ["a frame took too long"]


def test_silence_between_frames_has_its_own_longer_limit() -> None:
    limits = replace(LIMITS, idle_in_frame=0.05, frame=0.05, idle_between_frames=0.5)
    with serving(limits=limits) as running, running.connect() as connection:
        sleep(0.2)
        connection.sendall(frame(b"late"))
        assert answers(connection, 1) == [b"got late"]
        assert is_closed(connection)
        assert running.closed() == ["idle between frames"]


def test_no_answer_where_the_handler_gives_none() -> None:
    def handle(payload: bytes, _: PeerAddress) -> bytes | None:
        return None if payload == b"ack" else payload

    with serving(handle) as running, running.connect() as connection:
        connection.sendall(frame(b"ack") + frame(b"order"))
        assert answers(connection, 1) == [b"order"]


def test_handler_may_close_without_an_answer() -> None:
    def handle(_: bytes, __: PeerAddress) -> bytes:
        raise CloseConnection("unreadable")

    with serving(handle) as running, running.connect() as connection:
        connection.sendall(frame(b"x") + frame(b"y"))
        assert is_closed(connection)
        assert running.closed() == ["unreadable"]


def test_failing_handler_costs_its_connection_only_and_tells_no_content() -> None:
    def handle(payload: bytes, _: PeerAddress) -> bytes:
        if payload == b"Doe":
            raise OSError("Doe")
        return payload

    with serving(handle) as running:
        with running.connect() as connection:
            connection.sendall(frame(b"Doe"))
            assert is_closed(connection)
        assert list(send("127.0.0.1", running.port, [b"fine"], WAIT)) == [b"fine"]
    failed = next(facts for name, facts in running.events if name == "mllp.handler_failed")
    assert failed["error"] == "OSError"
    assert str(failed["place"]).startswith("test_server.py:")
    assert "Doe" not in str(running.events)


def test_full_listener_lets_callers_wait_and_refuses_none() -> None:
    with serving(limits=replace(LIMITS, connections=2)) as running:
        first, second, third = running.connect(), running.connect(), running.connect()
        with first, second, third:
            for connection in (first, second):
                connection.sendall(frame(b"in"))
                assert answers(connection, 1) == [b"got in"]
            third.sendall(frame(b"waiting"))
            third.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.recv(1)
            third.settimeout(WAIT)
            first.close()
            assert answers(third, 1) == [b"got waiting"]


def test_silent_and_dripping_peers_do_not_delay_a_good_one() -> None:
    with serving(limits=replace(LIMITS, connections=64)) as running:
        others = [running.connect() for _ in range(40)]
        try:
            for other in others[:20]:
                other.sendall(b"\x0bM")
            began = monotonic()
            assert len(list(send("127.0.0.1", running.port, [b"x"] * 20, WAIT))) == 20
            assert monotonic() - began < 5
        finally:
            for other in others:
                other.close()


def test_peer_that_takes_no_answers_is_given_up() -> None:
    def handle(_: bytes, __: PeerAddress) -> bytes:
        return b"x" * 1_000_000

    with serving(handle, replace(LIMITS, write=0.2)) as running, running.connect() as connection:
        connection.sendall(frame(b"x") * 50)
        assert running.closed() == ["the peer takes no answer"]


def test_stop_lets_the_message_in_flight_be_answered() -> None:
    began, go_on = threading.Event(), threading.Event()

    def handle(payload: bytes, _: PeerAddress) -> bytes:
        began.set()
        assert go_on.wait(WAIT)
        return payload

    with serving(handle) as running, running.connect() as idle, running.connect() as connection:
        connection.sendall(frame(b"in flight"))  # accepted in turn: the idle one is ours by now too
        assert began.wait(WAIT)
        finished: list[bool] = []
        stopper = threading.Thread(target=lambda: finished.append(running.server.stop(WAIT)))
        stopper.start()
        assert is_closed(idle)
        go_on.set()
        assert answers(connection, 1) == [b"in flight"]
        assert is_closed(connection)
        stopper.join(WAIT)
        assert finished == [True]
        assert running.closed(2) == ["stopped", "stopped"]
        with pytest.raises(OSError, match="refused"):
            running.connect()


def test_stop_does_not_wait_for_a_stuck_handler_beyond_its_time() -> None:
    began, go_on = threading.Event(), threading.Event()

    def handle(payload: bytes, _: PeerAddress) -> bytes:
        began.set()
        go_on.wait(WAIT)
        return payload

    with serving(handle) as running, running.connect() as connection:
        connection.sendall(frame(b"stuck") + frame(b"never handled"))
        assert began.wait(WAIT)
        before = monotonic()
        assert not running.server.stop(0.1)
        assert monotonic() - before < 5
        go_on.set()
        assert is_closed(connection)
        running.closed()
    assert running.events[-1][1]["messages"] == 1


def test_stop_of_a_full_listener_ends_at_once_and_twice_does_no_harm() -> None:
    with serving(limits=replace(LIMITS, connections=1)) as running, running.connect() as connection:
        connection.sendall(frame(b"x"))
        assert answers(connection, 1) == [b"got x"]
        assert running.server.stop(WAIT)
        assert running.server.stop(WAIT)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mllp")]


def test_taken_port_is_an_error_at_start() -> None:
    with serving() as running:
        other = MllpServer("127.0.0.1", running.port, echo, LIMITS, lambda _, __: None)
        with pytest.raises(OSError, match="in use"):
            other.start()
        assert other.stop(1)


def test_sender_says_when_no_answer_comes() -> None:
    with serving(lambda _, __: None) as running, pytest.raises(TimeoutError):
        list(send("127.0.0.1", running.port, [b"x"], 0.1))


def test_sender_says_when_the_peer_closes_instead() -> None:
    def handle(_: bytes, __: PeerAddress) -> bytes:
        raise CloseConnection

    with serving(handle) as running, pytest.raises(ConnectionError):
        list(send("127.0.0.1", running.port, [b"x"], WAIT))


def test_sender_does_not_read_an_endless_answer() -> None:
    def handle(_: bytes, __: PeerAddress) -> bytes:
        return b"x" * (11 * 1024 * 1024)

    with serving(handle) as running, pytest.raises(TooLong):
        list(send("127.0.0.1", running.port, [b"x"], WAIT))


def test_sender_cannot_reach_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        list(send("127.0.0.1", port, [b"x"], WAIT))
