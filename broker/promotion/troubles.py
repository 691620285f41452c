"""What went wrong of a device since its cutover, with its cause, what to do, and whether it is over. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.commitment.proof.model import ProofState
from broker.promotion import verdict
from broker.promotion.recorded.model import Incident, Sent
from broker.promotion.seen import Facts, ImageSeen

_FINE = (0x0000, 0xFE00)  # success, and cancelled by the console itself (PS3.4 C.4.1.1.4)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that went wrong."""

    ref: str  # "association 01K…"
    at: datetime
    text: str  # the cause
    to_do: str
    is_open: bool = True


def of(facts: Facts, refused: Sequence[Incident], alerts: Sequence[Incident], since: datetime) -> tuple[Trouble, ...]:
    """Return what went wrong since then, oldest first; what a person has explained is over."""
    explained = verdict.explained(facts, "trouble")
    found = (
        *_refusals(facts, refused),
        *_strangers(facts, since),
        *_queries(facts, since),
        *_stuck(facts),
        *_unproven(facts),
        *_loose(facts),
        *_reports(facts, since),
        *(Trouble(each.ref, each.at, each.text, f"then broker alert ack {each.ref.split()[-1]}") for each in alerts),
    )
    told = (replace(each, is_open=False) if explained and each.at <= explained else each for each in found)
    return tuple(sorted(told, key=lambda each: (each.at, each.ref)))


def _refusals(facts: Facts, refused: Sequence[Incident]) -> Iterable[Trouble]:
    """Yield what was refused; whoever was taken afterwards has mended it."""
    taken = max((call.at for call in facts.calls if not call.bearing.foreign), default=None)
    to_do = f"compare the console with broker card {facts.name}; see broker rejection list"
    for each in refused:
        yield Trouble(each.ref, each.at, each.text, to_do, taken is None or each.at > taken)


def _strangers(facts: Facts, since: datetime) -> Iterable[Trouble]:
    others = [call for call in facts.calls if call.at >= since and call.bearing.foreign]
    if others:
        text = f"its title is used {others[0].bearing.foreign}{f', {len(others)} times' if len(others) > 1 else ''}"
        to_do = "where that is the device: plan with the right --host; else give the other one another title"
        yield Trouble(others[0].ref, others[0].at, text, to_do)


def _queries(facts: Facts, since: datetime) -> Iterable[Trouble]:
    own = [query for query in facts.queries if query.at >= since and not query.bearing.foreign]
    good = max((query.at for query in own if query.status in _FINE), default=None)
    for query in own:
        if query.status not in _FINE:
            text = f"a worklist query failed with {query.status:04X}"
            to_do = "broker worklist explain --as " + _title(facts)
            yield Trouble(query.ref, query.at, text, to_do, good is None or query.at > good)


def _stuck(facts: Facts) -> Iterable[Trouble]:
    waiting = ((image, each) for image in _of_its_own(facts.images) for each in image.stuck)
    for images, each in _by_cause(waiting, lambda sent: (sent.destination, sent.reason)):
        text = f"{_images(images)} for a person, at {each.destination}: {each.reason}"
        yield Trouble(images[-1].ref, images[-1].at, text, "see broker delivery list, then retry or release")


def _unproven(facts: Facts) -> Iterable[Trouble]:
    denied = ((image, each) for image in _of_its_own(facts.images) for each in image.sent if _is_denied(each))
    for images, each in _by_cause(denied, lambda sent: (sent.destination, sent.proof_reason)):
        text = f"{each.destination} does not keep {len(images)} of its images: {each.proof_reason}"
        yield Trouble(images[-1].ref, images[-1].at, text, "see broker commitment proofs")


def _is_denied(sent: Sent) -> bool:
    return sent.proof == ProofState.FAILED.value


def _by_cause(
    pairs: Iterable[tuple[ImageSeen, Sent]], cause: Callable[[Sent], tuple[str, str]]
) -> list[tuple[list[ImageSeen], Sent]]:
    """Return the images of each cause, newest first, with one of its deliveries: an outage is one trouble."""
    found: dict[tuple[str, str], tuple[list[ImageSeen], Sent]] = {}
    for image, sent in pairs:
        found.setdefault(cause(sent), ([], sent))[0].append(image)
    return list(found.values())


def _images(images: Sequence[ImageSeen]) -> str:
    return "an image waits" if len(images) == 1 else f"{len(images)} images wait"


def _loose(facts: Facts) -> Iterable[Trouble]:
    for step in facts.steps:
        if step.unlinked and not step.bearing.foreign:
            text = "an exam was started that belongs to no order we know"
            yield Trouble(step.ref, step.at, text, "see broker procedure list; pick the patient from the worklist")


def _reports(facts: Facts, since: datetime) -> Iterable[Trouble]:
    for asked in facts.commitments:
        if asked.at >= since and not asked.bearing.foreign and asked.failures:
            text = f"it was told that {asked.failures} of its images are not kept: {asked.reason}"
            yield Trouble(asked.ref, asked.at, text, "see broker commitment list")


def _of_its_own(images: Sequence[ImageSeen]) -> list[ImageSeen]:
    return [image for image in images if not image.bearing.foreign]


def _title(facts: Facts) -> str:
    titles = facts.modality.ae_titles if facts.modality else ()
    return str(titles[0]) if titles else "TITLE"
