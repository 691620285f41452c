"""Several processes under one parent."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from broker.supervisor import EXIT_INTERRUPTED
from tests.peers.processes import run, wait_for

PROGRAM = """
import os, sys, threading
from pathlib import Path
from broker.errors import Misconfigured, Unavailable
from broker.journal import configure
from broker.supervisor import Supervisor

configure("test")
folder = Path(sys.argv[1])

def part(name):
    def live(ports, ready, stop):
        with (folder / f"{name}.lives").open("a") as file:
            file.write(f"{os.getpid()} {ports}\\n")
        if (folder / f"{name}.misconfigured").exists():
            raise Misconfigured("no such thing")
        if (folder / f"{name}.unavailable").exists():
            raise Unavailable("not now")
        if (folder / f"{name}.crashing").exists():
            raise ValueError("Doe^Jane")
        if (folder / f"{name}.threaded").exists():
            threading.Thread(target=int, args=["Doe^Jane"], name="reading").start()
        if not (folder / f"{name}.slow").exists():
            ready({name: 1000 + len(name)})
        stop.wait()
        (folder / f"{name}.stopped").touch()
    return live

sys.exit(Supervisor({"a": part("a"), "bb": part("bb")}, lambda ports: print(ports, flush=True)).run())
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    return subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def _pids(folder: Path, name: str) -> list[int]:
    return [int(line.split()[0]) for line in (folder / f"{name}.lives").read_text().splitlines()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_parts_are_ready_before_it_says_so_and_each_is_stopped(tmp_path: Path) -> None:
    with _start(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "{'a': 1001, 'bb': 1002}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert (tmp_path / "a.stopped").exists()
    assert (tmp_path / "bb.stopped").exists()


def test_an_interrupt_before_all_parts_are_ready_is_no_clean_stop_and_ends_them_too(tmp_path: Path) -> None:
    (tmp_path / "bb.slow").touch()
    with _start(tmp_path) as process:
        wait_for("both parts", lambda: all((tmp_path / f"{name}.lives").exists() for name in ("a", "bb")))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == EXIT_INTERRUPTED
    assert (tmp_path / "a.stopped").exists()
    assert (tmp_path / "bb.stopped").exists()


def test_a_part_that_dies_is_started_again_with_the_ports_it_had(tmp_path: Path) -> None:
    with _start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(_pids(tmp_path, "a")[0], signal.SIGKILL)
        wait_for("a second life", lambda: len(_pids(tmp_path, "a")) == 2)
        assert (tmp_path / "a.lives").read_text().splitlines()[1].endswith(json.dumps({"a": 1001}).replace('"', "'"))
        process.terminate()
        assert process.wait(20) == 0


def test_the_parts_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with _start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    for name in ("a", "bb"):
        wait_for(f"{name} ended", lambda n=name: not _is_alive(_pids(tmp_path, n)[0]))


@pytest.mark.parametrize("name", ["a", "bb"])
def test_a_part_that_cannot_start_ends_all_with_exit_code_1(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.misconfigured").touch()
    with _start(tmp_path) as process:
        assert process.wait(20) == 1


def test_what_is_not_to_be_had_ends_a_start_and_is_tried_again_later(tmp_path: Path) -> None:
    (tmp_path / "a.unavailable").touch()
    with _start(tmp_path) as process:
        assert process.wait(20) == 1
    (tmp_path / "a.unavailable").unlink()
    with _start(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / "a.unavailable").touch()
        before = len(_pids(tmp_path, "a"))
        os.kill(_pids(tmp_path, "a")[-1], signal.SIGKILL)
        wait_for("two lives more", lambda: len(_pids(tmp_path, "a")) == before + 2)
        process.terminate()
        assert process.wait(20) == 0


def test_a_part_that_crashes_says_where_and_not_of_whom(tmp_path: Path) -> None:
    (tmp_path / "bb.crashing").touch()
    with _start(tmp_path) as process:
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(20) == 1
    assert "process.crashed" in told
    assert "ValueError" in told
    assert "program.py:" in told
    assert "Doe" not in told


def test_a_thread_that_crashes_is_told_of_and_not_of_whom(tmp_path: Path) -> None:
    (tmp_path / "bb.threaded").touch()
    with _start(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        told = process.stderr.readline()
        process.terminate()
        assert process.wait(20) == 0
    assert '"thread": "reading"' in told
    assert '"error": "ValueError"' in told
    assert "Doe" not in told


SIGNALLED = """
import os, signal, sys
from broker.supervisor import Supervisor

def live(ports, ready, stop):
    ready({})
    with stop._cond:  # as `wait` does for a moment
        os.kill(os.getpid(), signal.SIGTERM)
    print(stop.wait(5), flush=True)
    os.kill(os.getppid(), signal.SIGTERM)

sys.exit(Supervisor({"a": live}, lambda ports: None).run())
"""


def test_a_part_that_is_told_to_end_while_it_begins_to_wait_ends() -> None:
    done = run([sys.executable, "-c", SIGNALLED], 20, PYTHONPATH=str(Path(__file__).parents[2]))
    assert done.stdout.split()[:1] == ["True"]
