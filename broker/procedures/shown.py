"""Which started items a device is not shown: what the worklist asks of this stage when it answers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from broker.database import Transaction
from broker.procedures import store, visibility
from broker.worklist.hiding import Hides
from broker.worklist.model import Viewer, WorklistItem


def hides(viewer: Viewer, now: datetime) -> Hides:
    """Return what gives the ids of the started items that a viewer is not shown, by its habit `keep_started_hours`."""
    return partial(_hidden, viewer, now)


def _hidden(viewer: Viewer, now: datetime, tx: Transaction, started: Sequence[WorklistItem]) -> frozenset[int]:
    if not started:
        return frozenset()
    starters = store.starters(tx, sorted({item.order_id for item in started}))
    keep = timedelta(hours=viewer.habits.keep_started_hours)
    return visibility.hidden(started, starters, viewer.titles, now, keep)
