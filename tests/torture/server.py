"""Our upper layer as a process: `python -m tests.torture.server` prints its port and serves until stdin closes.

It has the product's own limits. It lets PEER in from 127.0.0.1 when it calls BROKER, reads what it is sent, and keeps
nothing: what its memory grows by is the upper layer's.
"""

import sys
from collections.abc import Iterator

from broker.clock import SystemClock
from broker.dimse.acceptor import Server
from broker.dimse.service import (
    CALLED_NOT_RECOGNIZED,
    CALLING_NOT_RECOGNIZED,
    AcceptedAssociation,
    Answer,
    AssociationRequest,
    FindAnswer,
    FindRequest,
    NormalizedAnswer,
    NormalizedRequest,
    Rejection,
    StoreRequest,
)
from tests.wire.dimse.conftest import EVERYTHING


class Forgetting:
    """A provider that answers and keeps nothing."""

    def admit(self, request: AssociationRequest) -> Rejection | None:
        if (request.calling_ae_title, request.address) != ("PEER", "127.0.0.1"):
            return CALLING_NOT_RECOGNIZED
        return None if request.called_ae_title == "BROKER" else CALLED_NOT_RECOGNIZED

    def established(self, association: AcceptedAssociation) -> None:
        return None

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        return None

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        return None

    def echo(self, association: AcceptedAssociation) -> Answer:
        return Answer(0x0000)

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        yield FindAnswer(0xFF00, bytes(100))
        yield FindAnswer(0x0000)

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        for _ in request.data:
            pass
        return Answer(0x0000)

    def normalized(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        return NormalizedAnswer(0x0000)


def main() -> None:
    """Serve until standard input closes."""
    server = Server("127.0.0.1", 0, Forgetting(), SystemClock(), EVERYTHING)
    print(server.start(), flush=True)
    sys.stdin.read()
    server.stop(1.0)


if __name__ == "__main__":
    main()
