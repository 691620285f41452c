"""Ctrl-C, as a terminal sends it, at every stage of a command: one line, exit 130, and all or nothing is done."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.peers.processes import wait_for
from tests.unit.cli.conftest import Command

LINE = "interrupted: nothing is left half written\n"
ADD = ("user", "add", "ann", "--role", "administrator", "--env", "test")


@pytest.fixture(autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """Have programs take SIGINT, even where these tests run in the background of a script: there it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def started(
    words: tuple[str, ...], trace: Path | None = None, held_at: str = "", seconds: int = 60
) -> Iterator[subprocess.Popen[str]]:
    """Start `broker` with these words; it waits for so long where it is `held_at`, and says so in the `trace`."""
    hooks = {"BROKER_TEST_HOOKS": "1", "BROKER_FAIL": f"{held_at}:1:delay={seconds}", "BROKER_FAIL_TRACE": str(trace)}
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **(hooks if held_at else {})},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def interrupted(process: subprocess.Popen[str], when: Callable[[], bool]) -> str:
    """Interrupt the process and its children at this moment; return what it said on stderr."""
    wait_for("the moment of Ctrl-C", lambda: when() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    return said


def passes(trace: Path, place: str) -> Callable[[], bool]:
    return lambda: trace.exists() and place in trace.read_text().splitlines()


def has_loaded(process: subprocess.Popen[str], library: str) -> Callable[[], bool]:
    return lambda: library in Path(f"/proc/{process.pid}/maps").read_text()


def test_interrupt_while_a_command_is_loaded_is_one_line(environments: Path) -> None:
    with started(("order", "list", "--env", "test")) as process:
        assert interrupted(process, has_loaded(process, "_sqlite3")) == LINE
    with started(("serve", "--env", "test")) as process:
        assert interrupted(process, has_loaded(process, "_sqlite3")) == LINE


@pytest.mark.usefixtures("no_state")
@pytest.mark.parametrize(
    "words", [("order", "list", "--env", "test"), ("serve", "--env", "test")], ids=["list", "serve"]
)
def test_interrupt_while_the_database_is_made_leaves_none_of_it(
    run: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    trace, place = tmp_path / "trace", "migrations.commit.before"
    with started(words, trace, place) as process:
        assert interrupted(process, passes(trace, place)) == LINE
    assert run("order", "list", "--env", "test", "--json").stdout == "[]\n"


@pytest.mark.parametrize(("side", "users"), [("before", 0), ("after", 1)])
def test_interrupt_beside_the_commit_of_a_change_is_all_or_nothing(
    run: Command, tmp_path: Path, side: str, users: int
) -> None:
    run("order", "list", "--env", "test")
    trace, place = tmp_path / "trace", f"people.commit.{side}"
    with started(ADD, trace, place) as process:
        assert interrupted(process, passes(trace, place)) == LINE
    assert run("user", "list", "--env", "test", "--json").stdout.count('"ann"') == users


def test_interrupt_of_a_start_whose_processes_are_not_ready_ends_them_first(environments: Path, tmp_path: Path) -> None:
    profile = environments / "test.toml"
    profile.write_text(re.sub(r"port = \d+", "port = 0", profile.read_text()))
    trace, place = tmp_path / "trace", "outbox.commit.before"
    with started(("serve", "--env", "test"), trace, place, seconds=1) as process:
        *logged, last = interrupted(process, passes(trace, place)).splitlines()
    assert last == "interrupted before it was ready"
    assert [json.loads(line)["level"] for line in logged] == ["info"] * len(logged)


def test_interrupt_that_whoever_started_us_wants_ignored_is_ignored(environments: Path) -> None:
    command = f"trap '' INT; exec {sys.executable} -m broker order list --env test --json"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as process:
        wait_for("the command to be loaded", has_loaded(process, "_sqlite3"))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "[]\n"
        assert process.returncode == 0
