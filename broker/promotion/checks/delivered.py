"""Whether what the device sends arrives where it is to go."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen

TITLE = "Delivered to every destination"


def judge(facts: Facts) -> CheckResult:
    """Pass where images were delivered and none of those that count waits for a person."""
    asked = verdict.Asked("delivered", TITLE, facts, "send an image; what waits, and why: broker delivery list")
    stuck = [image for image in verdict.own(facts.images) if image.stuck]
    if stuck:
        first = stuck[0].stuck[0]
        text = f"{len(stuck)} instances wait for a person, at {first.destination}: {first.reason}"
        return verdict.failed(asked, text, stuck)
    arrived = [image for image in facts.images if image.is_delivered]
    waiting = len(verdict.own(facts.images))
    absent = f"{waiting} instances are on their way" if waiting else "nothing was sent yet"
    return verdict.of(asked, arrived, _say, absent, delivers=True)


def _say(image: ImageSeen) -> str:
    names = ", ".join(dict.fromkeys(each.destination for each in image.sent))
    return f"delivered to {names or 'its destinations'}"
