"""What a promotion changes, field by field, deletions included. Knows no database."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from broker.promotion.model import Difference
from broker.registry.model import Binding, Document

# What a person has to type into the console when it changes.
_AT_CONSOLE = frozenset({"ae_titles", "binding.ae_title", "binding.host", "binding.port", "station_name"})


def of_documents(before: Document | None, after: Document) -> tuple[Difference, ...]:
    """Return every field in which two documents differ, in the order of the document."""
    old = {} if before is None else _flat(before)
    return _compared(old, _flat(after))


def of_bindings(before: Binding | None, after: Binding) -> tuple[Difference, ...]:
    """Return every field in which two bindings differ."""
    old = {} if before is None else _flat(before, "binding.")
    return _compared(old, _flat(after, "binding."))


def of_values(before: Any, after: Any) -> tuple[Difference, ...]:
    """Return every field in which two values of one dataclass differ."""
    return _compared(_flat(before), _flat(after))


def _compared(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Difference, ...]:
    names = dict.fromkeys((*before, *after))
    changed = ((name, before.get(name, ""), after.get(name, "")) for name in names)
    return tuple(Difference(name, old, new, name in _AT_CONSOLE) for name, old, new in changed if old != new)


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if is_dataclass(part) and not isinstance(part, type):
            flat |= _flat(part, f"{prefix}{field.name}.")
        else:
            flat[f"{prefix}{field.name}"] = _text(part)
    return {name: text for name, text in flat.items() if text}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return " ".join(f"{name}={text}" for name, text in _flat(value).items())
    if isinstance(value, tuple | frozenset):
        return ", ".join(map(_text, sorted(value) if isinstance(value, frozenset) else value))
    return str(value)
