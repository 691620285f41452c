"""Which started items a device is not shown: what the worklist asks of this stage when it answers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from broker.database import Transaction
from broker.procedures import store, visibility
from broker.worklist.hiding import Hides
from broker.worklist.model import Viewer, WorklistItem


def hides(viewer: Viewer, usual_hours: int, now: datetime) -> Hides:
    """Return what gives the ids of the started items that a viewer is not shown.

    A station is shown what it began for so long as its habit `keep_started_hours` says, else for the usual hours, which
    are `started_visible_hours` of the profile's `[mpps]`.
    """
    own = viewer.habits.keep_started_hours
    return partial(_hidden, viewer, timedelta(hours=usual_hours if own is None else own), now)


def _hidden(
    viewer: Viewer, keep: timedelta, now: datetime, tx: Transaction, started: Sequence[WorklistItem]
) -> frozenset[int]:
    if not started:
        return frozenset()
    starters = store.starters(tx, sorted({item.order_id for item in started}))
    return visibility.hidden(started, starters, viewer.titles, now, keep)
