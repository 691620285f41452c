"""Whether a result is what a case expects: only what is expected is compared. Runs nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.golden.world import Result


def complaints(expected: Mapping[str, Any], result: Result) -> list[str]:
    """Return what of the result is not as expected."""
    found = list(_rows("acknowledgement", expected["acknowledgements"], result.acknowledgements))
    if "worklist" in expected:
        found += _rows("item", _sorted(expected["worklist"]), _sorted(result.worklist))
    if "orders" in expected:
        found += _rows("order", expected["orders"], result.orders)
    return found


def _sorted(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the items by accession and step: in which order they are answered is the query's matter."""
    return sorted(items, key=lambda item: (item.get("AccessionNumber", ""), item.get("ScheduledProcedureStepID", "")))


def _rows(what: str, expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if len(expected) != len(found):
        yield f"{len(found)} {what}s instead of {len(expected)}: {[_brief(row) for row in found]}"
    for number, (wanted, row) in enumerate(zip(expected, found, strict=False), 1):
        for key, value in wanted.items():
            actual = row.get(key, [] if isinstance(value, list) else "")
            if not _fits(value, actual):
                yield f"{what} {number}: {key} is {actual!r}, not {value!r} ({_brief(row)})"


def _fits(wanted: Any, actual: Any) -> bool:
    """Tell whether a value is the expected one; a text that ends in * is a beginning."""
    if isinstance(wanted, str) and isinstance(actual, str) and wanted.endswith("*"):
        return actual.startswith(wanted[:-1])
    return bool(wanted == actual)


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("code", "error", "location", "AccessionNumber", "ScheduledProcedureStepID", "steps")
    return {key: row[key] for key in keys if key in row}
