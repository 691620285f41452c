"""What a device is told of an instance, and when it is told. Pure: what is known and instants in, decisions out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from broker.commitment.devices.model import DeviceRequest, RequestState
from broker.commitment.model import Failure, Outcome, Reference
from broker.environments.commitment import CommitmentSettings
from broker.registry.model import CommitmentMode

LEASE = timedelta(seconds=90)  # for a device to answer its report
SAME_FIRST = timedelta(seconds=3)  # so long a report waits for an association that the device may still hold open
ALERT_AFTER = 4  # tries: after some twenty minutes a person is told

_REPORT_MINUTES = (1, 5, 15, 60)
"""Between two tries of a report; the last one repeats."""
LONGEST_WAIT = timedelta(minutes=_REPORT_MINUTES[-1] * 1.1)

_LOOKS = ((timedelta(minutes=2), 1), (timedelta(hours=1), 10), (timedelta.max, 60))
"""How often, in seconds, it is looked whether a request of such an age is decided."""


class Event(Enum):
    """What moves a request."""

    DECIDED = auto()  # every instance is
    LEASED = auto()
    RELEASED = auto()  # nothing was sent
    TAKEN = auto()  # the device has its report
    AGAIN = auto()
    PARKED = auto()
    ASKED_AGAIN = auto()  # by the device, with the same transaction UID, or by a person


NEXT: dict[tuple[RequestState, Event], RequestState] = {
    (RequestState.GATHERING, Event.DECIDED): RequestState.READY,
    (RequestState.READY, Event.LEASED): RequestState.REPORTING,
    (RequestState.REPORTING, Event.LEASED): RequestState.REPORTING,  # where the lease before has ended
    (RequestState.REPORTING, Event.RELEASED): RequestState.READY,
    (RequestState.REPORTING, Event.TAKEN): RequestState.REPORTED,
    (RequestState.REPORTING, Event.AGAIN): RequestState.READY,
    (RequestState.REPORTING, Event.PARKED): RequestState.PARKED,
    (RequestState.REPORTED, Event.ASKED_AGAIN): RequestState.READY,
    (RequestState.PARKED, Event.ASKED_AGAIN): RequestState.READY,
}
"""The state after an event; a pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an instance that a device names."""

    known: bool = False  # we received it, as this SOP class
    other_class: bool = False  # we received it as another SOP class only
    damaged: bool = False  # what the spool holds is not what was received
    stored: bool = False  # every destination has taken it
    proven: bool = False  # and has proven it where it can


def _is_safe(mode: CommitmentMode, standing: Standing) -> bool:
    match mode:
        case CommitmentMode.OWN:
            return True  # the spool lets nothing go before its destinations have it
        case CommitmentMode.STORED:
            return standing.stored
        case CommitmentMode.PROXY:
            return standing.proven


def verdict(
    reference: Reference, mode: CommitmentMode, standing: Standing, age: timedelta, settings: CommitmentSettings
) -> Outcome | None:
    """Decide on one instance; None while it is open. `age` is that of the request."""
    if standing.other_class:
        return Outcome(reference, Failure.CLASS_INSTANCE_CONFLICT)
    if not standing.known:  # its C-STORE may still be under way
        is_missing = age >= timedelta(minutes=settings.grace_minutes)
        return Outcome(reference, Failure.NO_SUCH_INSTANCE) if is_missing else None
    if standing.damaged:
        return Outcome(reference, Failure.PROCESSING_FAILURE)
    if _is_safe(mode, standing):
        return Outcome(reference)
    is_late = age >= timedelta(hours=settings.decide_hours)
    return Outcome(reference, Failure.PROCESSING_FAILURE) if is_late else None


def next_look(age: timedelta, now: datetime) -> datetime:
    """Return when to look again at a request of this age."""
    seconds = next(seconds for limit, seconds in _LOOKS if age <= limit)
    return now + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Taken:
    """The device has its report."""


@dataclass(frozen=True, slots=True)
class Again:
    """To be reported again, not before `due`. `escalate`: a person must see it."""

    due: datetime
    reason: str
    escalate: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """A person must look."""

    reason: str


Decision = Taken | Again | Park

EVENT_OF: dict[type, Event] = {Taken: Event.TAKEN, Again: Event.AGAIN, Park: Event.PARKED}

_WARNINGS = frozenset({0x0107, 0x0116})


def after_answer(
    request: DeviceRequest, status: int, settings: CommitmentSettings, now: datetime, jitter: float
) -> Decision:
    """Decide after a device's answer to its report (PS3.7 10.1.1)."""
    if status == 0x0000 or status in _WARNINGS:
        return Taken()
    return after_failure(request, f"the device answered its report with status {status:04X}", settings, now, jitter)


def after_failure(
    request: DeviceRequest, reason: str, settings: CommitmentSettings, now: datetime, jitter: float
) -> Decision:
    """Decide where a report did not get through."""
    if now - (request.decided or request.received) >= timedelta(hours=settings.report_hours):
        return Park(f"{reason}; given up after {request.tries + 1} tries: mend that, then report it again")
    minutes = _REPORT_MINUTES[min(request.tries, len(_REPORT_MINUTES) - 1)] * (1 + 0.1 * jitter)
    return Again(now + timedelta(minutes=minutes), reason, escalate=request.tries + 1 >= ALERT_AFTER)
