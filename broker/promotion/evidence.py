"""What a device has proven in Test, by every check. Reads recorded facts; decides in the checks."""

from dataclasses import replace
from datetime import datetime

from broker.database import Transaction
from broker.environments.model import Profile
from broker.environments.promotion import PromotionSettings
from broker.promotion import facts as reading
from broker.promotion.checks import CHECKS
from broker.promotion.model import CheckResult
from broker.promotion.seen import Facts
from broker.registry.model import Modality


def evaluate(
    tx: Transaction, profile: Profile, modality: Modality, now: datetime, policy: PromotionSettings | None = None
) -> tuple[CheckResult, ...]:
    """Return how every check of a device stands. `policy` is the target's, where that is known: it decides."""
    return judged(reading.read(tx, profile, modality, now), policy)


def judged(facts: Facts, policy: PromotionSettings | None = None) -> tuple[CheckResult, ...]:
    """Return how every check stands by these facts."""
    asked = facts if policy is None else replace(facts, policy=policy)
    return tuple(check.judge(asked) for check in CHECKS.values())
