"""Whether the device asks for storage commitment and gets its report (PS3.4 annex J)."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Storage commitment"


def judge(facts: Facts) -> CheckResult:
    """Pass where a request of the device was answered with a report that it took, and nothing in it failed."""
    to_do = "end an exam with commitment switched on, and leave the console on until the report has come"
    asked = verdict.Asked("storage_commitment", TITLE, facts, to_do)
    if not facts.asks_commitment:
        return verdict.not_applicable(asked, "its document", "it does not ask for it (commitment.asks)")
    newest = next((each for each in facts.commitments if each.counts), None)
    if newest is not None and newest.failures:
        return verdict.failed(asked, f"it was told that {newest.failures} instances are not kept", [newest])
    reported = [each for each in facts.commitments if each.is_reported and not each.failures]
    absent = "it has not asked"
    if newest is not None:
        absent = f"it has asked, its report has not reached it{f': {newest.reason}' if newest.reason else ''}"
    return verdict.of(asked, reported, lambda _: "it asked, and took the report", absent)
