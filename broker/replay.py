"""Golden replay: kept messages run through two mappings, and how what comes of them differs. Changes no environment.

Each run has a database of its own, which the caller opens and removes; the comparison is pure.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from broker.database import Database
from broker.environments.model import Profile, Source
from broker.errors import BrokerError
from broker.inbox.model import NO_ANSWER, EntryState, InboxEntry, Outcome
from broker.intake import Intake, Taken
from broker.orders.model import KEYWORDS, Code, Did, Origin
from broker.registry.cache import RegistryCache
from broker.registry.model import Registry
from broker.worklist import store as worklist
from broker.worklist.model import WorklistItem


class What(StrEnum):
    """How an item differs."""

    ADDED = "added"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Answered:
    """How one message was answered in a run."""

    entry: InboxEntry
    state: EntryState
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Produced:
    """One worklist item at the end of a run, and what it comes from, whatever the mapping calls it."""

    entry_id: int  # the message that made its order
    order: int  # which of that message's orders, from 0
    step: int  # which of the order's steps, from 0
    item: WorklistItem


@dataclass(frozen=True, slots=True)
class Run:
    """What came of the messages."""

    answers: tuple[Answered, ...]
    items: tuple[Produced, ...]


@dataclass(frozen=True, slots=True)
class AttributeDifference:
    """One attribute of one item, before and after; empty where it has no value."""

    keyword: str
    before: str
    after: str
    before_from: Origin | None = None
    after_from: Origin | None = None


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """One item that is not the same in both."""

    what: What
    before: WorklistItem | None
    after: WorklistItem | None
    attributes: tuple[AttributeDifference, ...]
    entry_id: int = 0  # the message that made its order

    @property
    def item(self) -> WorklistItem:
        """The item as people know it now, or will."""
        found = self.before or self.after
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two runs over the same messages differ."""

    answers: tuple[tuple[Answered, Answered], ...]
    items: tuple[ItemDifference, ...]
    unchanged: int  # items that are the same in both

    @property
    def is_empty(self) -> bool:
        """Tell whether both runs gave the same."""
        return not (self.answers or self.items)


# --- running -----------------------------------------------------------------------------------------------------


def with_mapping(profile: Profile, mapping: str = "", order_control: str = "", source: str = "") -> Profile:
    """Return the profile with another mapping or order control file for one source, or without `source` for all."""

    def changed(one: Source) -> Source:
        if source not in {"", one.name}:
            return one
        return replace(one, mapping=mapping or one.mapping, order_control=order_control or one.order_control)

    settings = profile.hl7
    sources = tuple(map(changed, settings.sources))
    return replace(profile, hl7=replace(settings, sources=sources, default=changed(settings.default)))


def run(
    profile: Profile,
    database: Database,
    registry: Registry,
    entries: Sequence[InboxEntry],
    progress: Callable[[int], None] = lambda done: None,
) -> Run:
    """Take every message, as at the time when it came, into an empty database, and return what came of them.

    `progress` is told how many are done. Raises Misconfigured for a mapping with mistakes.
    """
    moment = _Moment()
    intake = Intake(profile, database, _Given(database, registry), moment)
    answers: list[Answered] = []
    made: dict[int, tuple[int, int]] = {}
    kept: dict[int, int] = {}
    for number, entry in enumerate(entries, 1):
        moment.instant = entry.arrival.received
        taken = _taken(intake, entry)
        if taken is not None:
            kept.setdefault(taken.entry_id, entry.id)
            for place, order_id in enumerate(_created(taken)):
                made.setdefault(order_id, (entry.id, place))
        answers.append(_answered(entry, taken))
        progress(number)
    return Run(tuple(answers), tuple(_produced(database, made, kept)))


def _taken(intake: Intake, entry: InboxEntry) -> Taken | None:
    """Return what became of a message; None where processing fails for a reason that nobody foresaw."""
    try:
        return intake.take(entry.raw, entry.arrival, lambda outcome, by: None)
    except BrokerError:
        raise
    except Exception:  # noqa: BLE001 - what failed in earnest fails here as well, and must not hide the other messages
        return None


def _created(taken: Taken) -> Iterator[int]:
    for applied in taken.applied:
        if applied.did in {Did.CREATED, Did.TOMBSTONE}:
            yield from (stored.id for stored in applied.orders)


def _answered(entry: InboxEntry, taken: Taken | None) -> Answered:
    if taken is None:
        return Answered(entry, EntryState.KEPT, NO_ANSWER)
    return Answered(entry, taken.state, taken.outcome)


def _produced(database: Database, made: dict[int, tuple[int, int]], kept: dict[int, int]) -> Iterator[Produced]:
    with database.read() as tx:
        for order_id, (entry_id, place) in made.items():
            items = sorted(worklist.of_order(tx, order_id), key=lambda item: item.id)
            for step, item in enumerate(items):
                yield Produced(entry_id, place, step, _renumbered(item, kept))


