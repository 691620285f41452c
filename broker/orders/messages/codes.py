"""Coded entries and assigning authorities (CE, CWE, EI, HD) as items of sequences. Knows no attribute."""

from broker.orders import values
from broker.orders.mapping import Rule, Source
from broker.orders.messages.reading import NULL, Reader
from broker.orders.model import Code
from hl7.message import Segment

_LOCAL_SCHEME = "L"
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
    if not value or not values.fits(value):
        return ()
    scheme = _component(segment, source, 2, repetition) or _LOCAL_SCHEME
    if not values.fits(scheme):
        return ()
    return (Code(value, scheme, values.line(_component(segment, source, 1, repetition) or value, values.LO)),)


def _component(segment: Segment, source: Source, after: int, repetition: int) -> str:
    text = segment.get(source.field, source.component + after, 1, repetition).strip()
    return "" if text == NULL else text


def issuer(_: Reader, __: Rule, segment: Segment, source: Source) -> tuple[dict[str, str], ...]:
    """Return an EI's authority: namespace, universal ID and its type, beginning at the source's component."""
    return designator(tuple(_component(segment, source, after, source.repetition) for after in range(3)))


def issuer_in_subcomponents(_: Reader, __: Rule, segment: Segment, source: Source) -> tuple[dict[str, str], ...]:
    """Return an HD: the same as subcomponents of the source's component."""
    return designator(segment.subcomponents(source.field, source.component, source.repetition))


def designator(parts: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """Return the item of an HL7v2 hierarchic designator (PS3.3 table 10-17), or none where nothing is stated."""
    if not any(parts):
        return ()
    namespace, universal, kind = ("" if part == NULL else values.plain(part) for part in [*parts, "", "", ""][:3])
    item = {"LocalNamespaceEntityID": namespace, **universal_of(universal, kind)}
    stated = {keyword: text for keyword, text in item.items() if text}
    return (stated,) if stated else ()


def universal_of(universal: str, kind: str) -> dict[str, str]:
    """Return a universal entity ID with its type: neither goes without the other (PS3.3 table 10-17)."""
    kind = kind.upper()
    return (
        {"UniversalEntityID": universal, "UniversalEntityIDType": kind}
        if universal and kind in _UNIVERSAL_TYPES
        else {}
    )
