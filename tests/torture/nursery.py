"""`python -m tests.torture.nursery`: has the product imported once and forks `broker serve` when asked to, by lines.

A fork is a process of its own, with its own group, that can be killed at any place; it only spares the import. Requests
and answers are JSON lines: {"serve": {...}} -> {"pid": n}; {"status": pid} -> {"code": n or null}.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_READY_SECONDS = 30.0
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Life:
    """How one life of the product is to be led."""

    profile: str
    log: str
    ready: str  # a file that appears with the ports
    variables: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)  # names of `resource`
    segment: int = 0  # the size of a segment, where it is not the product's own
    idle: float = 0.0  # seconds that a free thread waits for work, where they are not the product's own
    syncs: bool = True  # False: a build that is broken on purpose, whose fdatasync and fsync do nothing


class Nursery:
    """The process that forks; may be used by one thread at a time."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        words = [*prefix, sys.executable, "-m", "tests.torture.nursery"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def start(self, life: Life) -> "Living":
        """Start `broker serve`; return it at once, ready or not."""
        return Living(self, int(self._ask({"serve": asdict(life)})["pid"]), Path(life.ready))

    def code(self, pid: int) -> int | None:
        """Return the exit code of one that has ended."""
        code = self._ask({"status": pid})["code"]
        return None if code is None else int(code)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Living:
    """One `broker serve` that was started."""

    def __init__(self, nursery: Nursery, pid: int, ready: Path) -> None:
        self.pid = pid
        self._nursery = nursery
        self._ready = ready
        self._begun = time.monotonic()
        self._code: int | None = None

    def wait_ready(self, seconds: float = _READY_SECONDS) -> float | None:
        """Return after how many seconds it was ready; None where it ended before."""
        deadline = self._begun + seconds
        while not self._ready.exists():
            if not self.lives():
                return None
            assert time.monotonic() < deadline, f"not ready after {seconds:g} s"
            time.sleep(0.01)
        return time.monotonic() - self._begun

    def lives(self) -> bool:
        """Tell whether it runs."""
        if self._code is None:
            self._code = self._nursery.code(self.pid)
        return self._code is None

    def wait_end(self, seconds: float) -> int | None:
        """Return its exit code; None where it still runs then."""
        deadline = time.monotonic() + seconds
        while self.lives() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._code

    def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        assert self.wait_end(10.0) is not None, "SIGKILL did not end it"
        deadline = time.monotonic() + 10
        while _group_lives(self.pid) and time.monotonic() < deadline:
            self._nursery.code(self.pid)  # reaps those that have lost their parent
            time.sleep(0.005)

    def stop(self, seconds: float = 40.0) -> int | None:
        """SIGTERM; return its exit code, None where it did not end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        code = self.wait_end(seconds)
        self.kill()
        return code


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Fork what is asked for until standard input ends; then end what still lives."""
    import broker.app.serve
    import broker.cli.serve  # noqa: F401 - what a command would load

    gc.freeze()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what loses its parent is ours to reap
    ended: dict[int, int] = {}
    lives: set[int] = set()
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        if "serve" in asked:
            pid = os.fork()
            if pid == 0:
                _live(Life(**asked["serve"]))
            lives.add(pid)
            print(json.dumps({"pid": pid}), flush=True)
        else:
            _reap(ended)
            print(json.dumps({"code": ended.get(asked["status"])}), flush=True)
    for pid in lives - ended.keys():
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _reap(ended: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])


def _live(life: Life) -> None:
    """Be `broker serve`; never returns."""
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(life.variables)
        for name, value in life.limits.items():
            number = getattr(resource, name)
            resource.setrlimit(number, (value, value))
        code = _serve(life)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - a forked process must never come back
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(life: Life) -> int:
    from broker.app.serve import serve
    from broker.dimse import workers
    from broker.environments import profile as profiles
    from broker.errors import BrokerError
    from broker.spool.segments import SegmentWriter

    if life.segment:
        SegmentWriter.__init__.__defaults__ = (life.segment,)
    if life.idle:
        workers._IDLE = life.idle
    if not life.syncs:
        os.fdatasync = os.fsync = lambda _descriptor: None  # type: ignore[assignment]

    def announce(ports: Mapping[str, int]) -> None:
        temporary = Path(f"{life.ready}.{threading.get_ident()}")
        temporary.write_text(json.dumps(dict(ports)))
        temporary.rename(life.ready)

    try:
        return serve(profiles.read(Path(life.profile)), announce)
    except BrokerError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 78


if __name__ == "__main__":
    main()
