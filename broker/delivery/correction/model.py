"""The values of a correction: what an instance is to say, why, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Reason for the Attribute Modification (0400,0565), PS3.3 table C.12.1.1.9-1."""

    COERCE = "COERCE"  # reconciled with what is known of the patient and the order
    CORRECT = "CORRECT"  # a wrong value: a person has linked the study, or another patient's identifier stood there


@dataclass(frozen=True, slots=True)
class Correction:
    """What one order says of an instance, for one destination. Sequences are JSON lists of items by keyword."""

    order_id: int
    values: Mapping[str, str] = field(repr=False)  # by keyword; what the order does not say is not here
    reason: Reason
    at: datetime  # Attribute Modification DateTime (0400,0562): the same for each try
    source: str  # Source of Previous Values (0400,0564)
    system: str  # Modifying System (0400,0563)


class Became(StrEnum):
    """What became of an instance on its way to a destination with a rule."""

    CORRECTED = "corrected"
    AS_RECEIVED = "as received"  # no order, or not surely this one: sent as it came
    HELD = "held"  # likewise, and a person is asked


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one instance for one destination. `why` and `keywords` hold no value of a patient."""

    instance_id: str
    destination: str
    became: Became
    at: datetime
    order_id: int = 0
    keywords: tuple[str, ...] = ()
    why: str = ""
    fingerprint: str = ""  # of what the order said: `at` stays as long as this does
