"""Whether the device has got its test order from the worklist (PS3.4 annex K)."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Worklist query that returned the test order"


def judge(facts: Facts) -> CheckResult:
    """Pass where a query of the device was answered with an item."""
    asked = verdict.Asked("worklist_query", TITLE, facts, "send a test order for today, then refresh the worklist")
    answered = [query for query in facts.queries if query.items]
    asking = verdict.own(facts.queries)
    if asking and not any(query.counts for query in answered):
        return _unanswered(facts, asking[0].status, len(asking))
    return verdict.of(asked, answered, lambda query: f"answered with {len(query.items)} items", "it has not asked")


def _unanswered(facts: Facts, status: int, count: int) -> CheckResult:
    asked = verdict.Asked("worklist_query", TITLE, facts, "why: broker worklist explain --as AET")
    newest = verdict.own(facts.queries)[:1]
    if status:
        return verdict.failed(asked, f"its newest query was refused with status {status:04X}", newest)
    return verdict.missing(asked, f"{count} queries, none was answered with an order", newest)
