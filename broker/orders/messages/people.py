"""Names and identifiers of persons: XPN, XCN and CNN as PN, CX as patient identifiers. Knows no order."""

from collections.abc import Iterator
from dataclasses import replace

from broker.orders import values
from broker.orders.mapping import Rule, Source
from broker.orders.messages.codes import universal_of
from broker.orders.messages.reading import NULL, Reader
from broker.orders.model import Origin
from hl7.datatypes import PersonName, cnn, preferred, xcn, xpn
from hl7.message import Segment

AUTHORITY_RULE = "the authority configured for this sender, since the identifier names none"


def pn(name: PersonName) -> str:
    """Return a name as one group of a PN."""
    return values.person_name(name.family, name.given, name.middle, name.prefix, suffix=name.suffix, degree=name.degree)


def patient_name(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an XPN as PN: alphabetic, ideographic and phonetic repetitions are its groups (XPN-8)."""
    count = segment.repetitions(source.field)
    repetitions = [segment.components(source.field, number) for number in range(1, count + 1)]
    if count == 1:
        return _null_or(repetitions[0], pn(xpn(repetitions[0])))
    written = {kind: [r for r in repetitions if len(r) > 7 and r[7].strip().upper() == kind] for kind in ("I", "P")}
    alphabetic = [r for r in repetitions if r not in written["I"] and r not in written["P"]]
    best = [alphabetic[preferred(alphabetic)]] if alphabetic else []
    groups = [pn(xpn(found[0])) if found else "" for found in (best, written["I"], written["P"])]
    return "=".join(groups).rstrip("=")


def name(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return an XCN as PN; of several the first."""
    components = segment.components(source.field, source.repetition)
    return _null_or(components, pn(xcn(components)))


def names(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return each repetition of an XCN as a PN."""
    count = segment.repetitions(source.field)
    return values.several(pn(xcn(segment.components(source.field, number))) for number in range(1, count + 1))


def name_in_subcomponents(_: Reader, __: Rule, segment: Segment, source: Source) -> str:
    """Return a CNN as PN: the parts of the name are subcomponents; senders of an XCN are understood too."""
    parts = segment.subcomponents(source.field, source.component, source.repetition)
    components = segment.components(source.field, source.repetition)
    if len(parts) < 2 and len(components) > 1 and any(part.strip() for part in components[1:7]):
        return _null_or(components, pn(xcn(components)))
    return _null_or(parts, pn(cnn(parts)))


def _null_or(parts: tuple[str, ...], shown: str) -> str:
    return shown if shown.strip("=^ ") else NULL if NULL in parts else ""


def patient_id(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    """Return the preferred repetition's identifier."""
    number = chosen(reader, segment, source.field)
    text = identifier_at(segment, source.field, number)
    if not text:
        return NULL if segment.get(source.field).strip() == NULL else ""
    reader.origin = _origin(source, number)
    return values.identifier(text, values.LO, segment.location(source.field), rule.keyword)


def patient_issuer(reader: Reader, rule: Rule, segment: Segment, source: Source) -> str:
    """Return that repetition's assigning authority, else the sender's own."""
    number = chosen(reader, segment, source.field)
    if not identifier_at(segment, source.field, number):
        return ""
    stated = authority_at(segment, source.field, number)
    reader.origin = _origin(source, number) if stated else Origin("", AUTHORITY_RULE)
    place = segment.location(source.field, source.component)
    text = values.identifier(stated or reader.authority, values.LO, place, rule.keyword)
    if not text:
        reader.origin = None
    return text


def patient_issuer_qualifiers(reader: Reader, _: Rule, segment: Segment, source: Source) -> tuple[dict[str, str], ...]:
    """Return the authority's universal ID with its type."""
    number = chosen(reader, segment, source.field)
    parts = [part.strip() for part in segment.subcomponents(source.field, 4, number)]
    item = universal_of(values.plain(parts[1]), parts[2]) if len(parts) > 2 else {}
    return (item,) if item else ()


def other_identifiers(reader: Reader, _: Rule, segment: Segment, source: Source) -> str:
    """Return the identifiers of the other repetitions."""
    return values.several(text for _, text in _others(reader, segment, source.field))


def other_identifier_items(reader: Reader, _: Rule, segment: Segment, source: Source) -> tuple[dict[str, str], ...]:
    """Return the other repetitions as items, each with its authority."""
    items = []
    for number, text in _others(reader, segment, source.field):
        issuer = authority_at(segment, source.field, number)
        stated = {"IssuerOfPatientID": issuer} if issuer and values.fits(issuer, values.LO) else {}
        items.append({"PatientID": text, **stated, "TypeOfPatientID": "TEXT"})
    return tuple(items)


def chosen(reader: Reader, segment: Segment, field: int) -> int:
    """Return the repetition of a CX to go by: the preferred authority, then type, else the first with a value."""
    key = (id(segment), field)
    found = reader.identifier.get(key)
    if found is None:
        found = reader.identifier[key] = _preferred(reader, segment, field)
    return found


def _preferred(reader: Reader, segment: Segment, field: int) -> int:
    valued = [n for n in range(1, segment.repetitions(field) + 1) if identifier_at(segment, field, n)]
    if len(valued) < 2:
        return valued[0] if valued else 1
    return min(
        valued,
        key=lambda n: (
            _rank(reader.id_authorities, authority_at(segment, field, n)),
            _type_rank(reader, segment, field, n),
            n,
        ),
    )


def _type_rank(reader: Reader, segment: Segment, field: int, number: int) -> int:
    return _rank(reader.id_types, segment.get(field, 5, 1, number).strip().upper())


def _rank(preferences: tuple[str, ...], value: str) -> int:
    return preferences.index(value) if value in preferences else len(preferences)


def identifier_at(segment: Segment, field: int, number: int) -> str:
    """Return a CX's identifier; a null is none."""
    text = segment.get(field, 1, 1, number).strip()
    return "" if text == NULL else text


def authority_at(segment: Segment, field: int, number: int) -> str:
    """Return a CX's assigning authority: its namespace, else its universal ID."""
    for part in (1, 2):
        text = segment.get(field, 4, part, number).strip()
        if text and text != NULL:
            return text
    return ""


def _others(reader: Reader, segment: Segment, field: int) -> Iterator[tuple[int, str]]:
    count = segment.repetitions(field)
    if count < 2:
        return
    own = chosen(reader, segment, field)
    for number in range(1, count + 1):
        text = identifier_at(segment, field, number)
        if number != own and text and values.fits(text, values.LO):
            yield number, text.strip()


def _origin(source: Source, number: int) -> Origin:
    return source.origin if number == source.repetition else replace(source, repetition=number).origin
