"""A provider that keeps what it is asked and answers what a test sets."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from broker.dimse.service import (
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


@dataclass
class Keeping:
    """What was stored, asked and noted, in order."""

    rejection: Rejection | None = None
    find_answers: Iterable[FindAnswer] = (FindAnswer(0x0000),)
    store_answer: Answer = field(default_factory=lambda: Answer(0x0000))
    read_pieces: int | None = None  # of a data set, then it returns early
    error: Exception | None = None
    requests: list[AssociationRequest] = field(default_factory=list)
    associations: list[AcceptedAssociation] = field(default_factory=list)
    settled: list[bool] = field(default_factory=list)
    ends: list[tuple[bool, str]] = field(default_factory=list)
    stored: list[tuple[StoreRequest, bytes]] = field(default_factory=list)
    found: list[FindRequest] = field(default_factory=list)
    normalizeds: list[NormalizedRequest] = field(default_factory=list)
    normalized_answer: NormalizedAnswer = field(default_factory=lambda: NormalizedAnswer(0x0000))
    echoes: int = 0
    ended_one: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def admit(self, request: AssociationRequest) -> Rejection | None:
        self.requests.append(request)
        return self.rejection

    def established(self, association: AcceptedAssociation) -> None:
        self.associations.append(association)

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        self.settled.append(released)

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        self.ends.append((released, reason))
        self.ended_one.release()

    def echo(self, association: AcceptedAssociation) -> Answer:
        self._fail()
        self.echoes += 1
        return Answer(0x0000)

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        self._fail()
        self.found.append(request)
        for answer in self.find_answers:
            if request.is_cancelled():
                yield FindAnswer(0xFE00)
                return
            yield answer

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        self._fail()
        content = bytearray()
        for number, piece in enumerate(request.data):
            if number == self.read_pieces:
                break
            content += piece
        self.stored.append((request, bytes(content)))
        return self.store_answer

    def normalized(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        self._fail()
        self.normalizeds.append(request)
        return self.normalized_answer

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
