"""How a watch is shown: as a page, as what is new, as JSON. Decides nothing."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from broker.promotion.firsts import First
from broker.promotion.model import Life
from broker.promotion.troubles import Trouble
from broker.promotion.watching import Watch

_SHORT = 12


def lines(watch: Watch, zone: tzinfo) -> list[str]:
    """Return the whole state, a line each."""
    if watch.life is Life.SCHEDULED:
        return [_head(watch, zone)]
    shown = [_head(watch, zone), *(_first(first, zone) for first in watch.firsts if _is_shown(first)), _exams(watch)]
    shown += [part for trouble in watch.troubles for part in _trouble(trouble, zone)]
    return [*shown, verdict(watch), *_way_back(watch)]


def news(watch: Watch, zone: tzinfo) -> Iterator[tuple[str, str]]:
    """Yield what is worth a line of its own, each with what it is: a caller writes each only once."""
    yield "head" + watch.life.value, _head(watch, zone)
    if watch.life is Life.SCHEDULED:
        return
    seen = sorted((first for first in watch.firsts if first.at is not None), key=lambda first: first.at or watch.now)
    yield from ((first.name, _first(first, zone)) for first in seen)
    for trouble in watch.troubles:
        yield f"{trouble.ref} {trouble.is_open}", "\n".join(_trouble(trouble, zone))
    if watch.exams:
        yield f"exams {watch.exams}", _exams(watch)
    said = "\n".join((verdict(watch), *_way_back(watch)))
    yield said, said


def verdict(watch: Watch) -> str:
    """Return in a line how it stands."""
    if watch.life is Life.LIVE:
        return f"LIVE: {watch.name} has shown what is asked for; nobody need watch"
    if watch.life is not Life.WATCHED:
        return f"ROLLED BACK: {watch.name} is {watch.life.value}: it gets no new items, open exams still finish"
    if watch.open_troubles:
        count = len(watch.open_troubles)
        return f"TROUBLE: {count} thing{'s are' if count > 1 else ' is'} wrong"
    if watch.has_shown_all:
        return f"GOOD: {watch.name} has shown what is asked for, and is live in a moment"
    return f"NOT YET: {_waits_for(watch)}"


def _waits_for(watch: Watch) -> str:
    if not watch.is_served:
        return f"no broker serve runs on {watch.environment} here: broker serve --env {watch.environment}"
    if watch.awaited:
        return f"waiting for: {watch.awaited[0].title}. {watch.awaited[0].text}"
    return "waiting for a whole exam, with every image where it is to be"


def fact(watch: Watch) -> dict[str, object]:
    """Return it as JSON has it."""
    return {
        "name": watch.name,
        "environment": watch.environment,
        "life": watch.life.value,
        "good": watch.is_good,
        "served": watch.is_served,
        "since": watch.since,
        "revision": watch.revision,
        "firsts": [
            {"first": each.name, "title": each.title, "at": each.at, "text": each.text, "needed": each.is_needed}
            for each in watch.firsts
        ],
        "exams": watch.exams,
        "exams_asked": watch.exams_asked,
        "troubles": [
            {"fact": each.ref, "at": each.at, "text": each.text, "to_do": each.to_do, "open": each.is_open}
            for each in watch.troubles
        ],
    }


def _head(watch: Watch, zone: tzinfo) -> str:
    if watch.life is Life.SCHEDULED:
        return f"{watch.name} in {watch.environment}: scheduled; the clock applies it, then it is watched here"
    since = watch.since.astimezone(zone)
    return (
        f"{watch.name} in {watch.environment}: {watch.life.value}, cut over {since:%Y-%m-%d %H:%M:%S}, "
        f"revision {watch.revision[:_SHORT]}, {watch.place}"
    )


def _first(first: First, zone: tzinfo) -> str:
    if first.at is not None:
        return f"  seen  {_clock(first.at, zone)}  {first.title}: {first.text}"
    return f"  {'...   ' if first.is_needed else '(may) '}--:--:--  {first.title}: {first.text}"


def _is_shown(first: First) -> bool:
    """Tell whether it is seen, awaited, or what a person may do at any time."""
    return first.at is not None or first.is_needed or first.name == "echo"


def _exams(watch: Watch) -> str:
    mark = "seen " if watch.exams >= watch.exams_asked else "...  "
    return f"  {mark}          Whole exams, every image where it is to be: {watch.exams} of {watch.exams_asked}"


def _trouble(trouble: Trouble, zone: tzinfo) -> list[str]:
    if not trouble.is_open:
        return [f"  over  {_clock(trouble.at, zone)}  {trouble.text}"]
    return [f"  WRONG {_clock(trouble.at, zone)}  {trouble.text} ({trouble.ref})", f"        to do:    {trouble.to_do}"]


def _way_back(watch: Watch) -> list[str]:
    if watch.life is not Life.WATCHED or not watch.open_troubles:
        return []
    return [f"the way back: broker promote rollback {watch.name} --env {watch.environment} --why TEXT"]


def _clock(at: datetime | None, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%H:%M:%S}" if at else ""
