"""What happens to a delivery and to a destination next. Pure: answers, errors and instants in, decisions out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from broker.delivery.http_answers import HttpRefused
from broker.delivery.model import DeliveryState, DestinationState
from broker.dimse.service import AssociationRefused, Rejection
from broker.errors import BrokerError

DELAYS = (5, 10, 30, 60, 120, 300, 600)
"""Seconds between tries; the last one repeats. Up to a fifth is added by chance, so that many do not knock at once."""

PATIENCE = timedelta(days=7)
"""For how long a passing or unknown status is tried before it is parked; a person is told long before."""

FEW_TRIES = 5
"""How often a performed step is passed on to one that fails in passing, before a person is asked."""


class Event(Enum):
    """What moves a delivery."""

    LEASED = auto()
    RELEASED = auto()  # nothing was sent, or the lease ended
    DELIVERED = auto()
    AGAIN = auto()
    PARKED = auto()
    RETRIED = auto()  # by a person
    LET_GO = auto()  # what was held, by a person
    LACKING = auto()  # the destination says that it does not keep what it took: it gets it once more
    DISPROVED = auto()  # it says so again
    HELD = auto()  # by a person, or by a rule of the profile


NEXT: dict[tuple[DeliveryState, Event], DeliveryState] = {
    (DeliveryState.WAITING, Event.LEASED): DeliveryState.SENDING,
    (DeliveryState.WAITING, Event.RETRIED): DeliveryState.WAITING,
    (DeliveryState.WAITING, Event.HELD): DeliveryState.HELD,
    (DeliveryState.SENDING, Event.RELEASED): DeliveryState.WAITING,
    (DeliveryState.SENDING, Event.DELIVERED): DeliveryState.DELIVERED,
    (DeliveryState.SENDING, Event.AGAIN): DeliveryState.WAITING,
    (DeliveryState.SENDING, Event.PARKED): DeliveryState.PARKED,
    (DeliveryState.SENDING, Event.HELD): DeliveryState.HELD,
    (DeliveryState.DELIVERED, Event.LACKING): DeliveryState.WAITING,
    (DeliveryState.DELIVERED, Event.DISPROVED): DeliveryState.PARKED,
    (DeliveryState.PARKED, Event.RETRIED): DeliveryState.WAITING,
    (DeliveryState.HELD, Event.LET_GO): DeliveryState.WAITING,
}
"""The state after an event; a pair that is not here changes nothing."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has it. `warning` is empty or says with what reservation."""

    warning: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """To be sent again, not before `due`. `pause`: the destination itself needs time, the rest of the batch waits.

    `syntax`: from then on in this transfer syntax, to which it is transcoded.
    """

    due: datetime
    reason: str
    pause: bool = False
    syntax: str = ""


@dataclass(frozen=True, slots=True)
class Park:
    """A person must look; `reason` says what happened and what to do."""

    reason: str


Decision = Delivered | Again | Park

EVENT_OF: dict[type, Event] = {Delivered: Event.DELIVERED, Again: Event.AGAIN, Park: Event.PARKED}

_WARNINGS = {
    0x0001: "requested optional attributes are not supported",
    0x0107: "attribute list error",
    0x0111: "it says that it had the instance already",  # not a storage status, yet the answer to many a resend
    0x0116: "attribute value out of range",
    0xB000: "elements were coerced",
    0xB006: "elements were discarded",
    0xB007: "the data set does not match its SOP class",
}
_PASSING = {0x0110: "processing failure", 0x0213: "resource limitation"}
_FINAL = {
    0x0117: "it finds the SOP Instance UID invalid: correct the instance at the device and send it again",
    0x0119: "it finds that class and instance conflict: correct the instance at the device and send it again",
    0x0122: "it does not support this SOP class: enable the class there, or route it elsewhere, then retry",
    0x0124: "it does not authorise us: give our AE title the right to store there, then retry",
    0x0210: "it says the message was sent twice: look at its log, then retry",
    0x0211: "it does not recognise the operation: it may not be a storage provider; check host, port and AE title",
    0x0212: "it finds an argument mistyped: look at its log, then retry",
}


def delay(failures: int, jitter: float) -> timedelta:
    """Return how long to wait after so many failures in a row; `jitter` is between 0 and 1."""
    return timedelta(seconds=DELAYS[min(max(failures, 1), len(DELAYS)) - 1] * (1 + 0.2 * jitter))


def after_answer(status: int, tries: int, now: datetime, jitter: float, since: datetime | None = None) -> Decision:
    """Decide after a C-STORE response (PS3.4 B.2.3, PS3.7 annex C). `tries` counts this one.

    `since` is the first failure of this row, where there was one before. The peer's own comment is not part of a
    reason: it may speak of the patient, and reasons are logged.
    """
    if status == 0x0000:
        return Delivered()
    if warning := _warning(status):
        return Delivered(f"warning {status:04X}: {warning}")
    if refusal := _refusal(status):
        return Park(f"the destination refused it with status {status:04X}: {refusal}")
    due = now + delay(tries, jitter)
    if status & 0xFF00 == 0xA700:
        return Again(due, f"the destination is out of resources, status {status:04X}", pause=True)
    failed = f"status {status:04X}, {_PASSING.get(status, 'not a status of storage')}"
    if since is None or now - since < PATIENCE:
        return Again(due, f"the destination failed with {failed}")
    days = (now - since).days
    return Park(f"the destination failed {tries} times in {days} days, last with {failed}; look at its log, then retry")


