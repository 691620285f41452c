"""The lines of an exam's images and messages: received, delivered, reported back. Pure; `ledger` gathers them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from broker.delivery.model import NO_ROUTE, DeliveryState
from broker.exams import identity
from broker.exams.altered import altered
from broker.exams.limits import Limits, lateness, words
from broker.exams.model import Image, Kept, Line, Mark, Recorded, Sent, Stage
from broker.outbox.model import OutboxMessage
from broker.owed import OwedState
from broker.procedures.model import FINAL, PerformedStatus, StoredStep

_NEEDS_PERSON = (DeliveryState.PARKED, DeliveryState.HELD)


# --- received ----------------------------------------------------------------------------------------------------


def listed(steps: Sequence[StoredStep]) -> tuple[str, ...]:
    """Return the SOP Instance UIDs that performed steps list, each once."""
    uids = (one.sop_instance_uid for known in steps for series in known.step.series for one in series.instances)
    return tuple(dict.fromkeys(uids))


def received(recorded: Recorded, limits: Limits) -> list[Line]:
    """Return what came, against what the completed MPPS list; without MPPS against a quiet period."""
    ended = [known for known in recorded.steps if known.step.status in FINAL]
    wanted = listed(recorded.steps)
    whole = _against_list(recorded, wanted, limits) if ended and wanted else _without_list(recorded, limits)
    return [whole, *_disagreeing(recorded)]


def _against_list(recorded: Recorded, wanted: Sequence[str], limits: Limits) -> Line:
    have = {image.sop_instance_uid: image.received for image in reversed(recorded.images)}
    came = [uid for uid in wanted if uid in have]
    beyond = len(have.keys() - set(wanted))
    done = len(came) == len(wanted) and all(known.step.status in FINAL for known in recorded.steps)
    ended = max(known.updated for known in recorded.steps)
    last = max((have[uid] for uid in came), default=None)
    more = f"; {beyond} more that it does not list" if beyond else ""
    lacking = f"; {len(wanted) - len(came)} lacking" if len(came) < len(wanted) else ""
    minutes = limits.settings.stored_late_minutes
    late = lateness(ended, last if done else None, minutes, limits.now, "the MPPS ended")
    mark = Mark.DONE if done else Mark.PARTLY if recorded.images else Mark.NOT_YET
    text = f"{len(came)} of {len(wanted)} images listed by MPPS, {_series(recorded.images)}{lacking}{more}"
    return Line(Stage.RECEIVED, mark, text, last, _devices(recorded.images), len(came), len(wanted), late)


def _without_list(recorded: Recorded, limits: Limits) -> Line:
    images = recorded.images
    if _has_none_to_come(recorded):
        return Line(Stage.RECEIVED, Mark.NOT_ASKED, "no image: it was discontinued, and the MPPS lists none")
    if not images:
        begun = min((known.created for known in recorded.steps), default=None)
        late = lateness(begun, None, limits.settings.stored_late_minutes, limits.now, "it began")
        return Line(Stage.RECEIVED, Mark.NOT_YET, "no image", count=0, late=late)
    last = max(image.received for image in images)
    why = "the MPPS lists none" if recorded.steps else "no MPPS says how many there are"
    done = limits.now - last >= limits.quiet and all(known.step.status in FINAL for known in recorded.steps)
    text = f"{_instances(images)}, {_series(images)}; {why}"
    mark = Mark.DONE if done else Mark.PARTLY
    return Line(Stage.RECEIVED, mark, text, last, _devices(images), len(_uids(images)))


def _has_none_to_come(recorded: Recorded) -> bool:
    """Tell whether the exam was discontinued before there was an image."""
    return not recorded.images and bool(recorded.steps) and all(map(_is_without_images, recorded.steps))


def _is_without_images(known: StoredStep) -> bool:
    return known.step.status is PerformedStatus.DISCONTINUED and not known.step.images


def quiet(images: Sequence[Image], limits: Limits) -> Line:
    """Return whether an exam without MPPS counts as complete: where nothing came for a while."""
    last = max(image.received for image in images)
    silent = limits.now - last
    if silent >= limits.quiet:
        text = f"no MPPS: counts as complete, as nothing came for {words(silent)}"
        return Line(Stage.COMPLETED, Mark.DONE, text, last + limits.quiet)
    text = f"no MPPS: counts as complete once nothing comes for {words(limits.quiet)}; last image {words(silent)} ago"
    return Line(Stage.COMPLETED, Mark.PARTLY, text)


def _disagreeing(recorded: Recorded) -> list[Line]:
    found: Counter[tuple[str, ...]] = Counter()
    for image in recorded.images:
        found[identity.disagreements(image, recorded.expected)] += 1
    return [Line(Stage.RECEIVED, Mark.PERSON, _disagree(n, names)) for names, n in sorted(found.items()) if names]


def _disagree(count: int, keywords: Sequence[str]) -> str:
    verb = "disagrees" if count == 1 else "disagree"
    return f"{count} {verb} with the order in {' and '.join(keywords)}: compare them"


def _uids(images: Sequence[Image]) -> set[str]:
    return {image.sop_instance_uid for image in images}


def _instances(images: Sequence[Image]) -> str:
    uids = len(_uids(images))
    versions = len(images) - uids
    twice = f" ({versions} came again with other content)" if versions else ""
    return f"{uids} {'image' if uids == 1 else 'images'}{twice}"


def _series(images: Sequence[Image]) -> str:
    return f"{len({image.series_instance_uid for image in images})} series"


def _devices(images: Sequence[Image]) -> str:
    return ", ".join(sorted({image.device for image in images}))


# --- delivered ---------------------------------------------------------------------------------------------------


def delivered(recorded: Recorded, limits: Limits) -> list[Line]:
    """Return a line a destination, with those whose deliveries were purged counted in, and what was altered."""
    if _has_none_to_come(recorded):
        return [Line(Stage.DELIVERED, Mark.NOT_ASKED, "nothing to deliver")]
    kept = {one.destination: one for one in recorded.kept}
    names = sorted({*kept, *(one.destination for one in recorded.sent)})
    found = [
        _delivered(name, [one for one in recorded.sent if one.destination == name], kept.get(name), limits)
        for name in names
    ]
    return [*found, *altered(recorded)] or [Line(Stage.DELIVERED, Mark.NOT_YET, "nothing to deliver yet")]


def _delivered(name: str, sent: Sequence[Sent], kept: Kept | None, limits: Limits) -> Line:
    states = Counter(one.state for one in sent)
    before = kept.instances if kept else 0
    done, total = states[DeliveryState.DELIVERED] + before, len(sent) + before
    needing = [one for one in sent if one.state in _NEEDS_PERSON]
    mark = Mark.PERSON if needing else Mark.DONE if done == total else Mark.PARTLY
    return Line(
        Stage.DELIVERED,
        mark,
        _delivered_text(states, done, total, needing),
        _last([one.finished for one in sent], kept),
        "no route" if name == NO_ROUTE else name,
        done,
        total,
        _delivered_late(sent, kept, limits),
    )


def _delivered_text(states: Counter[DeliveryState], done: int, total: int, needing: Sequence[Sent]) -> str:
    lacking = [state for state in states if state is not DeliveryState.DELIVERED]
    lacking.sort(key=lambda state: (state in _NEEDS_PERSON, state))  # what needs a person last, beside its reason
    others = [f"{states[state]} {state.value}" for state in lacking]
    return "; ".join([f"{done} of {total} delivered", *others]) + _why(needing)


def _why(needing: Sequence[Sent]) -> str:
    """Return the first reason why something needs a person, and how many others there are."""
    reasons = list(dict.fromkeys(one.reason for one in needing if one.reason))
    if not reasons:
        return ""
    more = len(reasons) - 1
    others = f"; {more} other {'reason' if more == 1 else 'reasons'}: `broker delivery list`" if more else ""
    return f": {reasons[0]}{others}"


def _last(finished: Sequence[datetime | None], kept: Kept | None) -> datetime | None:
    instants = [at for at in (*finished, kept.last if kept else None) if at is not None]
    return max(instants, default=None)


def _delivered_late(sent: Sequence[Sent], kept: Kept | None, limits: Limits) -> str:
    minutes, what = limits.settings.delivered_late_minutes, "it was received"
    lacking = min((one.received for one in sent if one.finished is None), default=None)
    took = [one.finished - one.received for one in sent if one.finished is not None]
    slowest = max((*took, timedelta(seconds=kept.longest_seconds if kept else 0)))
    late = lateness(lacking, None, minutes, limits.now, what)
    return late or lateness(limits.now, limits.now + slowest, minutes, limits.now, what)


# --- reported back -----------------------------------------------------------------------------------------------

_MARKS = {
    OwedState.WAITING: Mark.PARTLY,
    OwedState.SENDING: Mark.PARTLY,
    OwedState.DELIVERED: Mark.DONE,
    OwedState.PARKED: Mark.PERSON,
    OwedState.DISCARDED: Mark.DONE,
}


def reported(recorded: Recorded, limits: Limits) -> list[Line]:
    """Return a line a message that is owed to a receiver."""
    if recorded.messages:
        return [_reported(message) for message in recorded.messages]
    if not recorded.has_receivers:
        return [Line(Stage.REPORTED, Mark.NOT_ASKED, "the profile has no receiver")]
    return [Line(Stage.REPORTED, Mark.NOT_YET, "nothing to tell yet")]


def _reported(message: OutboxMessage) -> Line:
    why = f": {message.reason}" if message.reason else ""
    steps = f" (step {', '.join(message.step_ids)})" if message.step_ids else ""
    text = f"{message.event.value}{steps} {message.state.value} as {message.control_id}{why}"
    at = message.finished or message.created
    return Line(Stage.REPORTED, _MARKS[message.state], text, at, message.receiver)
