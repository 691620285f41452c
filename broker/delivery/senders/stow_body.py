"""The body of a STOW-RS request: multipart/related of Part 10 files, streamed from the spool (PS3.18 8.6.1, RFC 2387).

Holds no instance in memory: heads alone. Its length is known before it is sent.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.delivery.content import Content, from_spool
from broker.spool import part10
from broker.spool.model import SpooledInstance

PIECE = 256 * 1024
"""Bytes that are sent at once; `timeout_seconds` counts for each."""

_PART_HEADER = b"Content-Type: application/dicom\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One instance: our Part 10 head, and the data set as this destination gets it."""

    head: bytes
    content: Content

    @property
    def length(self) -> int:
        """How many bytes the file has."""
        return len(self.head) + self.content.length


class Body:
    """The parts behind each other, with a boundary of 128 random bits that no data set has."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._boundary = secrets.token_hex(16)

    @property
    def content_type(self) -> str:
        """The value of Content-Type (PS3.18 10.5.2)."""
        return f'multipart/related; type="application/dicom"; boundary={self._boundary}'

    @property
    def length(self) -> int:
        """The value of Content-Length."""
        around = len(self._opening) + len(b"\r\n")
        return sum(part.length + around for part in self._parts) + len(self._closing)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the whole body, each time anew. Raises Unavailable when the spool cannot be read."""
        for part in self._parts:
            yield self._opening + part.head
            yield from from_spool(part.content.pieces(PIECE))
            yield b"\r\n"
        yield self._closing

    @property
    def _opening(self) -> bytes:
        return f"--{self._boundary}\r\n".encode() + _PART_HEADER

    @property
    def _closing(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


def part(instance: SpooledInstance, content: Content) -> Part:
    """Return the part of one instance."""
    return Part(part10.outgoing_head(instance.facts), content)
