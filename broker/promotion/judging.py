"""All that a promotion has to pass: what the device has proven in the source, what the target is ready for."""

from datetime import datetime

from broker.promotion import evidence
from broker.promotion.gate import Here
from broker.promotion.model import CheckResult
from broker.registry.model import Binding, Modality


def checks(source: Here, _target: Here, device: Modality, _binding: Binding, now: datetime) -> tuple[CheckResult, ...]:
    """Judge a device and its target."""
    return evidence.evaluate(source.tx, source.profile, device, now)
