"""Whether the device's loops arrive."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Cine loop"


def judge(facts: Facts) -> CheckResult:
    """Pass where an image of several frames was kept."""
    asked = verdict.Asked("cine_loop", TITLE, facts, "store and send one loop")
    if not facts.makes.loop:
        return verdict.not_applicable(asked, "its document", "it makes none (makes.loop)")
    loops = [image for image in facts.images if image.is_loop]
    say = "kept, {} frames, {:.1f} MB"
    return verdict.of(asked, loops, lambda image: say.format(image.frames, image.octets / 1e6), "no loop came")
