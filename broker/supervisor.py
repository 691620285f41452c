"""Several processes under one parent: started, watched, restarted, stopped. Knows nothing of what they do.

Children are forked, so that a library is imported once. A child that loses its parent ends itself.
"""

import gc
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FrameType

from broker import failpoints
from broker.errors import BrokerError, Unavailable
from broker.journal import log

Ports = dict[str, int]
Part = Callable[[Ports, Callable[[Ports], None], threading.Event], None]
"""One process's work: (ports bound before a restart, tell that all is ready, when to stop) -> returns at the end."""

STOP_SECONDS = 30.0
_RESTART_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0)
_EXIT_CRASHED = 1
_EXIT_UNAVAILABLE = 75  # for now: after the start it is tried again
_EXIT_MISCONFIGURED = 78
EXIT_INTERRUPTED = 130
"""Of a run that Ctrl-C ended before all parts were ready; later it is how a run is ended."""
_ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass
class _Child:
    name: str
    part: Part
    pid: int = 0
    ready_pipe: int = -1
    ports: Ports = field(default_factory=dict)
    ready: bool = False
    restarts: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs the parts until SIGTERM or SIGINT. Must be used before any thread is started."""

    def __init__(self, parts: Mapping[str, Part], on_ready: Callable[[Ports], None]) -> None:
        self._children = [_Child(name, part) for name, part in parts.items()]
        self._on_ready = on_ready
        self._announced = False
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Run; return the exit code: 0 after a clean stop, 1 when a part could not start, or EXIT_INTERRUPTED."""
        self._wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer)
        for number in _ENDING:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop
        # Every child holds the reading end; when the parent is gone, it reads the end of the pipe.
        self._life_reader, self._life_writer = os.pipe()
        gc.collect()
        gc.freeze()  # what was loaded stays: a child's collections pass it by, and its pages remain shared with us
        for child in self._children:
            self._start(child)
        while not self._stopping:
            self._turn()
        self._stop_all()
        return self._exit_code

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and not self._announced:
            self._exit_code = EXIT_INTERRUPTED
        self._stopping = True

    def _turn(self) -> None:
        """Wait for a signal, a child's word or a restart's time, and act on it."""
        pipes = {c.ready_pipe: c for c in self._children if c.ready_pipe >= 0}
        for descriptor in self._drain(0.2, pipes):
            self._hear(pipes[descriptor])
        for child in self._children:
            self._look_after(child)

    def _drain(self, seconds: float, pipes: Iterable[int] = ()) -> list[int]:
        """Wait for a signal or one of the pipes; return the pipes that have something to say."""
        readable, _, _ = select.select([self._wake, *pipes], [], [], seconds)
        if self._wake in readable:
            os.read(self._wake, 4096)
        return [descriptor for descriptor in readable if descriptor != self._wake]

    def _hear(self, child: _Child) -> None:
        line = os.read(child.ready_pipe, 65536)
        os.close(child.ready_pipe)
        child.ready_pipe = -1
        if not line:
            return
        child.ports = json.loads(line)
        child.ready = True
        if not self._announced and all(c.ready for c in self._children):
            self._announced = True
            self._on_ready({name: port for c in self._children for name, port in c.ports.items()})

    def _look_after(self, child: _Child) -> None:
        if child.pid and (status := _reap(child.pid)) is not None:
            child.pid = 0
            self._after_end(child, status)
        elif child.restart_at is not None and time.monotonic() >= child.restart_at:
            self._start(child)

    def _after_end(self, child: _Child, status: int) -> None:
        if self._stopping:
            return
        if status == _EXIT_MISCONFIGURED or not self._announced:
            self._exit_code = 1
            self._stopping = True
            return
        pause = _RESTART_SECONDS[min(child.restarts, len(_RESTART_SECONDS) - 1)]
        log.error("process.ended", process=child.name, status=status, restart_in_seconds=pause)
        child.restarts += 1
        child.restart_at = time.monotonic() + pause

    def _start(self, child: _Child) -> None:
        reader, writer = os.pipe()
        restarted = child.restart_at is not None
        # Until the child has handlers of its own, ours would take its end for ours and forget it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._be(child, writer, restarted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        os.close(writer)
        child.pid, child.ready_pipe, child.restart_at = pid, reader, None

    def _be(self, child: _Child, writer: int, restarted: bool) -> None:
        """Live the child's life; never returns."""
        code = _EXIT_CRASHED
        try:
            gc.enable()  # who starts fast has loaded without it
            os.close(self._life_writer)
            if restarted:
                failpoints.disarm()
            code = _live(child, writer, self._life_reader)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _stop_all(self) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(c.pid for c in self._children) and time.monotonic() < deadline:
            self._drain(0.05)
            for child in self._children:
                if child.pid and _reap(child.pid) is not None:
                    child.pid = 0
        for child in self._children:
            if child.pid:
                log.error("process.killed", process=child.name, after_seconds=STOP_SECONDS)
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                self._exit_code = 1


def _live(child: _Child, writer: int, life: int) -> int:
    threading.excepthook = _tell_of_thread
    stop = threading.Event()
    _set_at_end(stop)
    threading.Thread(target=_end_with_parent, args=(life,), name="life", daemon=True).start()

    def ready(ports: Ports) -> None:
        os.write(writer, json.dumps(ports).encode() + b"\n")
        os.close(writer)

    try:
        child.part(child.ports, ready, stop)
    except BrokerError as error:
        log.error("process.failed", process=child.name, why=str(error))
        return _EXIT_UNAVAILABLE if isinstance(error, Unavailable) else _EXIT_MISCONFIGURED
    except Exception:  # noqa: BLE001 - outermost loop: whatever ends a process is told
        log.error("process.crashed", process=child.name, exc_info=True)
        return _EXIT_CRASHED
    return 0


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    """Log what ended a thread that nobody looks after; unhandled it would be printed with its text."""
    name = ended.thread.name if ended.thread else ""
    log.error("thread.crashed", thread=name, exc_info=ended.exc_value)


def _set_at_end(stop: threading.Event) -> None:
    """Have `stop` set when this process is told to end.

    By a thread: a handler runs between any two steps of the main thread, which may just hold the event's own lock, and
    would wait for it for ever.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in _ENDING:
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=_set_at_word, args=(reader, stop), name="end", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _set_at_word(reader: int, stop: threading.Event) -> None:
    os.read(reader, 1)
    stop.set()


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(70)


def _reap(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None
