"""Programs of ours as processes without the second that each start of an interpreter and its imports takes.

One process has the product imported; asked to, it forks one that runs a module as `python -m` does, with files,
variables, folder and session of its own, and ends as an interpreter ends. It can be killed and waited for like any
other. Only the imports are shared: what a start itself loads, and how long it takes, is for tests that use none of it.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
BROKER = [str(Path(sys.executable).with_name("broker"))]
PRELOADED = (
    "alembic.command",
    "broker.app.serve",
    "tests.peers.certificates",
    "tests.tables",
)
_LONGEST_REQUEST = 1 << 17
_STARTED = "from tests.peers.nursery import main; main()"


class Forked:
    """A process of the nursery's; what `subprocess.Popen` says and does, as far as tests use it."""

    def __init__(self, pid: int, status: int, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            word = os.read(self._status, 16)
            assert word, "the nursery has ended"
            os.close(self._status)
            self.returncode = int(word)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Forked


class Nursery:
    """The process that forks, started when it is first asked."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, request: Mapping[str, Any], files: Sequence[int]) -> int:
        """Have it fork; `files` are standard input, output and errors, and where the exit code is to be written."""
        with self._turn:
            if self._process is None:
                self._begin()
            answer = b""
            with suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._ours, [json.dumps(request).encode()], files)
                answer = self._ours.recv(32)
        assert answer, "the nursery has ended: its errors are among those of the test that started it"
        return int(answer)

    def _begin(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _STARTED, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()

    def close(self) -> None:
        """End it, and what it has forked and still runs."""
        if self._process is not None:
            self._ours.close()
            self._process.wait(20)
            self._process = None


_open: Nursery | None = None


@contextmanager
def opened() -> Iterator[None]:
    """For the block, have programs forked rather than started."""
    global _open  # noqa: PLW0603 - one for all tests of a process
    _open = Nursery()
    atexit.register(_open.close)
    try:
        yield
    finally:
        _open.close()
        _open = None


def program(
    module: str,
    words: Sequence[str],
    errors: IO[bytes],
    variables: Mapping[str, str] | None = None,
    *,
    takes_input: bool = False,
) -> Process:
    """Start `python -m MODULE WORDS` in a session of its own: forked where a nursery is open, else as it is.

    What it prints can be read from its `stdout`; it has a `stdin` where it takes input.
    """
    if _open is None:
        return started(module, words, errors, variables, takes_input=takes_input)
    request = {
        "module": module,
        "words": [*words],
        "folder": str(Path.cwd()),
        "variables": {**os.environ, **(variables or {})},
    }
    given, to_it = os.pipe() if takes_input else (os.open(os.devnull, os.O_RDONLY), -1)
    from_it, said = os.pipe()
    status, ended = os.pipe()
    try:
        pid = _open.start(request, [given, said, errors.fileno(), ended])
    finally:
        for descriptor in (given, said, ended):
            os.close(descriptor)
    stdin = os.fdopen(to_it, "wb", buffering=0) if takes_input else None
    return Forked(pid, status, stdin, os.fdopen(from_it, "rb"))


def started(
    module: str,
    words: Sequence[str],
    errors: IO[bytes],
    variables: Mapping[str, str] | None = None,
    *,
    takes_input: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the same by a start of its own: for `broker`, the installed command."""
    return subprocess.Popen(
        [*(BROKER if module == "broker" else (sys.executable, "-m", module)), *words],
        stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **(variables or {})},
        start_new_session=True,
    )


# --- the process that forks --------------------------------------------------------------------------------------


def main() -> None:
    """Fork what is asked for until whoever asks is gone; then end what still lives."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(ROOT)
    for module in PRELOADED:
        importlib.import_module(module)
    for noun in importlib.import_module("broker.cli").NOUNS.values():
        importlib.import_module(noun.at.partition(":")[0])
    gc.collect()
    gc.freeze()
    lives: dict[int, tuple[int, int]] = {}  # by a descriptor of the process: its number, and where its end is told
    while True:
        ready, _, _ = select.select([asked, *lives], [], [])
        for descriptor in ready:
            if descriptor is not asked:
                _tell_end(descriptor, *lives.pop(descriptor))
        if asked in ready:
            request, files, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, 4)
            if not request:
                break
            pid = os.fork()
            if pid == 0:
                os.setsid()
                asked.send(str(os.getpid()).encode())  # not before it can be killed as a session
                asked.close()
                _become(json.loads(request), files)
            lives[os.pidfd_open(pid)] = (pid, files.pop())
            for descriptor in files:
                os.close(descriptor)
    for pid, _ in lives.values():
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _tell_end(descriptor: int, pid: int, told: int) -> None:
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(told)
    os.close(descriptor)


def _become(request: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the program. Ends as any does: by the way out of the interpreter."""
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, 1024)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    time.tzset()
    sys.argv = [request["module"], *request["words"]]
    runpy.run_module(request["module"], run_name="__main__")
    sys.exit()
