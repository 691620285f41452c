"""What a later stage knows of started items: it says which of them are not shown. Decides nothing itself."""

from collections.abc import Callable, Sequence

from broker.database import Transaction
from broker.worklist.model import WorklistItem

Hides = Callable[[Transaction, Sequence[WorklistItem]], frozenset[int]]
"""Gives the ids of those started items that are not shown: who performs a step is known to a later stage."""


def nobody_hides(_tx: Transaction, _items: Sequence[WorklistItem]) -> frozenset[int]:
    """Hide nothing."""
    return frozenset()
