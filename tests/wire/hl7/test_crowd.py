"""Many connections at once: silent ones, dripping ones, too many of one address, and 64 good ones (H18)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import monotonic, sleep

import pytest

from hl7.client import Sender
from hl7.mllp import frame
from hl7.reply import read_acknowledgement
from hl7.server import Limits
from tests.wire.hl7.listener import WAIT, Listening, answers, is_closed, listening, order

LIMITS = Limits(connections=8, patience=0.2, patience_in_frame=0.5)


def exchange(sender: Sender, control_id: str) -> float:
    """Return the seconds that an answer took."""
    began = monotonic()
    assert read_acknowledgement(sender.exchange(order(control_id))).control_id == control_id
    return monotonic() - began


@contextmanager
def crowd(listener: Listening, silent: int, dripping: int) -> Iterator[None]:
    """Keep connections that send nothing, and ones that send a byte every second, over all of them evenly."""
    stop = threading.Event()
    with ExitStack() as stack:
        quiet = [stack.enter_context(listener.connect()) for _ in range(silent)]
        drippers = [stack.enter_context(listener.connect()) for _ in range(dripping)]
        for one in drippers:
            one.sendall(b"\x0b")

        def drip() -> None:
            while not stop.is_set():
                for one in drippers:
                    try:
                        one.sendall(b"M")
                    except OSError:
                        continue
                    if stop.wait(1 / max(1, dripping)):
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(WAIT)
            assert len(quiet) == silent


@pytest.mark.slow
def test_two_hundred_silent_and_two_hundred_dripping_do_not_delay_a_good_sender() -> None:
    with (
        listening() as running,
        Sender("127.0.0.1", running.port, WAIT) as sender,
        crowd(running, silent=200, dripping=200),
    ):
        running.await_that(lambda: running.count("mllp.opened") >= 400)
        times = sorted(exchange(sender, str(number)) for number in range(500))
    assert times[494] < 1.0  # p99
    assert len(running.taken) == 500


def test_places_that_silent_connections_hold_go_to_those_who_send() -> None:
    with listening(LIMITS) as running, crowd(running, silent=8, dripping=0):
        running.await_that(lambda: running.count("mllp.opened") == 8)
        for number in range(4):
            with Sender("127.0.0.1", running.port, WAIT) as sender:
                assert exchange(sender, str(number)) < 3
        assert set(running.why()) <= {"its place was needed", "the peer closed"}
        assert "its place was needed" in running.why()


def test_the_longest_silent_goes_first_and_one_that_has_sent_a_message_never() -> None:
    with listening(replace(LIMITS, connections=3)) as running, ExitStack() as stack:
        good = stack.enter_context(Sender("127.0.0.1", running.port, WAIT))
        exchange(good, "1")
        first, second = (stack.enter_context(running.connect()) for _ in range(2))
        running.await_that(lambda: running.count("mllp.opened") == 3)
        sleep(0.3)
        with Sender("127.0.0.1", running.port, WAIT) as newcomer:
            exchange(newcomer, "2")
            assert is_closed(first)
            second.sendall(frame(order("3")))
            assert len(answers(second, 1)) == 1
            exchange(good, "4")


def test_places_that_dripping_connections_hold_are_given_up_after_a_while() -> None:
    limits = replace(LIMITS, connections=2)
    with listening(limits) as running, running.connect() as first, running.connect() as second:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                for each in (first, second):
                    try:
                        each.sendall(b"\x0bM")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with Sender("127.0.0.1", running.port, WAIT) as sender:
            assert exchange(sender, "1") < 3
        stop.set()
        thread.join(WAIT)
        assert running.why()[0] == "its place was needed"


def test_callers_beyond_the_places_of_good_ones_wait_and_are_served_in_the_end() -> None:
    with listening(replace(LIMITS, connections=4, patience=5)) as running:
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                with Sender("127.0.0.1", running.port, 30) as sender:
                    for each in range(5):
                        exchange(sender, f"{number}-{each}")
            except OSError as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        assert len(running.taken) == 64 * 5
        assert "its place was needed" not in running.why()


def test_sixty_four_senders_at_once_are_all_served() -> None:
    barrier = threading.Barrier(64)
    with listening() as running:
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                with Sender("127.0.0.1", running.port, 30) as sender:
                    exchange(sender, f"{number}-first")
                    barrier.wait(30)
                    for each in range(5):
                        exchange(sender, f"{number}-{each}")
            except (OSError, threading.BrokenBarrierError) as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        assert len(set(running.taken)) == 64 * 6


def test_one_address_has_its_own_limit() -> None:
    limits = replace(LIMITS, per_address=2, patience=5)
    with listening(limits) as running, running.connect() as first, running.connect() as second:
        for connection in (first, second):
            connection.sendall(frame(order("1")))
            assert len(answers(connection, 1)) == 1
        with running.connect() as third:
            assert is_closed(third)
        assert running.why("mllp.refused") == ["too many connections from this address"]
        first.sendall(frame(order("2")))
        assert len(answers(first, 1)) == 1


def test_address_that_is_not_allowed_is_closed_at_once_and_takes_no_place() -> None:
    asked: list[str] = []

    def admits(host: str) -> bool:
        asked.append(host)
        return len(asked) > 3

    with listening(replace(LIMITS, connections=1), admits=admits) as running:
        for _ in range(3):
            with running.connect() as connection:
                assert is_closed(connection)
        with Sender("127.0.0.1", running.port, WAIT) as sender:
            exchange(sender, "1")
        assert running.why("mllp.refused") == ["the address is not allowed"] * 3
        assert running.count("mllp.opened") == 1
        assert set(asked) == {"127.0.0.1"}


def test_a_connection_that_fails_unforeseen_is_closed_and_the_next_one_is_taken() -> None:
    asked: list[str] = []

    def admits(host: str) -> bool:
        asked.append(host)
        if len(asked) == 1:
            raise LookupError(host)
        return True

    with listening(admits=admits) as running:
        with running.connect() as connection:
            assert is_closed(connection)
        with Sender("127.0.0.1", running.port, WAIT) as sender:
            exchange(sender, "1")
        assert running.why("mllp.accept_failed") == ["LookupError"]


def test_stop_while_somebody_waits_for_a_place_ends_at_once() -> None:
    with listening(replace(LIMITS, connections=1, patience=60)) as running, running.connect() as first:
        first.sendall(frame(order("1")))
        assert len(answers(first, 1)) == 1
        with running.connect() as waiting:
            began = monotonic()
            assert running.server.stop(WAIT)
            assert monotonic() - began < 3
            assert is_closed(waiting)


def test_stop_in_the_middle_of_a_frame_answers_what_came_whole_and_leaves_the_rest() -> None:
    with listening() as running, running.connect() as connection:
        connection.sendall(frame(order("1")) + frame(order("2")) + b"\x0b" + order("3")[:40])
        running.await_that(lambda: len(running.taken) == 2)
        assert running.server.stop(WAIT)
        assert [read_acknowledgement(answer).control_id for answer in answers(connection, 3)] == ["1", "2"]
        assert is_closed(connection)
        assert running.count("mllp.discarded") == 1


def test_sender_that_is_stopped_in_mid_frame_delivers_all_to_the_next_listener() -> None:
    sent = [str(number) for number in range(200)]
    acknowledged: list[str] = []
    stopped = threading.Event()
    with listening() as first, listening() as second:

        def work() -> None:
            for control_id in sent:
                ports = (second.port,) if stopped.is_set() else (first.port, second.port)
                for port in ports:
                    try:
                        with socket.create_connection(("127.0.0.1", port), WAIT) as connection:
                            whole = frame(order(control_id))
                            connection.sendall(whole[:30])
                            connection.sendall(whole[30:])
                            found = answers(connection, 1)
                    except OSError:
                        continue
                    if found:
                        acknowledged.append(read_acknowledgement(found[0]).control_id)
                        break

        thread = threading.Thread(target=work)
        thread.start()
        first.await_that(lambda: len(first.taken) > 20)
        assert first.server.stop(WAIT)
        stopped.set()
        thread.join(60)
        taken = {payload.split(b"|")[9].decode() for payload in first.taken + second.taken}
        assert acknowledged == sent
        assert taken == set(sent)
