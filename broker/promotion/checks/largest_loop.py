"""Whether the largest loop that the device can make gets through: it finds limits that small ones do not."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts, ImageSeen

TITLE = "The largest loop it can make"
_MB = 1_000_000


def judge(facts: Facts) -> CheckResult:
    """Pass where a delivered loop is as large as its document says, or a person says that it was the largest."""
    to_do = "store the longest loop at the best quality and send it"
    asked = verdict.Asked("largest_loop", TITLE, facts, to_do)
    if not facts.makes.loop:
        return verdict.not_applicable(asked, "its document", "it makes none (makes.loop)")
    loops = sorted((image for image in facts.images if image.is_loop and image.is_delivered), key=_size, reverse=True)
    least = facts.makes.largest_loop_mb * _MB
    if least:
        largest = f"the largest delivered loop has {loops[0].octets / _MB:.0f} MB" if loops else "no loop was delivered"
        enough = [loop for loop in loops if loop.octets >= least]
        return verdict.of(asked, enough, _say, f"{largest}, its document says {facts.makes.largest_loop_mb} MB")
    return _as_stated(facts, asked, loops)


def _as_stated(facts: Facts, asked: verdict.Asked, loops: list[ImageSeen]) -> CheckResult:
    own = verdict.own(loops)
    if not own:
        return verdict.of(asked, loops, _say, "no loop was delivered")
    said = [each for each in facts.stated("largest_loop") if each.at >= own[0].at]
    to_do = f"{asked.to_do}; then say so: broker promote state {facts.name} largest_loop --text …"
    absent = f"the largest delivered loop has {own[0].octets / _MB:.1f} MB; nobody has said that it is the largest"
    text = f"{own[0].octets / _MB:.1f} MB, the largest as "
    return verdict.of(
        verdict.Asked(asked.check, asked.title, facts, to_do), said, lambda each: f"{text}{each.by} says", absent
    )


def _size(image: ImageSeen) -> int:
    return image.octets


def _say(image: ImageSeen) -> str:
    return f"delivered, {image.octets / _MB:.0f} MB"
