"""What a translation needs to know besides the message. A value; reads nothing."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from broker.environments.model import Source
from broker.orders.control import ControlTable
from broker.orders.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Context:
    """Who sent a message, to which environment, when, and how the sender's messages are to be understood."""

    environment: str  # its name
    source: Source  # the sender's habits
    mapping: Mapping
    order_control: ControlTable
    now: datetime  # when the message came
    timezone: ZoneInfo  # of civil dates and times at the site; the source's may be another
