"""The identifiers file of a world: keyed hashes, a line each, only ever added to. Knows nothing of what they mean.

A line is the letter of the kind, a blank and 32 hexadecimal digits. What a stop has cut off is no line: it is passed
over, and written again from the database at the next start.
"""

import hashlib
import hmac
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from broker import durable
from broker.tripwires.model import Identifier, Kind

_PLACE = "identifiers"
_OCTETS = 16
_LINE = 2 + 2 * _OCTETS + 1
_KINDS = frozenset(kind.value for kind in Kind)


class Hashing:
    """Turns identifiers into keyed hashes: without the site's key nobody can try out patient numbers."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def __call__(self, identifier: Identifier) -> bytes:
        """Return the first half of HMAC-SHA256 over kind, issuer and value (RFC 2104, 5: truncation)."""
        kind = Kind.LIVE if identifier.kind is Kind.ENDED else identifier.kind
        text = "\x1f".join((kind.value, identifier.issuer, identifier.value))
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()[:_OCTETS]


class IdentifiersFile:
    """One file, of which this process knows everything up to where it has read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read = 0
        self._rest = b""
        self._known: set[bytes] = set()
        self._node = 0

    def known(self, hashes: Iterable[bytes]) -> set[bytes]:
        """Return those of these that stand in the file now. Raises OSError where it cannot be read."""
        with self._lock:
            self._read_on()
            return self._known.intersection(hashes)

    def add(self, lines: Iterable[tuple[Kind, bytes]]) -> None:
        """Make hashes durable that do not stand there yet. Raises OSError."""
        with self._lock:
            if self._path.exists():
                self._read_on()
            else:
                durable.make_directory(self._path.parent)
            new = [(kind, each) for kind, each in dict.fromkeys(lines) if not self._stands(kind, each)]
            if not new:
                return
            torn = b"\n" if self._rest else b""
            durable.append(self._path, torn + b"".join(_line(kind, each) for kind, each in new), _PLACE)
            self._read_on()

    def make(self) -> None:
        """Let the file exist, so that the other world can tell nothing from unreadable. Raises OSError."""
        if not self._path.exists():
            durable.make_directory(self._path.parent)
            durable.append(self._path, b"# identifiers, version 1\n", _PLACE)

    def _stands(self, kind: Kind, each: bytes) -> bool:
        return (each not in self._known) if kind is Kind.ENDED else (each in self._known)

    def _read_on(self) -> None:
        with self._path.open("rb") as stream:
            length = stream.seek(0, os.SEEK_END)
            inode = os.fstat(stream.fileno()).st_ino
            if length < self._read or inode != self._node:  # another file: it is read from its beginning
                self._read, self._rest, self._known, self._node = 0, b"", set(), inode
            if length == self._read:
                return
            stream.seek(self._read)
            content = self._rest + stream.read()
        self._read += len(content) - len(self._rest)
        *lines, self._rest = content.split(b"\n")
        for line in lines:
            self._note(line)

    def _note(self, line: bytes) -> None:
        if len(line) != _LINE - 1 or chr(line[0]) not in _KINDS:
            return
        try:
            each = bytes.fromhex(line[2:].decode("ascii"))
        except ValueError:
            return
        if chr(line[0]) == Kind.ENDED.value:
            self._known.discard(each)
        else:
            self._known.add(each)


def _line(kind: Kind, each: bytes) -> bytes:
    return f"{kind.value} {each.hex()}\n".encode()
