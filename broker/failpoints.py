"""Named places where the world may end: before and after every write, sync, rename, commit and network answer.

Armed only with `BROKER_TEST_HOOKS=1` by `BROKER_FAIL=name:nth:action[,…]`; otherwise each is one comparison.
Actions: `kill` (SIGKILL of this process), `killall` (of its whole process group, as a power cut would), `enospc`,
`eio` (an OSError), `cut` (ConnectionError), `delay=SECONDS`.
"""

import errno
import os
import signal
import time
from collections.abc import Callable
from types import TracebackType

# Every place, as `<what>.<verb>`; each exists as `.before` and `.after`.
PLACES: frozenset[str] = frozenset(
    {
        "spool.write",
        "spool.sync",
        "spool.rename",
        "spool.syncdir",
        "spool.unlink",
        "segment.prewrite",
        "segment.write",
        "segment.sync",
        "segment.rename",
        "segment.syncdir",
        "segment.mark",
        "bound.write",
        "bound.sync",
        "bound.rename",
        "bound.syncdir",
        "bound.unlink",
        "folder.write",
        "folder.sync",
        "folder.rename",
        "folder.syncdir",
        "inbox.commit",
        "orders.commit",
        "associations.commit",
        "spool-index.commit",
        "registry.commit",
        "people.commit",
        "identifiers.write",
        "identifiers.sync",
        "settings.write",
        "settings.sync",
        "settings.rename",
        "settings.syncdir",
        "settings.commit",
        "promotion.serve",
        "promotion.bind",
        "promotion.show",
        "promotion.decide",
        "promotion.move",
        "promotion.record",
        "promotion.commit",
        "audit.commit",
        "alerts.commit",
        "delivery.commit",
        "delivery-lease.commit",
        "delivery-outcome.commit",
        "outbox.commit",
        "outbox-outcome.commit",
        "outbox.send",
        "mpps-lease.commit",
        "mpps-outcome.commit",
        "mpps.send",
        "proof.commit",
        "commitment.commit",
        "commitment-report.commit",
        "commitment.ask",
        "commitment.report",
        "migrations.commit",
        "hl7.answer",
        "echo.answer",
        "find.answer",
        "store.answer",
        "normalized.answer",
        "store.send",
    }
)


class _Armed:
    def __init__(self, nth: int, action: Callable[[], None]) -> None:
        self.left = nth
        self.action = action


_armed: dict[str, _Armed] = {}
_trace: str | None = None


def hit(name: str) -> None:
    """Pass the place `name`; does what `BROKER_FAIL` asks for when this is the nth time."""
    if not _armed and _trace is None:
        return
    if name.rpartition(".")[0] not in PLACES:
        raise KeyError(f"{name} is not in failpoints.PLACES")
    if _trace is not None:
        _note(_trace, name)
    armed = _armed.get(name)
    if armed is None:
        return
    armed.left -= 1
    if armed.left == 0:
        armed.action()


class around:  # noqa: N801 - it is used as the function that it stands for
    """Pass `<place>.before`, run the block, pass `<place>.after` when it succeeded.

    A class, since a generator would cost each image and each commit some microseconds for nothing.
    """

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        if _armed or _trace is not None:
            hit(f"{self._place}.before")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (_armed or _trace is not None):
            hit(f"{self._place}.after")


def hooks_allowed() -> bool:
    """Tell whether the tests' hooks (failpoints, a shifted clock) are switched on for this process."""
    return os.environ.get("BROKER_TEST_HOOKS") == "1"


def arm_from_environment() -> None:
    """Read `BROKER_FAIL` (and `BROKER_FAIL_TRACE`, a file to which each passed name is appended)."""
    global _trace  # noqa: PLW0603 - the one switch of this module, set once at start
    _armed.clear()
    _trace = None
    if not hooks_allowed():
        return
    _trace = os.environ.get("BROKER_FAIL_TRACE")
    for item in filter(None, os.environ.get("BROKER_FAIL", "").split(",")):
        name, nth, action = item.split(":", 2)
        if name.rpartition(".")[0] not in PLACES:
            raise KeyError(f"BROKER_FAIL: {name} is not in failpoints.PLACES")
        _armed[name] = _Armed(int(nth), _action(action))


def disarm() -> None:
    """Forget what was armed: a restarted process does not fail again at the same place."""
    _armed.clear()


def _action(text: str) -> Callable[[], None]:
    verb, _, argument = text.partition("=")
    match verb:
        case "kill":
            return lambda: os.kill(os.getpid(), signal.SIGKILL)
        case "killall":
            return lambda: os.killpg(os.getpgrp(), signal.SIGKILL)
        case "enospc":
            return lambda: _raise(OSError(errno.ENOSPC, "No space left on device (failpoint)"))
        case "eio":
            return lambda: _raise(OSError(errno.EIO, "Input/output error (failpoint)"))
        case "cut":
            return lambda: _raise(ConnectionResetError("connection cut (failpoint)"))
        case "delay":
            return lambda: time.sleep(float(argument))
    raise ValueError(f"BROKER_FAIL: unknown action {text!r}")


def _raise(error: Exception) -> None:
    raise error


def _note(trace: str, name: str) -> None:
    descriptor = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, name.encode() + b"\n")
    finally:
        os.close(descriptor)
