"""What happens to an outgoing message next. Pure: answers, errors and instants in, decisions out."""

import re
from datetime import datetime, timedelta

from broker.owed import Again, Decision, Delivered, Park
from hl7.reply import ERROR_NAMES, Acknowledgement

DELAYS = (5, 10, 30, 60, 120, 300)
"""Seconds between tries; the last one repeats. Up to a fifth is added by chance, so that many do not knock at once."""

ESCALATE_AFTER = 3  # tries in a row without an answer, under a minute: a restart of a RIS wakes nobody

_ACCEPTED = ("AA", "CA")
_ERROR = ("AE", "CE")
_REJECTED = ("AR", "CR")
_MOST_SAID = 500  # characters of the receiver's own words
_PLACE = re.compile(r"[A-Z][A-Z0-9]{2}(\^[0-9]{1,3}){0,5}")


def delay(tries: int, jitter: float) -> timedelta:
    """Return how long to wait after so many tries; `jitter` is between 0 and 1."""
    return timedelta(seconds=DELAYS[min(max(tries, 1), len(DELAYS)) - 1] * (1 + 0.2 * jitter))


LONGEST_WAIT = delay(len(DELAYS), 1.0)


def after_answer(answer: Acknowledgement, control_id: str, tries: int, now: datetime, jitter: float) -> Decision:
    """Decide after an acknowledgement (HL7 2.9.2). `tries` counts this one.

    AE speaks of the content, so that sending it again changes nothing. AR speaks of the kind of message, or of a
    receiver that cannot take it now: it is sent again, and since the first may be so, a person is told at once.
    """
    if answer.control_id != control_id:
        # Whatever it accepts, it is not this message: the connection has lost its step (A.3).
        return _again("its answer is to another message (MSA-2)", tries, now, jitter)
    said = _said(answer)
    if answer.code in _ACCEPTED:
        return Delivered(said=said)
    if answer.code in _ERROR:
        return Park(f"the receiver refused it with {answer.code}{_errors(answer)}: mend the cause, then retry", said)
    due = now + delay(tries, jitter)
    if answer.code in _REJECTED:
        return Again(due, f"the receiver rejects it with {answer.code}{_errors(answer)}", said, escalate=True)
    return Again(due, "its answer has no acknowledgement code that is known", escalate=tries >= ESCALATE_AFTER)


def after_silence(error: BaseException, tries: int, now: datetime, jitter: float) -> Again:
    """Decide when no answer came: the receiver may have it, and takes the same MSH-10 once only."""
    return _again(cause_of(error), tries, now, jitter)


def cause_of(error: BaseException) -> str:
    """Return the likely cause of a failed exchange in plain words."""
    match error:
        case ConnectionRefusedError():
            return "the host is up but nothing listens on the port: wrong port, or the service is stopped"
        case TimeoutError():
            return "no answer in time: wrong address, a firewall, the host is off, or its service hangs"
        case ConnectionError():
            return "it closed the connection without an answer: an address filter, TLS on one side only, or it failed"
        case OSError():
            return f"it cannot be reached: {error.strerror or type(error).__name__}"
    return f"its answer cannot be read: {error}"


def _again(reason: str, tries: int, now: datetime, jitter: float) -> Again:
    return Again(now + delay(tries, jitter), reason, escalate=tries >= ESCALATE_AFTER)


def _errors(answer: Acknowledgement) -> str:
    """Return codes and places of ERR as far as they are such, and so hold nobody's data."""
    found = [f"{e.code} {ERROR_NAMES[e.code]}{_at(e.location)}" for e in answer.errors if e.code in ERROR_NAMES]
    return f" ({', '.join(found[:3])})" if found else ""


def _at(location: str) -> str:
    return f" at {location}" if _PLACE.fullmatch(location) else ""


def _said(answer: Acknowledgement) -> str:
    texts = dict.fromkeys(text for text in (answer.text, *(error.text for error in answer.errors)) if text)
    return " ".join("; ".join(texts).split())[:_MOST_SAID]