def _warning(status: int) -> str:
    """Return what a status says with which the destination keeps the instance all the same."""
    if status & 0xF000 == 0xB000:
        return _WARNINGS.get(status, "not named by the standard")
    return _WARNINGS.get(status, "")


def _refusal(status: int) -> str:
    """Return what a status says that another try would not change, and what would."""
    if status & 0xFF00 == 0xA900:
        return (
            "data set and SOP class do not match; correct the instance at the device and send it again,"
            " or retry once the destination takes it"
        )
    if status & 0xF000 == 0xC000:
        return "it cannot understand the data set; look at its log, then retry"
    return _FINAL.get(status, "")


_CONTEXT_RESULTS = {  # PS3.8 table 9-18
    1: "a user rejection: allow it there, then retry",
    2: "without a reason: look at its log, then retry",
    3: "the SOP class is not supported: enable it there, or route it elsewhere, then retry",
    4: "the transfer syntax is not supported: enable it there, have the device send another, or allow the destination's"
    " rule to transcode, then retry",
}


def after_context_refused(result: int | None, sop_class: str, transfer_syntax: str) -> Decision:
    """Decide when the peer took no context for this instance. `result` is absent when it took none at all."""
    why = _CONTEXT_RESULTS.get(result or 0, "it accepted no presentation context at all: check what it accepts")
    return Park(f"the destination does not accept SOP class {sop_class} in transfer syntax {transfer_syntax}: {why}")


def after_unknown(error: BrokerError, tries: int, now: datetime, jitter: float) -> Decision:
    """Decide when no response came: the destination may hold it, and sending it again does no harm."""
    return Again(now + delay(tries, jitter), f"no answer to the instance: {error}", pause=True)


def after_damage(error: BrokerError) -> Decision:
    """Decide when the spool file is not what was received."""
    return Park(f"not sent, damaged on our side: {error}; have the device send the instance again")


# --- the destination --------------------------------------------------------------------------------------------

_REJECTIONS: dict[tuple[int, int], str] = {  # (source, reason) of PS3.8 table 9-21
    (1, 1): "it refuses the association without saying why; usually our AE title or address is not registered there",
    (1, 2): "it does not know DICOM's application context; it is not a DICOM node, or broken",
    (1, 3): "it does not know our AE title; register it and our address there, and check case and spelling",
    (1, 7): "it does not answer to the AE title we call it by; correct the destination's ae_title",
    (2, 1): "its software refused the association without a reason, perhaps for who we are; look at its log",
    (2, 2): "it does not support our protocol version; an old node, or the wrong port",
    (3, 1): "it is busy for now",
    (3, 2): "it has too many connections: lower `associations` of the destination, or let it take more",
}


def rejection_text(rejection: Rejection) -> str:
    """Return the plain cause of an A-ASSOCIATE-RJ with its numbers."""
    cause = _REJECTIONS.get((rejection.source, rejection.reason), "it refuses with a reason that the standard reserves")
    return f"{cause} (result {rejection.result}, source {rejection.source}, reason {rejection.reason})"


def cause_of(error: BaseException) -> str:
    """Return the likely cause of a destination's failure in plain words."""
    if isinstance(error, AssociationRefused) and error.rejection is not None:
        return rejection_text(error.rejection)
    match error.__cause__ or error:
        case ConnectionRefusedError():
            return "the host is up but nothing listens on the port: wrong port, or the service is stopped"
        case ConnectionResetError() | BrokenPipeError():
            return "it closed the connection: an address filter, TLS on one side only, or its service failed"
        case TimeoutError():
            return "it did not answer in time: wrong address, a firewall, the host is off, or its service hangs"
    return str(error)


def is_permanent(error: BaseException) -> bool:
    """Tell whether the destination will refuse until a person changes something; it is asked again all the same."""
    if isinstance(error, HttpRefused):
        return error.is_permanent
    return isinstance(error, AssociationRefused) and error.rejection is not None and error.rejection.result == 1


def after_destination_failure(
    state: DestinationState, error: BaseException, now: datetime, jitter: float
) -> DestinationState:
    """Return the destination's next state. No instance is parked for it: a fix at the peer heals everything.

    It is asked again no earlier than it wants (Retry-After).
    """
    after = _failed(state, cause_of(error), now, jitter)
    wanted = now + timedelta(seconds=error.seconds if isinstance(error, HttpRefused) else 0)
    return after if after.due is not None and after.due >= wanted else replace(after, due=wanted)


def after_pause(state: DestinationState, reason: str, now: datetime, jitter: float) -> DestinationState:
    """Return the state of a destination that answered, but needs time."""
    return _failed(state, reason, now, jitter)


def _failed(state: DestinationState, reason: str, now: datetime, jitter: float) -> DestinationState:
    failures = state.failures + 1
    due = now + delay(failures, jitter)
    return replace(state, failures=failures, due=due, reason=reason, since=state.since or now)


def well(name: str) -> DestinationState:
    """Return the state of a destination that took something, or of which nothing is known."""
    return DestinationState(name, failures=0, due=None, reason="", since=None)


def recovered(state: DestinationState) -> DestinationState:
    """Return the state of a destination that has just answered; what a person holds stays held."""
    return replace(state, failures=0, due=None, reason="", since=None, told=0)


def absent(state: DestinationState, now: datetime) -> DestinationState:
    """Return the state of a name that the profile does not have: what is owed to it waits."""
    reason = f"the profile has no destination {state.name!r}; what is owed to it waits until it has one again"
    return replace(state, failures=0, due=None, reason=reason, since=state.since or now)
