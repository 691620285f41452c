"""Worklist clients whose bytes are ready: `python -m tests.bench.consoles FILE` runs many at once.

FILE is JSON: port, called title, seconds, how many at once, every how many seconds each asks (0: again at once), and
the questions, each with its calling title, its identifier in hexadecimal and how many answers are right. Each goes over
a fresh association.
"""

import json
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from broker.dimse import message
from broker.dimse.service import ProposedContext
from tests.bench import inputs
from tests.wire.dimse import raw_peer

_STATUS = b"\x00\x00\x00\x09\x02\x00\x00\x00"  # (0000,0900), two bytes long
_SECONDS = 120.0


@dataclass(frozen=True)
class Question:
    """What one console asks, and of whom."""

    calling: str
    identifier: bytes
    answers: int


class Console:
    """Asks one question again and again."""

    def __init__(self, port: int, called: str, question: Question) -> None:
        self._port = port
        self.calling, self.answers = question.calling, question.answers
        context = ProposedContext(1, inputs.WORKLIST, (raw_peer.IMPLICIT,))
        rq = raw_peer.rq((context,), 131_072, question.calling)
        self._rq = rq.replace(b"BROKER".ljust(16), called.encode().ljust(16), 1)
        find = raw_peer.data(1, 3, message.find_request(1, inputs.WORKLIST))
        self._find = find + raw_peer.data(1, 2, question.identifier)

    def __call__(self) -> int:
        """Ask once over a fresh association; return how many answers came before Success. Raises OSError."""
        with socket.create_connection(("127.0.0.1", self._port), _SECONDS) as connection:
            connection.settimeout(_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = _Reader(connection)
            connection.sendall(self._rq)
            kind, _ = reader.pdu()
            if kind != 2:
                raise ConnectionRefusedError(f"PDU type {kind}, not A-ASSOCIATE-AC")
            connection.sendall(self._find)
            pending = 0
            while (status := reader.status()) & 0xFF00 == 0xFF00:
                pending += 1
            if status != 0:
                raise ConnectionAbortedError(f"status {status:04X}")
            connection.sendall(raw_peer.RELEASE_REQUEST)
            reader.pdu()
        return pending


class _Reader:
    """Reads PDUs of one connection, and of its messages the status alone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = bytearray()

    def pdu(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU."""
        kind, length = struct.unpack(">BxI", self._take(6))
        return kind, self._take(length)

    def status(self) -> int:
        """Return the status of the next response."""
        while True:
            kind, body = self.pdu()
            if kind != 4:
                raise ConnectionAbortedError(f"PDU type {kind}")
            if body[5] & 1:
                at = body.index(_STATUS) + len(_STATUS)
                return int.from_bytes(body[at : at + 2], "little")

    def _take(self, count: int) -> bytes:
        while len(self._held) < count:
            received = self._connection.recv(262_144)
            if not received:
                raise ConnectionResetError("closed")
            self._held += received
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken


class _Crowd:
    """Consoles that ask at the same time until it is up, each at its own moment of the interval."""

    def __init__(self, consoles: list[Console], seconds: float, every: float) -> None:
        self._consoles = consoles
        self._every = every
        self._begun = time.monotonic()
        self._until = self._begun + seconds
        self.waits: list[float] = []  # seconds
        self.since_due: list[float] = []  # seconds since each was due, which may be before it was asked
        self._ends: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        moments = [self._begun + self._every * n / len(self._consoles) for n in range(len(self._consoles))]
        pairs = zip(self._consoles, moments, strict=True)
        threads = [threading.Thread(target=self._one, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def within(self) -> int:
        """How many were answered before the time was up."""
        return sum(ended <= self._until for ended in self._ends)

    def _one(self, console: Console, due: float) -> None:
        while (begun := time.monotonic()) < self._until:
            if begun < due:
                time.sleep(due - begun)
                continue
            was_due = due if self._every else begun
            due += self._every
            try:
                answers = console()
            except OSError as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                continue
            ended = time.monotonic()
            self.waits.append(ended - begun)
            self.since_due.append(ended - was_due)
            self._ends.append(ended)
            if answers != console.answers:
                self.failed.append(f"{console.calling}: {answers} answers, {console.answers} are right")


def main() -> None:
    """Run the crowd that a file describes and print what it saw as JSON."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    questions = [Question(each["calling"], bytes.fromhex(each["identifier"]), each["answers"]) for each in asked["of"]]
    consoles = [Console(asked["port"], asked["called"], questions[n % len(questions)]) for n in range(asked["count"])]
    crowd = _Crowd(consoles, asked["seconds"], asked["every"])
    begun = time.monotonic()
    crowd.run()
    said = {
        "seconds": time.monotonic() - begun,
        "waits": sorted(crowd.waits),
        "since_due": sorted(crowd.since_due),
        "within": crowd.within,
        "failed": crowd.failed,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
