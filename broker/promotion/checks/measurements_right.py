"""Whether a person has compared the measurements of a report with the console."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "The measurements are those of the console"


def judge(facts: Facts) -> CheckResult:
    """Pass where a person has said so in his own name; where it makes no reports there are none."""
    to_do = f"compare a report with the console; then: broker promote state {facts.name} measurements_right --text …"
    asked = verdict.Asked("measurements_right", TITLE, facts, to_do)
    if not facts.makes.report:
        return verdict.not_applicable(asked, "its document", "it makes no structured reports (makes.report)")
    said = facts.stated("measurements_right")
    return verdict.of(asked, said, lambda each: f"{each.by}: {each.text}", "nobody has said so")
