"""How fast a destination is sent to: a token bucket, decided purely, and the thin thing that waits by it.

One for all associations to a destination, so that together they stay below its `bandwidth_kbit`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from broker.errors import Unavailable

_SLOWEST = 10_000  # kbit/s that is assumed of a line of which the profile says nothing
_PIECE_SECONDS = 0.25  # a piece is what a quarter of a second has room for: a peer never hears nothing for long
_LEAST, _MOST = 1024, 256 * 1024


@dataclass(frozen=True, slots=True)
class Bucket:
    """What may be sent now (`level`, in bytes; below 0 it is owed), and how much more each second."""

    rate: float  # bytes a second
    level: float
    at: float  # monotonic seconds

    @property
    def piece(self) -> int:
        """How many bytes are sent at once."""
        return min(max(int(self.rate * _PIECE_SECONDS), _LEAST), _MOST)


def full(kbit: int, now: float) -> Bucket:
    """Return the bucket of a line of so many kbit/s that has sent nothing for a while."""
    rate = kbit * 1000 / 8
    empty = Bucket(rate, 0.0, now)
    return replace(empty, level=float(empty.piece))


def take(bucket: Bucket, octets: int, now: float) -> tuple[Bucket, float]:
    """Return the bucket without so many bytes, and the seconds to wait before they may be sent.

    It holds no more than one piece: after a pause nothing is caught up on. A clock that goes back changes nothing.
    """
    level = min(bucket.level + max(now - bucket.at, 0.0) * bucket.rate, float(bucket.piece)) - octets
    return replace(bucket, level=level, at=max(now, bucket.at)), max(-level / bucket.rate, 0.0)


def seconds_for(octets: int, kbit: int) -> float:
    """Return how long an instance may take on its way, for the lease that covers it."""
    return octets * 8 / ((kbit or _SLOWEST) * 1000)


class Pacer:
    """Cuts what is to be sent into pieces, and gives each when the line has room for it. For several threads."""

    def __init__(
        self, kbit: int, wait: Callable[[float], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take `wait`, which waits for so many seconds and tells whether we are to stop meanwhile."""
        self._wait = wait
        self._now = monotonic
        self._lock = threading.Lock()
        self._bucket = full(kbit, monotonic())

    def __call__(self, ready: bytes | memoryview) -> Iterator[memoryview]:
        """Yield pieces. Raises Unavailable when we are to stop."""
        size = self._bucket.piece
        with memoryview(ready) as view:
            for start in range(0, len(view), size):
                piece = view[start : start + size]
                with self._lock:
                    self._bucket, seconds = take(self._bucket, len(piece), self._now())
                if seconds and self._wait(seconds):
                    raise Unavailable("we stop: what was on its way is sent again after the next start")
                yield piece
