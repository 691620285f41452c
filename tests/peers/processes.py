"""Processes that are always ended, and waits that always end."""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def free_port() -> int:
    """Return a loopback port that is free now, and that nobody gets who asks the system for any.

    What is started on it again must not find that some connection of somebody else's has it meanwhile.
    """
    while True:
        port = next(_NUMBERS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _numbers() -> Iterator[int]:
    """Yield numbers below those that the system gives out (ip(7), ip_local_port_range), from a place by chance."""
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    numbers = range(max(1024, end - _PORTS), end)
    assert numbers, "the system gives out all ports there are: raise net.ipv4.ip_local_port_range's first"
    begin = random.SystemRandom().randrange(len(numbers))  # several of us run at once; hypothesis seeds the other one
    yield from itertools.cycle([*numbers[begin:], *numbers[:begin]])


_PORTS = 12_000
_NUMBERS = _numbers()


def program(name: str, package: str) -> str:
    """Return where a foreign program is; its absence is a failure that names the package."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is missing: apt-get install {package}"
    return found


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Return the condition's first true value; fail with `what` when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {seconds:g} s: {what}")


def accepts(port: int) -> bool:
    """Tell whether something listens on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the block, its output in `log`; it and its children are ended by their process group."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], seconds: float = 15.0) -> None:
    """End a process started in its own session: politely, then not."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(command: Sequence[str | Path], seconds: float = 60.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its exit code is the caller's to judge."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
        env={**os.environ, **environment},
    )
