"""What a sender may say of one instance, and what it needs to know. Senders decide nothing; `state.py` does.

A sender gets the bytes of an instance from `opened`, which gives it a `Content`: what was received, or what the
destination's rule makes of it. No sender reads a spool file itself.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from broker.delivery.content import CannotCorrect, Content, Part, Slice
from broker.delivery.correction.model import UNCORRECTED, Corrections
from broker.delivery.correction.splice import corrected
from broker.delivery.model import Delivery
from broker.delivery.senders.stow_peer import StowPeer
from broker.dimse.service import Requestor
from broker.environments.model import Destination
from broker.errors import BrokerError, Unavailable
from broker.identifiers import AETitle
from broker.spool.errors import DamagedInstance
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered:
    """The destination answered about this instance with a DIMSE status; 0x0000 is kept."""

    status: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NoContext:
    """The destination negotiated, and takes no such instance. `result` is absent where it took no context at all."""

    result: int | None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The instance was sent, wholly or partly, and no answer came: the destination may or may not hold it."""

    error: BrokerError


@dataclass(frozen=True, slots=True)
class NotSent:
    """The destination did not let us in under the title that this instance asks for."""

    error: Unavailable


@dataclass(frozen=True, slots=True)
class Damaged:
    """The spool file is not what was received; nothing was sent, or a part that the destination could not keep."""

    error: DamagedInstance


@dataclass(frozen=True, slots=True)
class Uncorrected:
    """The destination's rule asks for a correction that this instance does not allow; nothing was sent."""

    error: CannotCorrect


@dataclass(frozen=True, slots=True)
class Refused:
    """The destination refused the instance, which was sent alone, with an HTTP status and nothing more precise."""

    status: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """No answer told of the instance, but the destination lists it when asked."""


Outcome = Answered | NoContext | Unanswered | NotSent | Damaged | Uncorrected | Refused | Listed

Batch = Sequence[tuple[Delivery, SpooledInstance]]


@dataclass(frozen=True, slots=True)
class Way:
    """What a sender works with."""

    destination: Destination
    own_title: AETitle
    requestor: Requestor
    spool: FileSpool
    stow: StowPeer | None = None  # where the destination is reached by STOW-RS
    corrections: Corrections = UNCORRECTED  # of this batch, by the destination's rule

    def alters(self, instance: SpooledInstance) -> bool:
        """Tell whether the destination gets anything else than what was received."""
        return instance.id in self.corrections.by_instance or instance.id in self.corrections.impossible

    def open(self, instance: SpooledInstance) -> Content:
        """Return what this destination gets of an instance.

        Raises CannotCorrect; DamagedInstance and Unavailable where its file is gone or cannot be read.
        """
        if impossible := self.corrections.impossible.get(instance.id):
            raise impossible
        parts: tuple[Part, ...] = (Slice(instance.offset, instance.length),)
        if correction := self.corrections.by_instance.get(instance.id):
            with self.spool.open(instance) as stream:
                syntax = instance.facts.transfer_syntax
                parts = corrected(stream, instance.offset, instance.length, syntax, correction).parts
        return Content(self.spool.path_of(instance), partial(self.spool.head, instance), parts)


Outcomes = Generator[tuple[Delivery, Outcome], None, None]


class Enough(Exception):
    """Thrown into a sender instead of closing it: send nothing more, but yield what is known already, then end."""


class Sender(Protocol):
    """Sends a batch in order and yields each outcome as soon as it is known.

    It may end early: what it did not speak of was not sent. Raises Unavailable when the destination cannot be reached.
    """

    def __call__(self, batch: Batch, way: Way) -> Outcomes:
        """Send."""
        ...


def opened(
    send: Callable[[SpooledInstance, Content], T], instance: SpooledInstance, way: Way
) -> T | Damaged | Uncorrected:
    """Send what the destination gets of an instance whose file has just been found to be what was received."""
    try:
        way.spool.verify(instance)
        content = way.open(instance)
    except DamagedInstance as error:
        return Damaged(error)
    except CannotCorrect as error:
        return Uncorrected(error)
    return send(instance, content)
