"""The Store Instances Response (PS3.18 I.2), as JSON or XML: what it states of each instance. Judges nothing.

It is the answer of a peer: whatever cannot be read states nothing, and nothing is taken for stored by default.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

LONGEST = 8 * 1024 * 1024
"""Bytes of an answer that are read: 50 instances take 50 kB."""

_REFERENCED, _FAILED, _OTHER_FAILURES = "00081199", "00081198", "0008119A"
_INSTANCE_UID, _WARNING_REASON, _FAILURE_REASON = "00081155", "00081196", "00081197"

DataSet = Mapping[str, Any]
"""The DICOM JSON Model (PS3.18 F.2): by tag, `vr` and `Value`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What an answer states, by SOP Instance UID: stored with a WarningReason or none, failed with its FailureReason.

    `others` are the FailureReasons of which it does not say whose they are.
    """

    stored: Mapping[str, int | None] = field(default_factory=dict)
    failed: Mapping[str, int | None] = field(default_factory=dict)
    others: tuple[int | None, ...] = ()


NOTHING = Statement()


def read(body: bytes) -> Statement:
    """Return what an answer states; what has neither form of it states nothing."""
    stored: dict[str, int | None] = {}
    failed: dict[str, int | None] = {}
    others: list[int | None] = []
    for data_set in data_sets(body):
        stored |= _reasons(data_set, _REFERENCED, _WARNING_REASON)
        failed |= _reasons(data_set, _FAILED, _FAILURE_REASON)
        others += [_number(item, _FAILURE_REASON) for item in _items(data_set, _OTHER_FAILURES)]
    return Statement(stored, failed, tuple(others))


def data_sets(body: bytes) -> list[DataSet]:
    """Return the data sets of a body in the DICOM JSON Model or the Native DICOM Model; none of any other.

    The form is told by the first character: the media type is wrong often enough.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return _json(text)
    return _xml(text) if text[:1] == b"<" else []


def uids(data_set: DataSet, tag: str) -> list[str]:
    """Return the UIDs of an element."""
    return [value.strip(" \0") for value in _values(data_set, tag) if isinstance(value, str)]


def _json(text: bytes) -> list[DataSet]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict)]


def _reasons(data_set: DataSet, sequence: str, reason: str) -> dict[str, int | None]:
    items = _items(data_set, sequence)
    return {uid: _number(item, reason) for item in items for uid in uids(item, _INSTANCE_UID)[:1]}


def _items(data_set: DataSet, sequence: str) -> list[DataSet]:
    return [item for item in _values(data_set, sequence) if isinstance(item, dict)]


def _values(data_set: DataSet, tag: str) -> list[Any]:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _number(data_set: DataSet, tag: str) -> int | None:
    """Return a US value; some write it as text."""
    value = next(iter(_values(data_set, tag)), None)
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:6])
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF else None


# --- Native DICOM Model (PS3.19 A.1) -------------------------------------------------------------------------------


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree of a document without a document type: with one, its size could be a million times its bytes."""

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise ValueError("an answer has no document type")


def _xml(text: bytes) -> list[DataSet]:
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(text)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError):
        return []
    return [_data_set(root)] if _name(root) == "NativeDicomModel" else []


def _data_set(parent: ElementTree.Element) -> DataSet:
    attributes = (child for child in parent if _name(child) == "DicomAttribute")
    return {each.get("tag", "").upper(): {"Value": list(_xml_values(each))} for each in attributes}


def _xml_values(attribute: ElementTree.Element) -> Iterator[Any]:
    # Two levels are all that this response has: an item's own items are not descended into.
    for child in attribute:
        if _name(child) == "Item":
            yield {
                each.get("tag", "").upper(): {"Value": [value.text or "" for value in each if _name(value) == "Value"]}
                for each in child
            }
        elif _name(child) == "Value":
            yield child.text or ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
