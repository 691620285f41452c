"""What is done again and again, by the clock and when it is called; and that nothing of it holds up a stop."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import structlog

from broker.app.deliveries import STOP_SECONDS, end
from broker.errors import Unavailable
from broker.journal import configure
from broker.schedule import Bell, Metronome, Rounds
from broker.supervisor import STOP_SECONDS as GRANTED
from tests.conftest import FakeClock

NEVER = 3600.0


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """What a chore waits for that does not end; it does with the test."""
    event = threading.Event()
    yield event
    event.set()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_round_is_called_at_its_beat() -> None:
    calls: list[int] = []
    rounds = Rounds({"a": (0.001, lambda: calls.append(1))})
    rounds.start()
    until(lambda: len(calls) > 2)
    rounds.end()
    assert rounds.wait(10) == []


def test_a_round_that_is_called_for_does_not_wait_for_its_beat() -> None:
    calls: list[str] = []
    rounds = Rounds({name: (NEVER, lambda name=name: calls.append(name)) for name in ("a", "b")})  # type: ignore[misc]
    rounds.start()
    rounds.call(["b"])
    until(lambda: calls == ["b"])
    rounds.end()
    assert rounds.wait(10) == []
    assert sorted(calls) == ["a", "b", "b"], "each once more at the end"


def test_a_round_that_rests_is_called_once_for_all_that_came_meanwhile() -> None:
    calls: list[float] = []
    rounds = Rounds({"a": (NEVER, lambda: calls.append(time.monotonic()))}, {"a": 0.05})
    rounds.start()
    rounds.call(["a"])
    until(lambda: len(calls) == 1)
    for _ in range(5):
        rounds.call(["a"])
    until(lambda: len(calls) == 2)
    assert calls[1] - calls[0] >= 0.049
    rounds.end()
    assert rounds.wait(10) == []
    assert len(calls) == 3, "once more at the end, without a rest"


def test_a_bell_of_another_process_calls_a_round() -> None:
    calls: list[str] = []
    bell = Bell()
    rounds = Rounds({name: (NEVER, lambda name=name: calls.append(name)) for name in ("a", "b")})  # type: ignore[misc]
    rounds.hear(bell, ["b"])
    rounds.start()
    child = os.fork()
    if child == 0:
        bell.ring()
        os._exit(0)
    os.waitpid(child, 0)
    until(lambda: calls == ["b"])
    rounds.end()
    assert rounds.wait(10) == []


def test_a_bell_that_nobody_hears_holds_up_nobody() -> None:
    bell = Bell()
    for _ in range(100_000):
        bell.ring()
    assert bell.wait(0)
    while bell.wait(0):
        pass
    bell.ring()
    assert bell.wait(0)


@pytest.mark.parametrize("calling", [Rounds, Metronome])
def test_what_fails_is_told_of_and_called_again(
    calling: type[Rounds | Metronome], capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise Unavailable("no database") if len(calls) == 1 else KeyError("a mistake of ours")

    configure("test")
    called = calling({"a": (0.001, fail)})
    called.start()
    until(lambda: len(calls) > 2)
    called.end()
    assert called.wait(10) == []
    structlog.reset_defaults()
    first, second, *_ = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["why"]) == ("chore.failed", "no database")
    assert (second["event"], second["error"]) == ("chore.failed", "KeyError")
    assert "a mistake of ours" not in str(second), "it may be what a patient is called"


def test_a_metronome_that_has_ended_calls_nothing_any_more() -> None:
    calls: list[int] = []
    metronome = Metronome({"a": (0.001, lambda: calls.append(1))})
    metronome.start()
    until(lambda: calls)
    metronome.end()
    assert metronome.wait(10) == []
    count = len(calls)
    time.sleep(0.01)
    assert len(calls) == count


def test_a_stop_waits_for_what_is_on_its_way() -> None:
    begun, ended = threading.Event(), threading.Event()

    def last() -> None:
        begun.set()
        time.sleep(0.02)
        ended.set()

    metronome, rounds = Metronome({"a": (0.001, last)}), Rounds({"b": (0.001, last)})
    metronome.start()
    rounds.start()
    assert begun.wait(10)
    assert end(metronome, rounds, 10)
    assert ended.is_set()


def test_a_peer_that_never_answers_does_not_hold_up_a_stop(
    hanging: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    metronome, rounds = (
        Metronome({"tell:ris": (0.001, hanging.wait)}),
        Rounds({"deliver:pacs:1": (0.001, hanging.wait)}),
    )
    metronome.start()
    rounds.start()
    until(lambda: metronome.wait(0))
    begun = time.monotonic()
    assert not end(metronome, rounds, 0.05)
    assert time.monotonic() - begun < 5
    said = capsys.readouterr()
    assert "deliver:pacs:1" in said.out + said.err and "tell:ris" in said.out + said.err


def test_a_stop_ends_well_before_the_supervisor_kills() -> None:
    assert STOP_SECONDS <= GRANTED / 2


def test_chores_are_called_at_once_after_the_clock_was_set_back(clock: FakeClock) -> None:
    called = threading.Event()
    metronome = Metronome({"a": (NEVER, called.set)}, clock)
    metronome.start()
    metronome.mind_clock()
    assert not called.wait(0.05)
    clock.advance(-NEVER)
    metronome.mind_clock()
    assert called.wait(10)
    metronome.end()
    assert metronome.wait(10) == []
