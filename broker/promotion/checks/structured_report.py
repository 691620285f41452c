"""Whether the device's structured reports arrive."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Structured report"


def judge(facts: Facts) -> CheckResult:
    """Pass where a structured report was kept."""
    asked = verdict.Asked("structured_report", TITLE, facts, "measure something, end the exam and send its report")
    if not facts.makes.report:
        return verdict.not_applicable(asked, "its document", "it makes none (makes.report)")
    reports = [image for image in facts.images if image.is_report]
    return verdict.of(asked, reports, lambda _: "kept", "no structured report came")
