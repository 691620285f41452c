"""Coded entries and assigning authorities (CE, CWE, EI, HD) as items of sequences. Knows no attribute."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache

from broker.orders import values
from broker.orders.mapping import Rule, Source
from broker.orders.messages.reading import NULL, Reader
from broker.orders.model import Code
from hl7.message import Segment

_LOCAL_SCHEME = "L"
_JSON = json.JSONEncoder(ensure_ascii=False)
_UNIVERSAL_TYPES = frozenset({"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"})  # PS3.3 10.14


def code(_: Reader, __: Rule, segment: Segment, source: Source) -> tuple[Code, ...] | str:
    """Return the code that begins at the source's component."""
    return _null_or(segment, source, _code(segment, source, source.repetition))


def codes(_: Reader, __: Rule, segment: Segment, source: Source) -> tuple[Code, ...] | str:
    """Return the code of each repetition."""
    found: tuple[Code, ...] = ()
    for number in range(1, segment.repetitions(source.field) + 1):
        found += tuple(one for one in _code(segment, source, number) if one not in found)
    return _null_or(segment, source, found)


def _null_or(segment: Segment, source: Source, found: tuple[Code, ...]) -> tuple[Code, ...] | str:
    null = not found and segment.get(source.field, source.component).strip() == NULL
    return NULL if null else found


def _code(segment: Segment, source: Source, repetition: int) -> tuple[Code, ...]:
    """Return three components as a code, or none where its value or scheme is missing or too long for one."""
    value = _component(segment, source, 0, repetition)
    if not value:
        return ()
    text = _component(segment, source, 1, repetition)
    return _coded(value, text, _component(segment, source, 2, repetition) or _LOCAL_SCHEME)


@lru_cache(maxsize=4096)  # a site's procedures
def _coded(value: str, text: str, scheme: str) -> tuple[Code, ...]:
    if not values.fits(value) or not values.fits(scheme):
        return ()
    return (Code(value, scheme, values.line(text or value, values.LO)),)


def _component(segment: Segment, source: Source, after: int, repetition: int) -> str:
    text = segment.get(source.field, source.component + after, 1, repetition).strip()
    return "" if text == NULL else text


def issuer(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an EI's authority: namespace, universal ID and its type, beginning at the source's component."""
    namespace = _component(segment, source, 0, source.repetition)
    universal = _component(segment, source, 1, source.repetition)
    kind = _component(segment, source, 2, source.repetition) if universal else ""
    return designator(namespace, universal, kind) if namespace or universal else ""


def issuer_in_subcomponents(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an HD: the same as subcomponents of the source's component."""
    field, component, repetition = source.field, source.component, source.repetition
    namespace = segment.get(field, component, 1, repetition).strip()
    universal = segment.get(field, component, 2, repetition).strip()
    kind = segment.get(field, component, 3, repetition).strip() if universal else ""
    return designator(namespace, universal, kind) if namespace or universal else ""


@lru_cache(maxsize=1024)  # a sender has few authorities, and names them in every message
def designator(namespace: str, universal: str, kind: str) -> str:
    """Return the item of an HL7v2 hierarchic designator (PS3.3 table 10-17) as text, or empty.

    A universal ID goes with its type, or not at all.
    """
    item: dict[str, str] = {}
    if namespace not in ("", NULL):
        item["LocalNamespaceEntityID"] = values.plain(namespace)
    if universal not in ("", NULL) and kind.upper() in _UNIVERSAL_TYPES:
        item |= {"UniversalEntityID": values.plain(universal), "UniversalEntityIDType": kind.upper()}
    return sequence([item]) if item else ""


def sequence(items: Iterable[Mapping[str, str]]) -> str:
    """Return the items of a sequence, by keyword, as an attribute's text."""
    return _JSON.encode(list(items))


def code_sequence(codes: Iterable[Code]) -> str:
    """Return codes as an attribute's text."""
    return sequence(
        {"CodeValue": code.value, "CodingSchemeDesignator": code.scheme, "CodeMeaning": code.meaning} for code in codes
    )
