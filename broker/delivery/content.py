"""The bytes of an instance on their way to a destination: slices of its spool file, and bytes of ours between them.

Owns no file and decides nothing; what stands between the slices is `correction`'s. Every sender gets an instance's
bytes from here (`Way.open`), so that what a destination's rule alters is altered for each protocol alike.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Rejected, Unavailable

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Slice:
    """`length` bytes at `offset` of the file."""

    offset: int
    length: int


Part = bytes | Slice


class CannotCorrect(Rejected):
    """The instance does not allow what the destination's rule asks for; the text says why, without its values."""


@dataclass(frozen=True, slots=True)
class Content:
    """A data set in its transfer syntax, as one destination gets it. Only `bytes` parts are held in memory."""

    path: Path  # of the file that the slices are of
    head: Callable[[], bytes]  # gives preamble, prefix and File Meta Information (PS3.10 7.1), to whom it concerns
    parts: tuple[Part, ...]

    @property
    def length(self) -> int:
        """How many bytes the data set has, for whoever must say it first."""
        return sum(_length(part) for part in self.parts)

    @property
    def part10_length(self) -> int:
        """How many bytes `part10` gives."""
        return len(self.head()) + self.length

    def pieces(self, size: int = _PIECE) -> Iterator[bytes]:
        """Yield the data set in pieces of at most `size` bytes. Raises OSError where the file cannot be read."""
        return self._read(self.parts, size)

    def part10(self, size: int = _PIECE) -> Iterator[bytes]:
        """Yield the whole Part 10 file, its head first. Raises OSError likewise."""
        return self._read((self.head(), *self.parts), size)

    def _read(self, parts: tuple[Part, ...], size: int) -> Iterator[bytes]:
        with self.path.open("rb") as stream:
            for part in parts:
                if isinstance(part, bytes):
                    yield from (part[at : at + size] for at in range(0, len(part), size))
                    continue
                stream.seek(part.offset)
                left = part.length
                while left:
                    piece = stream.read(min(size, left))
                    if not piece:
                        raise OSError("the spool file is shorter than it should be")
                    left -= len(piece)
                    yield piece


def from_spool(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what is read of the spool. A read that fails is said to be its own: it would pass for the peer's failure.

    Raises Unavailable.
    """
    try:
        yield from pieces
    except OSError as error:
        raise Unavailable(f"the spool cannot be read: {error.strerror or error}") from error


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part.length
