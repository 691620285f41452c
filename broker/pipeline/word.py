"""A word from the process that receives images to the one that forwards them: there is something new.

Who hears it is the composition root's. What is not heard is found a tenth of a second later, by who looks for it.
"""

import time
from collections.abc import Callable

_SILENCE = 0.1  # seconds: who forwards looks as often by itself


def _nobody() -> None:
    """Tell nobody."""


class Word:
    """Rings for the first image after a silence, and for the last one of an association. For many threads at once."""

    def __init__(self) -> None:
        self.of_kept: Callable[[], None] = _nobody
        """Called when the index has something to read."""
        self.of_owed: Callable[[], None] = _nobody
        """Called when something is indexed already, and owed."""
        self._at = 0.0
        self._bringing: set[str] = set()  # associations that have brought something

    def kept(self, association_id: str) -> None:
        """Take note of an image that is kept and not indexed yet."""
        self._bringing.add(association_id)
        now = time.monotonic()
        if now - self._at >= _SILENCE:
            self._at = now
            self.of_kept()

    def ended(self, association_id: str) -> None:
        """Take note that an association brings nothing more."""
        if association_id in self._bringing:
            self._bringing.discard(association_id)
            self.of_kept()
