"""Who still sees a scheduled step that was started: technologists reopen exams (E.5, D.6). Pure."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from broker.orders.model import StepStatus
from broker.worklist.model import WorklistItem

STARTED_VISIBLE = timedelta(hours=24)

Starters = Mapping[tuple[int, str], tuple[frozenset[str], datetime]]
"""Who performs a step now, and since when, by order and step ID: `store.starters`."""


def hidden(
    items: Iterable[WorklistItem],
    starters: Starters,
    own_titles: Collection[str],
    now: datetime,
    keep: timedelta = STARTED_VISIBLE,
) -> frozenset[int]:
    """Return the ids of the started items that a caller with these titles is not shown.

    An item that the RIS alone says is started is hidden from nobody: no station is known that has it.
    """
    found = set()
    for item in items:
        starter = starters.get((item.order_id, item.scheduled_procedure_step_id))
        if item.status is StepStatus.STARTED and starter and not sees_started(own_titles, *starter, now, keep):
            found.add(item.id)
    return frozenset(found)


def sees_started(
    own_titles: Collection[str],
    performers: Collection[str],
    started: datetime,
    now: datetime,
    keep: timedelta = STARTED_VISIBLE,
) -> bool:
    """Tell whether a caller sees a started step: the station that started it does, for a while.

    `own_titles` are all titles of the caller's device, those it calls by and those it is shown; `performers` are the
    PerformedStationAETitle and the calling title of its MPPS.
    """
    return now - started <= keep and bool(set(own_titles) & set(performers))
