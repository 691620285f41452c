"""What the process of the listeners rings and that of the deliveries hears: there are new images."""

from dataclasses import dataclass

from broker.schedule import Bell


@dataclass(frozen=True, slots=True)
class Bells:
    """A bell for each kind of news."""

    kept: Bell  # the index has something to read
    owed: Bell  # something is owed to destinations
