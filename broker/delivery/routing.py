"""Which destinations an instance is owed to. Pure: rules and the instance in, names out."""

import re
from collections.abc import Sequence

from broker.environments.model import Route
from broker.spool.model import SpooledInstance


def destinations(
    instance: SpooledInstance, document_routes: Sequence[Route], profile_routes: Sequence[Route]
) -> tuple[str, ...]:
    """Return the names of the destinations, in the order of the routes and without repeats.

    The device's document decides where it has routes at all; the profile's count only where it has none.
    """
    names = [name for route in document_routes or profile_routes if matches(route, instance) for name in route.to]
    return tuple(dict.fromkeys(names))


def matches(route: Route, instance: SpooledInstance) -> bool:
    """Tell whether every condition of the route holds; a route without conditions takes everything."""
    return all(_holds(pattern, _value(key, instance)) for key, pattern in route.when)


def _value(key: str, instance: SpooledInstance) -> str:
    match key:
        case "device":
            return instance.facts.device
        case "calling":
            return instance.facts.calling_ae_title
        case "called":
            return instance.facts.called_ae_title
    return instance.attributes.get(key, "")


def _holds(pattern: str, value: str) -> bool:
    """Compare case-sensitively after stripping; `*` is any text, `?` one character; any of several values may fit."""
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern.strip())
    candidates = (value, *value.split("\\"))
    return any(re.fullmatch(expression, candidate.strip(), re.DOTALL) for candidate in candidates)
