"""Which destinations an instance is owed to, and how urgently. Pure: rules, instance and order in, names out."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from broker.environments.model import Condition, Priority, Route
from broker.environments.routes import KNOWN, NONE, ORDER
from broker.environments.schedules import is_within
from broker.orders.model import KEYWORDS, Code, Order, Patient, ScheduledStep
from broker.spool.model import SpooledInstance

OrderValues = Mapping[str, tuple[str, ...]]
"""What an order says, by keyword; of a code its value. An attribute of the steps has a value of each."""

_PRIORITY = "RequestedProcedurePriority"

PRIORITIES = {
    "STAT": Priority.STAT,
    "HIGH": Priority.HIGH,
    "ROUTINE": Priority.ROUTINE,
    "MEDIUM": Priority.ROUTINE,
    "LOW": Priority.LOW,
}
"""The defined terms of RequestedProcedurePriority (PS3.3 C.4.11); another word is ROUTINE."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules look at."""

    instance: SpooledInstance
    received: datetime  # civil, at the site
    order: OrderValues | None = None  # None: it belongs to no order that is known


@dataclass(frozen=True, slots=True)
class Rules:
    """The routes that count for one instance, and whose they are."""

    routes: tuple[Route, ...]
    of_document: bool  # the device's document has some; else the profile's


@dataclass(frozen=True, slots=True)
class Judged:
    """One route, and why it does not take the instance; without a reason it does."""

    number: int  # in its file, from 1
    route: Route
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that is owed the instance; `by` says what set the priority."""

    destination: str
    priority: Priority = Priority.ROUTINE
    by: str = "default"


def rules(document_routes: Sequence[Route], profile_routes: Sequence[Route]) -> Rules:
    """Return the routes that count: the document's where it has any at all, else the profile's."""
    return Rules(tuple(document_routes or profile_routes), bool(document_routes))


def targets(subject: Subject, routes: Sequence[Route]) -> tuple[Target, ...]:
    """Return what the instance is owed to, in the order of the routes and without repeats.

    A destination's priority is that of the first route to it that states one, else the order's.
    """
    taking = [one for one in judged(subject, routes) if not one.reasons]
    names = dict.fromkeys(name for one in taking for name in one.route.to)
    return tuple(_target(name, taking, subject.order) for name in names)


def of_association(routes: Sequence[Route], device: str, calling_ae_title: str) -> tuple[str, ...] | None:
    """Return to whom all is owed that comes on an association; None where that depends on more than who sends it."""
    sender = {"device": device, "calling": calling_ae_title}
    names: list[str] = []
    for route in routes:
        if route.unless or route.times or any(key not in sender for key, _ in route.when):
            return None
        if all(any(_fits(pattern, sender[key]) for pattern in patterns) for key, patterns in route.when):
            names += route.to
    return tuple(dict.fromkeys(names))


def judged(subject: Subject, routes: Sequence[Route]) -> tuple[Judged, ...]:
    """Return each route, first to last, with every reason why it does not take the instance."""
    return tuple(Judged(number, route, tuple(_against(route, subject))) for number, route in enumerate(routes, 1))


def takes(route: Route, subject: Subject) -> bool:
    """Tell whether a route takes the instance; one without conditions takes everything."""
    return next(_against(route, subject), None) is None


def look_at_orders(routes: Iterable[Route]) -> bool:
    """Tell whether any route looks at what an order says; its priority counts in any case."""
    return any(key.startswith(f"{ORDER}.") for route in routes for key, _ in (*route.when, *route.unless))


def priority_value(order: Order) -> dict[str, tuple[str, ...]]:
    """Return as much of `order_values` as counts where no route looks at the order."""
    stated = order.attributes.get(_PRIORITY, "")
    return {_PRIORITY: (stated,)} if stated else {}


def order_values(order: Order) -> dict[str, tuple[str, ...]]:
    """Return what rules may look at of an order, its patient, visit and steps."""
    found: dict[str, dict[str, None]] = {}
    parts: tuple[Order | Patient | ScheduledStep, ...] = (order, order.patient, *order.steps)
    for part in parts:
        stated = {keyword: getattr(part, name, "") for name, keyword in KEYWORDS.items()}
        for keyword, value in (*stated.items(), *part.attributes.items()):
            found.setdefault(keyword, {}).update(dict.fromkeys(_plain(value)))
    for keyword, value in order.visit.items():
        found.setdefault(keyword, {}).update(dict.fromkeys(_plain(value)))
    return {keyword: tuple(values) for keyword, values in found.items() if values}


def _plain(value: object) -> Iterator[str]:
    """Yield the texts of a value: one, those of a list, or a code's."""
    match value:
        case tuple():
            for one in value:
                yield from _plain(one)
        case Code(value=code):
            yield code
        case str() if value:
            yield str(value)


def _target(name: str, taking: Iterable[Judged], order: OrderValues | None) -> Target:
    for one in taking:
        if name in one.route.to and one.route.priority is not None:
            return Target(name, one.route.priority, f"route {one.number}")
    for word in (order or {}).get(_PRIORITY, ()):
        return Target(name, PRIORITIES.get(word.strip().upper(), Priority.ROUTINE), "order")
    return Target(name)


def _against(route: Route, subject: Subject) -> Iterator[str]:
    """Yield what stands against a route."""
    for condition in route.when:
        if not _holds(condition, subject):
            yield f"{_shown(condition[0], subject)}, it wants {_either(condition[1])}"
    for condition in route.unless:
        if _holds(condition, subject):
            yield f"{_shown(condition[0], subject)}, which it leaves out"
    if not is_within(route.times, subject.received):
        hours = " or ".join(str(one) for one in route.times)
        yield f"received {subject.received:%a %H:%M}, it wants {hours}"


def _shown(key: str, subject: Subject) -> str:
    values = [value for value in _values(key, subject) if value]
    if key.startswith(f"{ORDER}.") and subject.order is None:
        return f"{key} is unknown: it belongs to no order that is known"
    return f"{key} is {_either(values)}" if values else f"{key} is empty"


def _either(texts: Iterable[str]) -> str:
    return " or ".join(f'"{text}"' for text in texts)


def _holds(condition: Condition, subject: Subject) -> bool:
    """Compare case-sensitively after stripping; any of several values may fit any of several patterns."""
    key, patterns = condition
    candidates = [one for value in _values(key, subject) for one in dict.fromkeys((value, *value.split("\\")))]
    return any(_fits(pattern, candidate) for pattern in patterns for candidate in candidates)


def _values(key: str, subject: Subject) -> tuple[str, ...]:
    facts = subject.instance.facts
    match key:
        case "device":
            return (facts.device,)
        case "calling":
            return (facts.calling_ae_title,)
        case "called":
            return (facts.called_ae_title,)
        case "order":
            return (NONE if subject.order is None else KNOWN,)
    if key.startswith(f"{ORDER}."):
        # Without an order nothing is known of it, not even that a value is empty.
        known = subject.order
        return () if known is None else known.get(key.removeprefix(f"{ORDER}."), ("",))
    return (subject.instance.attributes.get(key, ""),)


def _fits(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value.strip()) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`*` is any text, `?` one character."""
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern.strip())
    return re.compile(expression, re.DOTALL)
