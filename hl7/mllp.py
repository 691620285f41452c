"""The minimal lower layer protocol without a socket: bytes in, frames out. Reads nothing inside a frame."""

import re
from dataclasses import dataclass

from hl7.errors import Hl7Error

START_BLOCK = b"\x0b"
END_BLOCK = b"\x1c\r"
DEFAULT_MAXIMUM = 10 * 1024 * 1024
_FS = b"\x1c"
_CR = 0x0D
_MARK = re.compile(b"[\x0b\x1c]")

BETWEEN_FRAMES = "bytes between frames"
RESTARTED = "a start block inside a frame"
ENDED = "the stream ended inside a frame"


@dataclass(frozen=True, slots=True)
class Frame:
    """A complete payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Discarded:
    """How many bytes were thrown away, and why."""

    count: int
    reason: str


Event = Frame | Discarded


class TooLong(Hl7Error):
    """A frame, or what stands between two, is over the limit. `events` came before it and are still good."""

    def __init__(self, maximum: int, events: list[Event]) -> None:
        super().__init__("102", "", f"a frame of more than {maximum} bytes")
        self.events = events


def frame(payload: bytes) -> bytes:
    """Return a payload between start block and end block."""
    return START_BLOCK + payload + END_BLOCK


class Framer:
    """Finds frames in a stream, however it is cut. Takes time in proportion to the bytes.

    An end block is FS and CR; an FS without CR is data, so an FS at the end of what has come waits for its next byte.
    A start block inside a frame means that the sender began anew: the partial frame is dropped.
    """

    def __init__(self, maximum: int = DEFAULT_MAXIMUM) -> None:
        self._maximum = maximum
        self._body = bytearray()
        self._in_frame = False
        self._after_fs = False
        self._between = 0
        self._restarted = 0
        self._events: list[Event] = []

    @property
    def in_frame(self) -> bool:
        """Whether a start block has come whose end block has not."""
        return self._in_frame

    def feed(self, data: bytes) -> list[Event]:
        """Return what these bytes completed, in order. Raises TooLong, after which the stream cannot be read on."""
        at = 0
        while at < len(data):
            at = self._body_from(data, at) if self._in_frame else self._hunt_from(data, at)
        self._report_restarts()
        return self._taken()

    def end(self) -> list[Event]:
        """Return what is lost now that the stream has ended."""
        self._report_between()
        if self._in_frame:
            self._events.append(Discarded(1 + len(self._body) + self._after_fs, ENDED))
        self._in_frame = self._after_fs = False
        self._body.clear()
        return self._taken()

    def _hunt_from(self, data: bytes, at: int) -> int:
        start = data.find(START_BLOCK, at)
        self._between += (len(data) if start < 0 else start) - at
        if self._between > self._maximum:
            raise TooLong(self._maximum, self._taken())
        if start < 0:
            return len(data)
        self._report_between()
        self._in_frame = True
        return start + 1

    def _body_from(self, data: bytes, at: int) -> int:
        if self._after_fs:
            return self._after_fs_from(data, at)
        mark = _MARK.search(data, at)
        end = mark.start() if mark else len(data)
        self._append(data[at:end])
        if mark is None:
            return end
        if mark[0] == _FS:
            self._after_fs = True
        else:
            self._restarted += 1 + len(self._body)
            self._body.clear()
        return end + 1

    def _after_fs_from(self, data: bytes, at: int) -> int:
        self._after_fs = False
        if data[at] != _CR:
            self._append(_FS)
            return at
        self._report_restarts()
        self._events.append(Frame(bytes(self._body)))
        self._body.clear()
        self._in_frame = False
        return at + 1

    def _append(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > self._maximum:
            self._body.clear()
            raise TooLong(self._maximum, self._taken())
        self._body += piece

    def _report_between(self) -> None:
        if self._between:
            self._events.append(Discarded(self._between, BETWEEN_FRAMES))
            self._between = 0

    def _report_restarts(self) -> None:
        if self._restarted:
            self._events.append(Discarded(self._restarted, RESTARTED))
            self._restarted = 0

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events
