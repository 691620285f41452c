"""All that a promotion has to pass: what the device has proven in the source, what the target is ready for."""

from datetime import datetime

from broker.promotion import evidence, facts, readiness
from broker.promotion.gate import Checks, Here
from broker.promotion.model import CheckResult
from broker.promotion.probing import Prober
from broker.registry.model import Binding, Modality


def by(prober: Prober) -> Checks:
    """Return what judges a device and its target; `prober` asks the target's surroundings.

    Judge once in a reading transaction before it is done in a writing one: what the prober was told it remembers, so
    that nobody waits for the network with the database locked.
    """

    def checks(
        source: Here, target: Here, device: Modality, binding: Binding, now: datetime
    ) -> tuple[CheckResult, ...]:
        found = facts.read(source.tx, source.profile, device, now)
        proven = evidence.judged(found, target.profile.promotion)
        return (*proven, *readiness.judge(target.profile, target.tx, found, prober, now, binding))

    return checks
