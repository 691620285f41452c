"""The values of a correction: what an instance is to say, why, and what became of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.database import Transaction
from broker.delivery.content import CannotCorrect
from broker.orders.model import StoredOrder
from broker.spool.model import SpooledInstance


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


@dataclass(frozen=True, slots=True)
class Corrections:
    """What becomes of a batch: corrections, and why one cannot be made, by instance; what is held, by delivery."""

    by_instance: Mapping[str, Correction] = field(default_factory=dict)
    impossible: Mapping[str, CannotCorrect] = field(default_factory=dict)
    held: Mapping[int, str] = field(default_factory=dict)  # with the reason
    recorded: tuple[tuple[int, Applied], ...] = ()  # what is new of it, with its delivery


UNCORRECTED = Corrections()
"""Of a batch for a destination without a rule."""


class Doubt(StrEnum):
    """Why it is not sure enough whose an instance is for altering it."""

    NO_ORDER = "no order is known for it"
    SEVERAL = "more than one order may be meant"
    OTHER_PATIENT = "it names another patient than its order"
    CANCELED = "its order is canceled"
    WRONG_ENTRY = "its performed step was ended since the wrong worklist entry had been selected"
    UNLINKED = "a person has unlinked its performed step from that order"


@dataclass(frozen=True, slots=True)
class Meant:
    """The order that an instance belongs to, and what speaks against altering it by that order.

    `by_study`: the Study Instance UID says so, which only our worklist or a person's link can have brought about.
    """

    order: StoredOrder | None = None
    doubt: Doubt | None = Doubt.NO_ORDER
    by_study: bool = False
    by_person: bool = False  # who has linked the study of its performed step


OrdersOf = Callable[[Transaction, Sequence[SpooledInstance]], Mapping[str, Meant]]
"""Finds the orders of instances, by their ids; given by who knows exams, since deliveries do not."""


def no_orders(_tx: Transaction, _instances: Sequence[SpooledInstance]) -> Mapping[str, Meant]:
    """Find none: what has a rule is then sent as received, or held."""
    return {}