def _renumbered(item: WorklistItem, kept: dict[int, int]) -> WorklistItem:
    """Return the item whose origins name the messages by their numbers in the real inbox."""
    origins = {key: one._replace(entry_id=kept.get(one.entry_id, 0)) for key, one in item.provenance.items()}
    return replace(item, provenance=origins)


class _Moment:
    """A clock that stands at the arrival of the message at hand."""

    instant: datetime

    def now(self) -> datetime:
        """Return that instant."""
        return self.instant

    def monotonic(self) -> float:
        """Return it in seconds."""
        return self.instant.timestamp()


class _Given(RegistryCache):
    """The registry of the real environment, whatever database asks."""

    def __init__(self, database: Database, registry: Registry) -> None:
        super().__init__(database)
        self._given = registry

    def within(self, tx: object) -> Registry:
        """Return it."""
        return self._given


# --- comparing ---------------------------------------------------------------------------------------------------

_SAME: tuple[Callable[[Produced], Hashable], ...] = (
    lambda one: (one.entry_id, one.order, one.item.scheduled_procedure_step_id),
    lambda one: (one.entry_id, one.order, one.step),
    lambda one: (one.item.study_instance_uid, one.item.scheduled_procedure_step_id),
    lambda one: (*_numbers(one.item), one.step),
)
"""By what an item of one run is found in the other, best first: another mapping may give it another name."""


def compare(before: Run, after: Run) -> Comparison:
    """Return how the second run differs from the first, which had the same messages."""
    answers = tuple(
        (one, other) for one, other in zip(before.answers, after.answers, strict=True) if one.outcome != other.outcome
    )
    pairs = _paired(before.items, after.items)
    found = tuple(difference for pair in pairs if (difference := _of_pair(*pair)) is not None)
    return Comparison(answers, found, len(pairs) - len(found))


def differences(before: Iterable[WorklistItem], after: Iterable[WorklistItem]) -> tuple[ItemDifference, ...]:
    """Return how stored items differ that are the same where their ids are."""
    was, now = ({item.id: item for item in items} for items in (before, after))
    pairs = ((was.get(number), now.get(number)) for number in dict.fromkeys((*was, *now)))
    return tuple(found for pair in pairs if (found := difference(*pair)) is not None)


def difference(before: WorklistItem | None, after: WorklistItem | None, entry_id: int = 0) -> ItemDifference | None:
    """Return how an item differs, or None where it is the same."""
    was, now = attributes(before), attributes(after)
    found = tuple(
        AttributeDifference(key, was.get(key, ""), now.get(key, ""), _origin(before, key), _origin(after, key))
        for key in dict.fromkeys((*was, *now))
        if was.get(key, "") != now.get(key, "")
    )
    what = What.ADDED if before is None else What.GONE if after is None else What.CHANGED
    return ItemDifference(what, before, after, found, entry_id) if found else None


def attributes(item: WorklistItem | None) -> dict[str, str]:
    """Return every value of an item as text, by keyword."""
    if item is None:
        return {}
    own = {KEYWORDS[name]: _text(getattr(item, name)) for name in KEYWORDS if hasattr(item, name)}
    return {key: value for key, value in (own | item.attributes).items() if value}


def _paired(before: Sequence[Produced], after: Sequence[Produced]) -> list[tuple[Produced | None, Produced | None]]:
    """Return each item with its twin in the other run, in wire order; None where it has none."""
    left, right = list(before), list(after)
    pairs: list[tuple[Produced | None, Produced | None]] = []
    for key in _SAME:
        twins = {key(one): one for one in reversed(right)}
        found = {key(one): one for one in reversed(left) if key(one) in twins}
        pairs += [(one, twins[same]) for same, one in found.items()]
        left = [one for one in left if found.get(key(one)) is not one]
        right = [one for one in right if not (key(one) in found and twins[key(one)] is one)]
    pairs += [(one, None) for one in left] + [(None, one) for one in right]
    return sorted(pairs, key=lambda pair: _place(pair[0] or pair[1]))


def _place(one: Produced | None) -> tuple[int, int, int]:
    assert one is not None
    return one.entry_id, one.order, one.step


def _of_pair(before: Produced | None, after: Produced | None) -> ItemDifference | None:
    entry_id = _place(before or after)[0]
    return difference(before.item if before else None, after.item if after else None, entry_id)


def _numbers(item: WorklistItem) -> tuple[str, ...]:
    names = (KEYWORDS["placer_order_number"], KEYWORDS["filler_order_number"])
    numbers = tuple(item.attributes.get(name, "") for name in names)
    stated = numbers if any(numbers) else (item.study_instance_uid,)
    return item.issuer_of_patient_id, item.patient_id, *stated


def _origin(item: WorklistItem | None, keyword: str) -> Origin | None:
    return item.provenance.get(keyword) if item else None


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case Code():
            return "^".join((value.value, value.scheme, value.meaning))
        case tuple():
            return "\\".join(map(_text, value))
    return str(value)
