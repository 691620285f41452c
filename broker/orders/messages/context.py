"""What a translation needs to know besides the message. A value; reads nothing."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from broker.orders.mapping import DEFAULT, Mapping


@dataclass(frozen=True, slots=True)
class Context:
    """The environment a message came to, and when."""

    environment: str  # its name; part of every UID we derive, so that two worlds never share one
    timezone: ZoneInfo  # of civil dates and times
    processing_ids: tuple[str, ...]  # MSH-11 that is taken
    now: datetime
    mapping: Mapping = DEFAULT
