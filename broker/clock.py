"""What time it is, in UTC, and how tests shift it. The only reader of the system clock."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Where instants and durations come from."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for durations and deadlines."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()


class ShiftedClock(SystemClock):
    """The machine's clock moved by the seconds that a file holds; the file may change while we run."""

    def __init__(self, offset_file: Path) -> None:
        self._offset_file = offset_file

    def now(self) -> datetime:
        """Return the shifted instant; a missing or unreadable offset counts as none."""
        return super().now() + timedelta(seconds=self._offset())

    def _offset(self) -> float:
        try:
            return float(self._offset_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0.0


def from_environment() -> Clock:
    """Return the clock this process runs by: shifted only with `BROKER_TEST_HOOKS=1` and `BROKER_CLOCK_OFFSET_FILE`."""
    offset_file = os.environ.get("BROKER_CLOCK_OFFSET_FILE")
    if offset_file and os.environ.get("BROKER_TEST_HOOKS") == "1":
        return ShiftedClock(Path(offset_file))
    return SystemClock()


def rfc3339(instant: datetime) -> str:
    """Return an instant as RFC 3339 text with its offset, to the millisecond."""
    return instant.isoformat(timespec="milliseconds")
