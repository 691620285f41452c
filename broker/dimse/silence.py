"""Connections that have not said anything yet: how many, and until when. Opens and closes nothing itself."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from broker.dimse.limits import Limits


@dataclass(frozen=True, slots=True)
class _Silent:
    address: str
    port: int
    until: float


class Silence:
    """Silent connections, oldest first; they cost a descriptor each, no thread and no buffer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._silent: dict[socket.socket, _Silent] = {}

    def add(self, sock: socket.socket, address: str, port: int, now: float) -> list[socket.socket]:
        """Take in a connection; return those that have to go for it, the oldest of its address or of all."""
        leaving = self._oldest_of(address)
        if leaving is None and len(self._silent) >= self._limits.silent:
            leaving = next(iter(self._silent))
        self._silent[sock] = _Silent(address, port, now + self._limits.first_byte)
        return [] if leaving is None else [leaving]

    def remove(self, sock: socket.socket) -> tuple[str, int]:
        """Let a connection out; return its address and port."""
        silent = self._silent.pop(sock)
        return silent.address, silent.port

    def expired(self, now: float) -> list[socket.socket]:
        """Return those whose time is over."""
        return list(self._expired(now))

    def close(self) -> None:
        """Close all."""
        for sock in self._silent:
            sock.close()

    def _oldest_of(self, address: str) -> socket.socket | None:
        same = [sock for sock, silent in self._silent.items() if silent.address == address]
        return same[0] if len(same) >= self._limits.silent_per_address else None

    def _expired(self, now: float) -> Iterator[socket.socket]:
        for sock, silent in self._silent.items():
            if silent.until > now:
                return
            yield sock
