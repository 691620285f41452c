"""The identifiers file of a world: keyed hashes, a line each, only ever added to. Knows nothing of what they mean.

A line is the letter of the kind, a blank and 32 hexadecimal digits. What a stop has cut off is no line: it is passed
over, and written again from the database at the next start. What is neither was not written by us. The first line says
whose the file is and what its key hashes a known text to, so that a copy and another key are noticed.
"""

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from broker import durable
from broker.tripwires.model import Identifier, Kind

_PLACE = "identifiers"
_OCTETS = 16
_LINE = 2 + 2 * _OCTETS + 1
_KINDS = frozenset(kind.value for kind in Kind)
_HEAD = re.compile(rb"# identifiers 1 (\S+) ([0-9a-f]+)")
_CUT_OFF = re.compile(rb"[A-Za-z]?( [0-9a-f]{0,31})?")
_FIRST_LINE = 256  # octets


@dataclass(frozen=True, slots=True)
class Header:
    """Whose a file is, and what tells its key from another without giving it away. Empty: it does not say."""

    world: str = ""
    key_check: str = ""

    def line(self) -> bytes:
        """Return it as it stands in the file."""
        return f"# identifiers 1 {self.world} {self.key_check}\n".encode()


class Hashing:
    """Turns identifiers into keyed hashes: without the site's key nobody can try out patient numbers."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def __call__(self, identifier: Identifier) -> bytes:
        """Return the first half of HMAC-SHA256 over kind, issuer and value (RFC 2104, 5: truncation)."""
        kind = Kind.LIVE if identifier.kind is Kind.ENDED else identifier.kind
        text = "\x1f".join((kind.value, identifier.issuer, identifier.value))
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()[:_OCTETS]

    def check(self) -> str:
        """Return what tells this key from another."""
        return hmac.new(self._key, b"identifiers", hashlib.sha256).hexdigest()[:16]


class IdentifiersFile:
    """One file, of which this process knows everything up to where it has read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read = 0
        self._rest = b""
        self._known: set[bytes] = set()
        self._node = 0
        self._header = Header()
        self._is_damaged = self._has_shrunk = False

    @property
    def exists(self) -> bool:
        """Tell whether it is there."""
        return self._path.exists()

    @property
    def header(self) -> Header:
        """Whose it was when it was read last."""
        return self._header

    @property
    def is_damaged(self) -> bool:
        """Tell whether something stands there that we did not write."""
        return self._is_damaged

    def take_shrunk(self) -> bool:
        """Tell once whether it has become shorter, which nobody of us makes it."""
        found, self._has_shrunk = self._has_shrunk, False
        return found

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

    def make(self, header: Header) -> None:
        """Let the file exist, so that the other world can tell nothing from unreadable. Raises OSError."""
        with self._lock:
            if self._path.exists():
                self._read_on()
            else:
                self._forget()
                durable.make_directory(self._path.parent)
            if self._header != header:  # new, or its key is another since
                durable.append(self._path, (b"\n" if self._rest else b"") + header.line(), _PLACE)

    def _forget(self) -> None:
        self._read, self._rest, self._known, self._node = 0, b"", set(), 0
        self._header, self._is_damaged = Header(), False

    def _stands(self, kind: Kind, each: bytes) -> bool:
        return (each not in self._known) if kind is Kind.ENDED else (each in self._known)

    def _read_on(self) -> None:
        with self._path.open("rb") as stream:
            length = stream.seek(0, os.SEEK_END)
            inode = os.fstat(stream.fileno()).st_ino
            if length < self._read or inode != self._node:  # another file: it is read from its beginning
                self._has_shrunk |= length < self._read
                self._forget()
                self._node = inode
            if length == self._read:
                return
            stream.seek(self._read)
            content = self._rest + stream.read()
        self._read += len(content) - len(self._rest)
        *lines, self._rest = content.split(b"\n")
        for line in lines:
            self._note(line)

    def _note(self, line: bytes) -> None:
        if line.startswith(b"#"):
            found = _HEAD.fullmatch(line)
            self._header = Header(found[1].decode(), found[2].decode()) if found else self._header
            return
        each = _hash_in(line)
        if each is None:
            self._is_damaged |= _CUT_OFF.fullmatch(line) is None
            return
        if chr(line[0]) == Kind.ENDED.value:
            self._known.discard(each)
        else:
            self._known.add(each)


def written_by(path: Path) -> str:
    """Return the world whose file this is; empty where it does not say, or cannot be read."""
    try:
        with path.open("rb") as stream:
            found = _HEAD.match(stream.readline(_FIRST_LINE))
    except OSError:
        return ""
    return found[1].decode("ascii", "replace") if found else ""


def _hash_in(line: bytes) -> bytes | None:
    if len(line) != _LINE - 1 or chr(line[0]) not in _KINDS:
        return None
    try:
        return bytes.fromhex(line[2:].decode("ascii"))
    except ValueError:
        return None


def _line(kind: Kind, each: bytes) -> bytes:
    return f"{kind.value} {each.hex()}\n".encode()
