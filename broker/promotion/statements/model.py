"""The values of signed statements."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.promotion.model import Fingerprint
from broker.registry.model import Binding


class Kind(StrEnum):
    """What a statement does."""

    STATED = "stated"  # a person has seen it
    WAIVED = "waived"  # a person says that it does not apply


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said of one check of one device, and of what: the revision, binding and version of that moment."""

    device: str
    check: str
    kind: Kind
    text: str
    by: str
    at: datetime
    revision: str
    binding: Binding
    software: str
    fingerprint: Fingerprint
    id: int = 0
