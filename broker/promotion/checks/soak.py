"""Whether the device has done it again, on another day: what works once works by luck."""

from collections import defaultdict

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen

TITLE = "Enough exams on enough days, without a failure"


def judge(facts: Facts) -> CheckResult:
    """Pass where so many studies, on so many days, were delivered whole."""
    policy = facts.policy
    asked = verdict.Asked("soak", TITLE, facts, "do another whole test exam, on another day if it lacks days")
    whole = _exams(verdict.own(facts.images))
    if not _is_enough(facts, whole) and _is_enough(facts, _exams(_its_own(facts))):
        changed = [image for image in _its_own(facts) if not image.counts]
        return verdict.of(asked, changed, _never, "")
    days = {_day(facts, images) for images in whole}
    had = f"{len(whole)} of {policy.soak_exams} exams on {len(days)} of {policy.soak_days} days"
    newest = sorted((images[0] for images in whole), key=lambda image: image.at, reverse=True)
    if _is_enough(facts, whole):
        return verdict.passed(asked, had, newest)
    return verdict.missing(asked, had, newest)


def _its_own(facts: Facts) -> list[ImageSeen]:
    return [image for image in facts.images if not image.bearing.foreign]


def _exams(images: list[ImageSeen]) -> list[list[ImageSeen]]:
    """Return the studies of which everything was delivered, each with its images."""
    studies: dict[str, list[ImageSeen]] = defaultdict(list)
    for image in images:
        studies[image.study_instance_uid].append(image)
    return [found for uid, found in studies.items() if uid and all(image.is_delivered for image in found)]


def _is_enough(facts: Facts, exams: list[list[ImageSeen]]) -> bool:
    days = {_day(facts, images) for images in exams}
    return len(exams) >= facts.policy.soak_exams and len(days) >= facts.policy.soak_days


def _day(facts: Facts, images: list[ImageSeen]) -> str:
    return f"{min(image.at for image in images).astimezone(facts.timezone):%Y%m%d}"


def _never(_: ImageSeen) -> str:
    return ""
