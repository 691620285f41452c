"""What is demanded of every case, and what was seen: answer times, the server's memory, violations."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ANSWER_SECONDS = 2.0
CUT_SECONDS = 1.0  # behind the deadline of a peer that still owes something
GROWTH_BYTES = 64 * 1024 * 1024
_SAMPLED_EVERY = 0.02
_KEPT = 20  # violations of a class that are printed


@dataclass
class Tally:
    """One class of bad input."""

    name: str
    cases: int = 0
    worst_seconds: float = 0.0  # of what could be answered
    worst_cut: tuple[float, float] | None = None  # of what had to be waited for: seconds, and the deadline
    growth: int = 0
    violations: list[str] = field(default_factory=list)
    violated: int = 0
    seconds: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)  # whatever its cases tell of
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def case(self, what: str, *, counts: bool = True, deadline: float = 0.0) -> Iterator[None]:
        """Time one case; whatever it raises is a violation. What only checks the case before does not count.

        `deadline` is when a peer that still owes something has to be cut.
        """
        begun = time.monotonic()
        problem = ""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - anything that comes out of a case is what we look for
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
        taken = time.monotonic() - begun
        most = deadline + CUT_SECONDS if deadline else ANSWER_SECONDS
        if taken > most and not problem:
            problem = f"took {taken:.2f} s, at most {most:.2f} s are allowed"
        with self._lock:
            self.cases += counts
            self._note(taken, deadline)
            if problem:
                self._violate(f"{what}: {problem}")

    def _note(self, taken: float, deadline: float) -> None:
        if not deadline:
            self.worst_seconds = max(self.worst_seconds, taken)
        elif self.worst_cut is None or taken - deadline > self.worst_cut[0] - self.worst_cut[1]:
            self.worst_cut = taken, deadline

    def _violate(self, text: str) -> None:
        self.violated += 1
        if len(self.violations) < _KEPT:
            self.violations.append(text)

    @contextmanager
    def measured(self, process_id: int | str) -> Iterator[None]:
        """Watch a process's resident memory while all cases of the class run."""
        begun, before = time.monotonic(), resident(process_id)
        watch = Watch(process_id)
        watch.start()
        try:
            yield
        finally:
            watch.stop()
            self.growth = max(0, watch.most - before)
            self.seconds = time.monotonic() - begun
        if self.growth > GROWTH_BYTES:
            self._violate(f"memory grew by {self.growth / 2**20:.1f} MiB")


class Watch(threading.Thread):
    """Samples a process's memory."""

    def __init__(self, process_id: int | str) -> None:
        super().__init__(daemon=True)
        self._process_id = process_id
        self._stopped = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLED_EVERY):
            self.most = max(self.most, resident(self._process_id))

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def resident(process_id: int | str) -> int:
    """Return the resident memory of a process in bytes; 0 when it has gone."""
    try:
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Run the acceptor as a process of its own; give its port and process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
