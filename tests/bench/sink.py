"""Our upper layer as a process of its own: images into one pre-written file, answers from memory.

`python -m tests.bench.sink FILE [--busy]` prints its port and serves until standard input closes. Each image is
written with pwrite and synced with fdatasync before it is answered. The called title chooses the worklist answers:
FIND10 or FIND500.
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pynetdicom.dsutils import encode

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.service import (
    AcceptedAssociation,
    Answer,
    AssociationRequest,
    FindAnswer,
    FindRequest,
    Rejection,
    StoreRequest,
)
from tests.bench.inputs import worklist_item

_SIZE = 128 * 1024 * 1024
_SWITCH_INTERVAL = 0.0005  # as the product sets it: busy threads otherwise starve the others


class Sink:
    """A provider that does the least a durable one has to do."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        for at in range(0, _SIZE, 1 << 20):
            os.pwrite(self._descriptor, bytes(1 << 20), at)
        os.fsync(self._descriptor)
        self._next = 0
        self._lock = threading.Lock()
        answers = [FindAnswer(0xFF00, encode(worklist_item(n), True, True)) for n in range(500)]
        self._answers = {"FIND10": answers[:10], "FIND500": answers}

    def admit(self, request: AssociationRequest) -> Rejection | None:
        return None

    def established(self, association: AcceptedAssociation) -> None:
        return None

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        return None

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        return None

    def echo(self, association: AcceptedAssociation) -> Answer:
        return Answer(0x0000)

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        yield from self._answers[association.request.called_ae_title]
        yield FindAnswer(0x0000)

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        at = self._place()
        for piece in request.data:
            os.pwrite(self._descriptor, piece, at)
            at += len(piece)
        os.fdatasync(self._descriptor)
        return Answer(0x0000)

    def _place(self) -> int:
        with self._lock:
            at, self._next = self._next, (self._next + (64 << 20)) % _SIZE
        return at


def _encode_for_ever() -> None:
    item = worklist_item(1)
    while True:
        encode(item, True, True)


def main() -> None:
    """Serve until standard input closes."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    server = Server("127.0.0.1", 0, Sink(Path(sys.argv[1])), SystemClock())
    print(server.start(), flush=True)
    if "--busy" in sys.argv:
        threading.Thread(target=_encode_for_ever, daemon=True).start()
    sys.stdin.read()
    server.stop(1.0)


if __name__ == "__main__":
    main()
