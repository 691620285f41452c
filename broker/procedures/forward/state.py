"""What happens to a forwarded request next. Pure: answers, errors and instants in, decisions out."""

from datetime import datetime

from broker.delivery.state import DELAYS, FEW_TRIES, cause_of, delay
from broker.errors import BrokerError
from broker.owed import Again, Decision, Delivered, Park
from broker.procedures.model import Operation

LONGEST_WAIT = delay(len(DELAYS), 1.0)
ESCALATE_AFTER = 3  # tries in a row without an answer: a restart of a PACS wakes nobody


_SUCCESS = 0x0000
_DUPLICATE = 0x0111
_PROCESSING_FAILURE = 0x0110
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116})
_PASSING = {_PROCESSING_FAILURE: "processing failure", 0x0213: "resource limitation"}
_FINAL = {
    0x0105: "it does not know an attribute",
    0x0106: "it finds an attribute's value invalid",
    0x0112: "it does not know the step: it did not take its N-CREATE",
    0x0117: "it finds the SOP Instance UID invalid",
    0x0118: "it does not know the SOP class",
    0x0119: "it finds that class and instance conflict",
    0x0120: "it misses an attribute that the modality did not send",
    0x0121: "it misses a value that the modality did not send",
    0x0122: "it does not support MPPS",
    0x0124: "it does not authorise us",
    0x0210: "it says the message was sent twice",
    0x0211: "it does not recognise the operation",
    0x0212: "it finds an argument mistyped",
}


def after_answer(  # noqa: PLR0917 - one outcome in all its parts
    operation: Operation, status: int, tries: int, unanswered: bool, now: datetime, jitter: float
) -> Decision:
    """Decide after an N-CREATE or N-SET response (PS3.7 annex C). `tries` counts this one.

    `unanswered`: it may have been sent before, and the answer to that was lost: then a failure that says that the
    step has ended speaks of ourselves. A UID is one step's, so that 0111 always says that the destination has it.

    The peer's own comment is not part of a reason: it may speak of the patient.
    """
    if status == _SUCCESS:
        return Delivered()
    if reservation := _reservation(operation, status, unanswered):
        return Delivered(f"status {status:04X}: {reservation}")
    if status in _FINAL:
        return Park(f"the destination refused it with status {status:04X}: {_FINAL[status]}; mend that, then retry")
    failed = f"the destination failed with status {status:04X}, {_PASSING.get(status, 'not a status of MPPS')}"
    if tries < FEW_TRIES:
        return Again(now + delay(tries, jitter), failed)
    return Park(f"{failed}, {tries} times; look at its log, then retry")


def _reservation(operation: Operation, status: int, unanswered: bool) -> str:
    """Return what a status says with which the destination has it all the same."""
    if status in _WARNINGS:
        return "a warning"
    if (operation, status) == (Operation.CREATE, _DUPLICATE):
        return "it says that it had the step already"
    if (operation, status) == (Operation.SET, _PROCESSING_FAILURE) and unanswered:
        return "it has it from an earlier try"
    return ""


def after_context_refused(transfer_syntax: str) -> Decision:
    """Decide when the peer takes no MPPS, neither in the syntax in which it came nor in the default one."""
    said = f"the destination does not accept MPPS, not in transfer syntax {transfer_syntax} and not in the default one"
    return Park(f"{said}: enable it there, then retry")


def after_silence(error: BrokerError, tries: int, now: datetime, jitter: float) -> Again:
    """Decide when no answer came, or no association: the destination may have it, and says so to a repetition."""
    return Again(now + delay(tries, jitter), cause_of(error), escalate=tries >= ESCALATE_AFTER)
