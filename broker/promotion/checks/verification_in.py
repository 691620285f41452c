"""Whether the device has asked us for Verification (PS3.4 annex A)."""

from broker.promotion import verdict
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts

TITLE = "Verification from the device"


def judge(facts: Facts) -> CheckResult:
    """Pass where a C-ECHO of the device was answered."""
    asked = verdict.Asked("verification_in", TITLE, facts, "at the console: network settings, this broker, Verify")
    return verdict.of(asked, facts.received, lambda _: "its C-ECHO was answered", "it has sent no C-ECHO")
