"""Whether the device's still images arrive."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Still image"


def judge(facts: Facts) -> CheckResult:
    """Pass where an image of one frame was kept."""
    asked = verdict.Asked("still_image", TITLE, facts, "freeze, store and send one image")
    if not facts.makes.still:
        return verdict.not_applicable(asked, "its document", "it makes none (makes.still)")
    stills = [image for image in facts.images if not image.is_loop and not image.is_report]
    return verdict.of(asked, stills, lambda image: f"kept, {image.octets / 1e6:.1f} MB", "no still image came")
