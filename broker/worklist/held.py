"""Which items a query does not find though a person would expect it: held back, for others, on another day, started."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.database import Transaction
from broker.orders.model import StepStatus
from broker.worklist import store
from broker.worklist.model import Viewer, WorklistItem
from broker.worklist.narrowing import narrow
from broker.worklist.query import START_DATE, START_TIME, STATION, Key, Query, has_keys
from broker.worklist.ranges import Span
from broker.worklist.stations import Stations, resolved, titles_of, visible
from broker.worklist.walk import Looks, unbound

NAMED_AT_MOST = 20
_DAYS_AHEAD = 7
_WITHHELD = (StepStatus.HELD, StepStatus.CANCELED, StepStatus.COMPLETED, StepStatus.DISCONTINUED)
_IDENTIFYING = frozenset(
    {"AccessionNumber", "PatientID", "RequestedProcedureID", "ScheduledProcedureStepID", "StudyInstanceUID"}
)
_WHY = {
    StepStatus.HELD: "the RIS has put it on hold, and shows it again by releasing it (ORC-1 RL)",
    StepStatus.CANCELED: "the RIS has taken it back",
    StepStatus.COMPLETED: "a device or a person has said that it is done",
    StepStatus.DISCONTINUED: "a device or a person has said that it was broken off",
}
_STARTED = "it was started by another station, or too long ago (keep_started_hours)"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One item, and why it is not answered, or what it lacks."""

    item: WorklistItem
    why: str


def held_back(  # noqa: PLR0917 - who asks what of what, as in `find`
    tx: Transaction, query: Query, viewer: Viewer, stations: Stations, looks: Looks, now: datetime
) -> tuple[HeldBack, ...]:
    """Return what has every key but stands so that nobody is shown it, or is for others, or not on that day."""
    withheld = list(_withheld(tx, query if query.keys else replace(query, keys=_lately(now)), viewer, stations))
    elsewhere = list(_elsewhere(query, viewer, stations, looks)) if viewer.is_bound and query.keys else []
    other_day = list(_other_day(query, viewer, looks)) if not _IDENTIFYING.isdisjoint(query.keys) else []
    return (*withheld, *elsewhere, *other_day)


def started(items: Collection[WorklistItem], hidden: Collection[int]) -> tuple[HeldBack, ...]:
    """Return the started items that are hidden."""
    return tuple(HeldBack(item, _STARTED) for item in items if item.id in hidden)


def lacks(item: WorklistItem) -> tuple[str, ...]:
    """Return what an answer needs and an item does not have (D.2.7): many consoles leave such a row out."""
    values = {
        "PatientName": item.patient_name,
        "PatientID": item.patient_id,
        "StudyInstanceUID": item.study_instance_uid,
        "RequestedProcedureID": item.requested_procedure_id,
        START_DATE: item.scheduled_procedure_step_start_date,
        START_TIME: item.scheduled_procedure_step_start_time,
        "Modality": item.modality,
        STATION: item.scheduled_station_ae_titles,
        "ScheduledProcedureStepID": item.scheduled_procedure_step_id,
    }
    return tuple(keyword for keyword, value in values.items() if not value)


def _withheld(tx: Transaction, query: Query, viewer: Viewer, stations: Stations) -> Iterator[HeldBack]:
    for item in store.withheld(tx, narrow(query, Viewer(), Stations()), _WITHHELD, NAMED_AT_MOST):
        known = resolved(item, viewer, stations)
        if visible(known, viewer) and has_keys(query, known):
            yield HeldBack(known, f"it is {item.status.value}: {_WHY[item.status]}")


def _lately(now: datetime) -> dict[str, Key]:
    first, last = (f"{now + timedelta(days=days):%Y%m%d}" for days in (-1, _DAYS_AHEAD))
    return {START_DATE: Key("DA", spans=(Span(first, last, ranged=True),))}


def _elsewhere(query: Query, viewer: Viewer, stations: Stations, looks: Looks) -> Iterator[HeldBack]:
    found, known = looks(query, unbound(viewer)).items, titles_of(stations)
    others = [item for item in found if not visible(item, viewer)]
    for item in others[:NAMED_AT_MOST]:
        yield HeldBack(item, f"it is for {_whom(item, known)}")


def _whom(item: WorklistItem, known: Collection[str]) -> str:
    titles = item.scheduled_station_ae_titles
    if not titles:
        return f"nobody: no device of modality {item.modality} is registered"
    # Ordered for a device that has been retired since, or whose station is another one now.
    is_known = any(title in known for title in titles)
    return ", ".join(titles) + ("" if is_known else ", which is no registered device's station")


def _other_day(query: Query, viewer: Viewer, looks: Looks) -> Iterator[HeldBack]:
    """Yield what a number names on another day or at another time."""
    keys = {keyword: key for keyword, key in query.keys.items() if keyword not in (START_DATE, START_TIME)}
    if keys == query.keys:
        return
    for item in looks(replace(query, keys=keys), viewer).items[:NAMED_AT_MOST]:
        if not has_keys(query, item):
            yield HeldBack(item, "it is scheduled outside the dates that are asked for")
