"""Whether the device's clock agrees with ours: a wrong day hides its orders from it, and dates its images wrongly."""

from datetime import timedelta

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen, StepSeen

TITLE = "The device's clock"
_LATELY = timedelta(days=1)
_Reading = StepSeen | ImageSeen


def judge(facts: Facts) -> CheckResult:
    """Pass where what the device dates itself came within the limit.

    The nearest of the last day counts: an image may be sent long after it was made, but none before.
    """
    asked = verdict.Asked(
        "clock", TITLE, facts, "set the console's clock and time zone, best by NTP; then store an image"
    )
    limit = facts.policy.clock_minutes * 60
    every: list[_Reading] = [*facts.steps, *facts.images]
    dated = [each for each in every if each.seconds_off is not None]
    best = _nearest(verdict.own(dated))
    if best is not None and (off := best.seconds_off or 0.0) > limit:
        return verdict.failed(asked, f"it is {_minutes(off)} ahead of ours", [best])
    if best is not None and off < -limit:
        if isinstance(best, StepSeen):
            return verdict.failed(asked, f"it is {_minutes(off)} behind ours", [best])
        text = f"its images came {_minutes(off)} after it had made them: it is behind ours, or sends late"
        return verdict.missing(asked, text, [best])
    fits = sorted((each for each in dated if abs(each.seconds_off or 0.0) <= limit), key=lambda each: each.at)
    return verdict.of(asked, fits[::-1], _say, "nothing that it dated itself has come")


def _nearest(own: list[_Reading]) -> _Reading | None:
    newest = max((each.at for each in own), default=None)
    lately = [each for each in own if newest is not None and each.at > newest - _LATELY]
    return min(lately, key=lambda each: abs(each.seconds_off or 0.0), default=None)


def _minutes(seconds: float) -> str:
    return f"{abs(seconds) / 60:.0f} minutes"


def _say(reading: _Reading) -> str:
    return f"within {max(1, round(abs(reading.seconds_off or 0.0)))} s of ours"
