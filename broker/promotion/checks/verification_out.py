"""Whether the device answers our Verification where it is bound: without that no report reaches it."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Verification to the device"


def judge(facts: Facts) -> CheckResult:
    """Pass where the newest C-ECHO to its host and port was answered."""
    asked = verdict.Asked("verification_out", TITLE, facts, f"broker modality echo {facts.name}")
    newest = next((echo for echo in facts.sent if echo.counts), None)
    if newest is not None and newest.failure:
        return verdict.failed(asked, newest.failure, [newest])
    answered = [echo for echo in facts.sent if not echo.failure]
    return verdict.of(asked, answered, lambda _: "it answered our C-ECHO", "we have not called it")
