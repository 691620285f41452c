"""Who still sees a scheduled step that was started: technologists reopen exams (E.5, D.6). Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta

STARTED_VISIBLE = timedelta(hours=24)


def sees_started(
    own_titles: Collection[str],
    performers: Collection[str],
    started: datetime,
    now: datetime,
    keep: timedelta = STARTED_VISIBLE,
) -> bool:
    """Tell whether a caller sees a started step: the station that started it does, for a while.

    `own_titles` are all titles of the caller's device, those it calls by and those it is shown; `performers` are the
    PerformedStationAETitle and the calling title of the MPPS. A step that nobody's MPPS started (`performers` is
    empty: the RIS said so) is seen by all whose it is.
    """
    if now - started > keep:
        return False
    return not performers or bool(set(own_titles) & set(performers))
