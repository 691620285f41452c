"""Whether the device has told us of a performed step from its start to its end (PS3.4 annex F)."""

from broker.procedures.model import PerformedStatus
from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "MPPS started and completed"


def judge(facts: Facts) -> CheckResult:
    """Pass where a performed step of the device was begun and then completed."""
    asked = verdict.Asked("mpps", TITLE, facts, "begin an exam from the worklist, and end it at the console")
    if not facts.makes.performed_step:
        return verdict.not_applicable(asked, "its document", "it sends no MPPS (makes.performed_step)")
    completed = [step for step in facts.steps if step.status is PerformedStatus.COMPLETED]
    begun = verdict.own(facts.steps)
    absent = f"{len(begun)} begun, none completed" if begun else "no performed step"
    return verdict.of(asked, completed, lambda _: "begun and completed", absent)
