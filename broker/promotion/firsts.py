"""What a device must show first after its cutover, in the order in which a technologist meets it, and what was seen.

Pure. What counts is of the device itself and since the cutover; the policy of the tests' evidence is not asked again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydicom.uid import UID

from broker.procedures.model import PerformedStatus
from broker.promotion.seen import Facts, ImageSeen, Seen, StepSeen

_SUCCESS = 0x0000

_S = TypeVar("_S", bound=Seen)


@dataclass(frozen=True, slots=True)
class First:
    """One thing that is expected, and when it was seen first."""

    name: str  # "worklist_query"
    title: str
    at: datetime | None
    text: str  # what was seen; where nothing was, what to do
    is_needed: bool = True


_Found = tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class _Expected:
    name: str
    title: str
    find: Callable[[Facts, datetime], _Found]
    to_do: str
    is_needed: Callable[[Facts], bool] = lambda _: True


def of(facts: Facts, since: datetime) -> tuple[First, ...]:
    """Return what is expected of a device since then, each with when it came."""
    return tuple(_first(each, facts, since) for each in _EXPECTED)


def whole_exams(facts: Facts, since: datetime) -> int:
    """Return how many exams begun since then are complete, delivered, and proven where something proves."""
    if not facts.makes.performed_step:
        studies = {image.study_instance_uid for image in _own(facts.images, since)}
        return sum(_is_safe_study(facts, {uid}, since) for uid in studies)
    ended = [step for step in _steps(facts, since) if step.status is PerformedStatus.COMPLETED]
    return sum(_is_safe_study(facts, {item.study_instance_uid for item in step.items}, since) for step in ended)


def is_safe(image: ImageSeen, facts: Facts) -> bool:
    """Tell whether an image is where it is to be: delivered, and proven where one of its destinations proves."""
    proves = any(each.destination in facts.provers for each in image.sent)
    return image.is_proven if proves else image.is_delivered


def _is_safe_study(facts: Facts, studies: set[str], since: datetime) -> bool:
    own = [image for image in _own(facts.images, since) if image.study_instance_uid in studies]
    return bool(own) and all(is_safe(image, facts) for image in own)


def _first(expected: _Expected, facts: Facts, since: datetime) -> First:
    found = expected.find(facts, since)
    at, text = found or (None, expected.to_do)
    return First(expected.name, expected.title, at, text, expected.is_needed(facts))


# --- what is the device's, since then, oldest first --------------------------------------------------------------


def _own(seen: Sequence[_S], since: datetime) -> list[_S]:
    return [each for each in reversed(seen) if each.at >= since and not each.bearing.foreign]


def _steps(facts: Facts, since: datetime) -> list[StepSeen]:
    own = [each for each in facts.steps if not each.bearing.foreign and each.begun and each.begun >= since]
    return own[::-1]


# --- what is looked for --------------------------------------------------------------------------------------------


def _called(facts: Facts, since: datetime) -> _Found:
    own = _own(facts.calls, since)
    return (own[0].at, f"from {own[0].address}") if own else None


def _echo(facts: Facts, since: datetime) -> _Found:
    own = [each for each in _own(facts.received, since) if not each.failure]
    return (own[0].at, "answered") if own else None


def _query(facts: Facts, since: datetime) -> _Found:
    own = [each for each in _own(facts.queries, since) if each.status == _SUCCESS and each.items]
    return (own[0].at, f"answered with {_count(len(own[0].items), 'item')}") if own else None


def _started(facts: Facts, since: datetime) -> _Found:
    own = _steps(facts, since)
    return (own[0].begun or own[0].at, _count(len(own), "exam")) if own else None


def _completed(facts: Facts, since: datetime) -> _Found:
    own = [step for step in _steps(facts, since) if step.status is PerformedStatus.COMPLETED]
    return (min(step.at for step in own), _count(len(own), "exam")) if own else None


def _received(facts: Facts, since: datetime) -> _Found:
    own = _own(facts.images, since)
    if not own:
        return None
    return own[0].at, f"{UID(own[0].sop_class_uid).name}; {len(own)} so far"


def _delivered(facts: Facts, since: datetime) -> _Found:
    own = _own(facts.images, since)
    there = [image for image in own if image.is_delivered]
    if not there:
        return None
    names = ", ".join(dict.fromkeys(each.destination for each in there[0].sent))
    text = f"{len(there)} of {len(own)}{f', to {names}' if names else ''}"
    return min(_when([each.at for each in image.sent], image) for image in there), text


def _proven(facts: Facts, since: datetime) -> _Found:
    own = _own(facts.images, since)
    there = [image for image in own if image.is_proven]
    if not there:
        return None
    return min(_when([each.proof_at for each in image.sent], image) for image in there), f"{len(there)} of {len(own)}"


def _committed(facts: Facts, since: datetime) -> _Found:
    own = [each for each in _own(facts.commitments, since) if each.is_reported]
    return (own[0].at, "reported to the device") if own else None


def _when(said: Sequence[datetime | None], image: ImageSeen) -> datetime:
    return max((at for at in said if at is not None), default=image.at)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_EXPECTED = (
    _Expected(
        "association", "It calls Production", _called, "at the console: the settings of broker card, then Verify"
    ),
    _Expected("echo", "Verification (C-ECHO)", _echo, "at the console: Verify", lambda _: False),
    _Expected("worklist_query", "Worklist with answers", _query, "refresh the worklist at the console"),
    _Expected(
        "mpps_started",
        "Exam started (MPPS)",
        _started,
        "start an exam from the worklist",
        lambda f: f.makes.performed_step,
    ),
    _Expected("image_received", "Image received", _received, "store an image"),
    _Expected("image_delivered", "Image delivered", _delivered, "it follows by itself: broker delivery list"),
    _Expected(
        "image_proven",
        "Image proven",
        _proven,
        "it follows by itself: broker commitment proofs",
        lambda f: bool(f.provers),
    ),
    _Expected(
        "mpps_completed",
        "Exam completed (MPPS)",
        _completed,
        "end the exam at the console",
        lambda f: f.makes.performed_step,
    ),
    _Expected(
        "storage_commitment",
        "Storage commitment reported",
        _committed,
        "it follows by itself: broker commitment list",
        lambda f: f.asks_commitment,
    ),
)

NAMES = tuple(each.name for each in _EXPECTED)
"""The names of what is expected."""
