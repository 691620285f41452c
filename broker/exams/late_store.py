"""How many exams have a step that is late and still lacks, counted where it is cheap: by indexed days and states.

`limits.lateness` judges one exam; this asks the same of all at once, of the last day, for whoever watches the numbers.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Exists, exists, func, select

from broker.database import Transaction, table_of
from broker.delivery.model import DeliveryState
from broker.environments.model import Profile
from broker.exams.limits import MIDNIGHT
from broker.exams.store import DELIVERY, INSTANCE, ITEM, mark, set_mark
from broker.orders.model import StepStatus
from broker.procedures.model import FINAL
from broker.procedures.store import PerformedSeriesRow, PerformedStepRow
from broker.worklist.store import OFFERED

STAGES = ("started", "received", "delivered")
COUNTED = "late-counted"
"""The mark of when it was counted, in seconds since 1970."""

_WINDOW = timedelta(days=1)
_BATCH = 500
_STEP = table_of(PerformedStepRow)
_SERIES = table_of(PerformedSeriesRow)


def count(tx: Transaction, profile: Profile, now: datetime) -> dict[str, int]:
    """Return by stage how many orders, performed steps and instances are late; a limit of 0 minutes is none."""
    settings = profile.exams
    return {
        "started": _not_started(tx, profile, settings.started_late_minutes, now),
        "received": _not_received(tx, settings.stored_late_minutes, now),
        "delivered": _not_delivered(tx, settings.delivered_late_minutes, now),
    }


def keep(tx: Transaction, counts: dict[str, int], now: datetime) -> None:
    """Keep what was counted for `kept`."""
    for stage, number in counts.items():
        set_mark(tx, f"late-{stage}", number)
    set_mark(tx, COUNTED, int(now.timestamp()))


def kept(tx: Transaction) -> dict[str, int]:
    """Return what was counted last."""
    return {stage: mark(tx, f"late-{stage}") for stage in STAGES}


def _not_started(tx: Transaction, profile: Profile, minutes: int, now: datetime) -> int:
    """Return how many orders of the last day have a step that is offered and should have begun."""
    if not minutes:
        return 0
    due = (now - timedelta(minutes=minutes)).astimezone(profile.timezone)
    total = 0
    for day, after, until in _days(due):
        on_day = (ITEM.c.offered == 1, ITEM.c.start_date == day)
        within = (ITEM.c.start_time >= after, ITEM.c.start_time < until)
        timed = ITEM.c.start_time.not_in(["", MIDNIGHT])  # else it is a day alone, see `limits.scheduled`
        waiting = ITEM.c.status.in_([status.value for status in OFFERED if status is not StepStatus.STARTED])
        query = select(func.count(ITEM.c.order_id.distinct())).where(*on_day, *within, timed, waiting, ~_has_images())
        total += int(tx.execute(query).scalar_one())
    return total


def _has_images() -> Exists:
    """Return whether an item's study has images: a device without MPPS tells nothing else of having begun."""
    return exists().where(INSTANCE.c.study_instance_uid == ITEM.c.study_instance_uid)


def _days(due: datetime) -> Iterable[tuple[str, str, str]]:
    """Yield the two days (DA) of the 24 hours before an instant, each with the times (TM) between which it lies."""
    time = f"{due:%H%M%S}"
    yield f"{due - _WINDOW:%Y%m%d}", time, "24"
    yield f"{due:%Y%m%d}", "", time


def _not_received(tx: Transaction, minutes: int, now: datetime) -> int:
    """Return how many performed steps that ended within the last day list an image that has not come."""
    if not minutes:
        return 0
    ended = (_STEP.c.status.in_([status.value for status in FINAL]), _STEP.c.images > 0)
    within = (_STEP.c.updated >= now - _WINDOW, _STEP.c.updated < now - timedelta(minutes=minutes))
    query = select(_SERIES.c.performed_step, _SERIES.c.instances).join(_STEP, _STEP.c.id == _SERIES.c.performed_step)
    rows = tx.execute(query.where(*ended, *within)).all()
    listed = {row.performed_step: set[str]() for row in rows}
    for row in rows:
        listed[row.performed_step].update(uid for _, uid in json.loads(row.instances))
    came = _came(tx, sorted(set().union(*listed.values())))
    return sum(1 for uids in listed.values() if uids - came)


def _came(tx: Transaction, uids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(uids), _BATCH):
        own = INSTANCE.c.sop_instance_uid
        found.update(tx.execute(select(own).where(own.in_(uids[start : start + _BATCH]))).scalars())
    return found


def _not_delivered(tx: Transaction, minutes: int, now: datetime) -> int:
    """Return how many deliveries are not done so long after they were owed."""
    if not minutes:
        return 0
    unfinished = [state.value for state in DeliveryState if state is not DeliveryState.DELIVERED]
    late = (DELIVERY.c.state.in_(unfinished), DELIVERY.c.created < now - timedelta(minutes=minutes))
    return int(tx.execute(select(func.count(DELIVERY.c.id)).where(*late)).scalar_one())
