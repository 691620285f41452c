"""The values of the intake: a message on its way, what it asks for, and what became of it. Decides nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.database import Transaction
from broker.environments.model import AcknowledgedBy
from broker.inbox.model import Arrival, EntryState, HeaderFacts, Outcome
from broker.orders.messages.context import Context
from broker.orders.model import Applied, Change, Did, Refusal
from broker.tripwires.table import Tripwire
from broker.worklist.model import WorklistItem

Answer = Callable[[Outcome, AcknowledgedBy], bytes | None]
"""Builds the acknowledgement of one message; None where it gets none."""

Beside = Callable[[Transaction], None]
"""What is written in the same commit, such as the audit of a person's act."""

_APPLICATION_ERROR = "207"  # of table 0357


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message."""

    entry_id: int
    state: EntryState
    outcome: Outcome
    acknowledgement: bytes | None = None
    repeated: bool = False  # answered as before, and not processed again
    applied: tuple[Applied, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a message would do: the answer, what happens to each order, and the items before and after."""

    outcome: Outcome
    did: tuple[Did, ...] = ()
    before: tuple[WorklistItem, ...] = ()
    after: tuple[WorklistItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came, what its header says, and what builds its acknowledgement."""

    raw: bytes
    arrival: Arrival
    facts: HeaderFacts
    answer: Answer


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a message stands, and how it is answered."""

    state: EntryState
    outcome: Outcome
    acknowledgement: bytes | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """What a message asks for, or why nothing of it is done."""

    context: Context | None = None
    changes: tuple[Change, ...] = ()
    refusal: Refusal | None = None

    @property
    def source(self) -> str:
        """The profile's name of the sender; empty where it is not known."""
        return self.context.source.name if self.context else ""

    @property
    def acknowledged_by(self) -> AcknowledgedBy:
        """How the sender wants to be answered."""
        return self.context.source.acknowledged_by if self.context else AcknowledgedBy.ACK


class Tripped(Refusal):
    """A message that a tripwire holds until a person has decided."""

    def __init__(self, row: Tripwire, location: str) -> None:
        super().__init__("AE", location, _APPLICATION_ERROR, row.text, for_person=True)
        self.row = row
