"""The reader of an IOD description in JSON, and what of a data set is not as it says. Knows no product.

By tag: `vr`, `multi` (several values; else one), `required` (1: with a value; 2 and `true`: there), `enum`, `items`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

Description = Mapping[str, Any]


def read(file: Path) -> Description:
    """Return the description. Raises AssertionError for a key that is not understood."""
    found: Description = json.loads(file.read_text(encoding="utf-8"))
    _check(found)
    return found


def _check(description: Description) -> None:
    for tag, entry in description.items():
        assert re.fullmatch("[0-9A-F]{8}", tag), tag
        assert entry.keys() <= {"vr", "multi", "required", "enum", "items"}, (tag, entry)
        _check(entry.get("items", {}))


def violations(item: Dataset, description: Description) -> list[str]:
    """Return what of a data set is not as the description says."""
    return list(_of_item(item, description, ""))


def _of_item(item: Dataset, description: Description, path: str) -> Iterator[str]:
    for name, entry in description.items():
        tag, required = int(name, 16), entry.get("required")
        if tag not in item:
            if required:
                yield f"{path}{name}: missing, required {required}"
            continue
        element = item[tag]
        if entry["vr"] != element.VR:
            yield f"{path}{name}: VR {element.VR}"
        if required == 1 and required is not True and element.is_empty:
            yield f"{path}{name}: empty, required {required}"
        if element.VM > 1 and not entry.get("multi"):
            yield f"{path}{name}: {element.VM} values"
        if not element.is_empty and "enum" in entry and element.value not in _values(entry["enum"]):
            yield f"{path}{name}: not one of {entry['enum']}"
        if element.VR == "SQ":
            for inner in element.value:
                yield from _of_item(inner, entry.get("items", {}), f"{path}{name}/")


def _values(texts: list[str]) -> list[str | int]:
    """Return the values of an enumeration; 0001H is a number."""
    return [int(text[:-1], 16) if re.fullmatch("[0-9A-F]{4}H", text) else text for text in texts]
