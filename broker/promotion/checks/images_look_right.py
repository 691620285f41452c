"""Whether a person has looked at the device's images where they are read: no machine can say that."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "The images look right on the workstation"


def judge(facts: Facts) -> CheckResult:
    """Pass where a person has said so in his own name."""
    to_do = (
        f"look at still and loop on the workstation; then: broker promote state {facts.name} images_look_right --text …"
    )
    asked = verdict.Asked("images_look_right", TITLE, facts, to_do)
    said = facts.stated("images_look_right")
    return verdict.of(asked, said, lambda each: f"{each.by}: {each.text}", "nobody has said so")
